"""Where http tasks may go: every spelling of the metadata address, redirects to it, changing resolvers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

import pytest

from gnomon.core.errors import UsageError
from gnomon.tasks.net_addresses import SETTING, Gate, reason
from gnomon.tasks.performing import TaskFailed
from tests.support.http_server import HttpServer, http_server
from tests.unit.tasks.http_support import failed, perform, perform_filled

_TEXT = """
169.254.169.254 169.254.169.254. 2852039166 0xa9fea9fe 0xA9FEA9FE 025177524776 0251.0376.0251.0376
0xa9.0xfe.0xa9.0xfe 169.254.43518 169.16689662 0xa9.16689662 0251.254.0xa9.254 169.254.0xa9fe
0000251.0376.0251.0376 0xa9fe.0xa9fe [::ffff:169.254.169.254] [::ffff:a9fe:a9fe]
[0:0:0:0:0:ffff:a9fe:a9fe] [::ffff:0:169.254.169.254] [::169.254.169.254] [::a9fe:a9fe]
[64:ff9b::169.254.169.254] [64:ff9b:1::a9fe:a9fe] [2002:a9fe:a9fe::] [2002:a9fe:a9fe::1]
[2001:0:a9fe:a9fe::] [2001::5601:5601] [fe80::1] [fe80::a9fe:a9fe] [fe80::5efe:a9fe:a9fe]
[2001:db8::5efe:169.254.169.254] [2001:db8::200:5efe:169.254.169.254] [fd00:ec2::254]
[fd00:0ec2:0:0:0:0:0:254] [fd20:ce::254] [fd00:42::42] 100.100.100.200 0x646464c8 1684301000
168.63.129.16 192.0.0.192 [::ffff:100.100.100.200] 169.254.170.2 169.254.0.1 me@169.254.169.254
me:pw@169.254.169.254 example.com@169.254.169.254 example.com%40x@169.254.169.254:80
169.254.169.254:8080 169.254.169.254#@example.com 169.254.169.254?@example.com/
169%2E254%2E169%2E254 %31%36%39.254.169.254 １６９.２５４.１６９.２５４ 169。254。169。254 ①⑥⑨.254.169.254 0.0.0.0
0 [::] 0x0 224.0.0.1 [ff02::1] 255.255.255.255 240.0.0.1
"""
SPELLINGS = _TEXT.split()
REFUSED = {"bad_redirect", "address_refused", "dns_failed", "bad_arguments", "bad_value"}


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def test_there_are_enough_spellings() -> None:
    assert len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_metadata_addresses_are_refused_however_they_are_written(spelling: str) -> None:
    """Refused, or no address at all: never tried."""
    url = f"http://{spelling}/latest/meta-data/"
    with pytest.raises((TaskFailed, UsageError)) as error:
        perform({"url": url, "connect_timeout": 0.5})
    failure = error.value
    assert (failure.task_code if isinstance(failure, TaskFailed) else failure.code) in REFUSED, failure


@pytest.mark.parametrize("spelling", SPELLINGS[:30])
def test_a_redirect_to_them_is_refused_too(server: HttpServer, spelling: str) -> None:
    failure = failed({"url": f"{server.url}/redirect", "query": {"to": f"http://{spelling}/"}, "connect_timeout": 0.5})
    assert failure.task_code in REFUSED, failure.message


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "javascript:alert(1)"])
def test_redirects_stay_with_http(server: HttpServer, to: str) -> None:
    failure = failed({"url": f"{server.url}/redirect", "query": {"to": to}})
    assert failure.task_code == "bad_redirect", failure.message


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("fc00::1", True),
        ("fec0::1", True),
        ("::ffff:10.0.0.1", True),
        ("64:ff9b::10.0.0.1", True),
        ("2002:0a00:0001::", True),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
    ],
)
def test_private_addresses_by_setting(address: str, inside: bool) -> None:
    assert reason(ip_address(address), private=True) is None
    assert (reason(ip_address(address), private=False) is not None) == inside


def test_the_setting_of_the_worker(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "refuse")
    seen = len(server.seen)
    for url in (server.url, f"http://localhost:{server.port}/", f"http://[::ffff:127.0.0.1]:{server.port}/"):
        assert failed({"url": url}).task_code == "address_refused"
    assert failed({"url": "http://example.invalid", "proxy": server.url}).task_code == "address_refused"
    assert len(server.seen) == seen
    monkeypatch.setenv(SETTING, "allow")
    assert perform({"url": server.url + "/echo"})["status"] == 200
    monkeypatch.setenv(SETTING, "perhaps")
    assert failed({"url": server.url}).task_code == "setting_invalid"


class Rebinding:
    """Says something else each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def test_a_name_is_resolved_once_and_that_address_connected_to(server: HttpServer) -> None:
    resolver = Rebinding(["127.0.0.1"], ["169.254.169.254"])
    result = perform({"url": f"http://rebind.test:{server.port}/echo"}, Gate(resolver=resolver))
    assert (result["status"], resolver.asked) == (200, ["rebind.test"])
    assert server.seen[-1].header("host") == f"rebind.test:{server.port}"


def test_each_redirect_is_resolved_and_judged_anew(server: HttpServer) -> None:
    resolver = Rebinding(["127.0.0.1"], ["169.254.169.254"])
    url = f"http://rebind.test:{server.port}/redirect"
    failure = failed({"url": url, "query": {"to": url}}, Gate(resolver=resolver))
    assert (failure.task_code, len(resolver.asked)) == ("address_refused", 2)


def test_one_bad_address_among_good_ones_is_enough(server: HttpServer) -> None:
    resolver = Rebinding(["127.0.0.1", "169.254.169.254"])
    assert failed({"url": server.url.replace("127.0.0.1", "h")}, Gate(resolver=resolver)).task_code == "address_refused"


def test_the_next_address_is_tried_when_nothing_listens_at_the_first(server: HttpServer) -> None:
    gate = Gate(resolver=Rebinding(["127.0.0.2", "127.0.0.1"]))
    assert perform({"url": f"http://two.test:{server.port}/echo"}, gate)["status"] == 200


def test_ipv6(server: HttpServer) -> None:
    try:
        running = http_server(host="::1")
        with running as six:
            assert perform({"url": f"http://[::1]:{six.port}/echo"})["status"] == 200
            gate = Gate(resolver=Rebinding(["::1"]))
            assert perform({"url": f"http://six.test:{six.port}/echo"}, gate)["status"] == 200
    except (AssertionError, OSError):
        if socket.has_ipv6 and _has_ipv6():
            raise
        pytest.skip("no IPv6 loopback here")


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


def test_through_a_proxy_the_target_is_judged_as_far_as_we_see_it(server: HttpServer) -> None:
    result = perform({"url": "http://name.invalid/x", "proxy": server.url})
    assert result["json"] == {"proxied": "http://name.invalid/x"}
    seen = len(server.seen)
    assert failed({"url": "http://169.254.169.254/", "proxy": server.url}).task_code == "address_refused"
    assert failed({"url": server.url, "proxy": "http://169.254.169.254:80"}).task_code == "address_refused"
    assert len(server.seen) == seen


def test_proxies_of_the_environment_do_not_count(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert perform({"url": server.url + "/echo"})["status"] == 200


def test_what_is_filled_in_can_not_lead_elsewhere(server: HttpServer) -> None:
    """Arguments as a worker gets them after `${…}` was filled."""
    for url in ("gopher://x/", "http://127.0.0.1\r\nX/", "nonsense", "", "http://127.0.0.1:port/"):
        with pytest.raises(TaskFailed) as failure:
            perform_filled({"url": url})
        assert failure.value.task_code == "bad_arguments"
        assert "what it was filled with" in failure.value.message or "url" in failure.value.message


def test_the_gate_alone() -> None:
    async def nothing(host: str, port: int) -> Sequence[str]:
        return []

    with pytest.raises(TaskFailed) as failure:
        asyncio.run(Gate(resolver=nothing).addresses("h", 80))
    assert failure.value.task_code == "dns_failed"
