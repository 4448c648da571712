"""`gnomon serve` among people who mean no good: raw bytes, stuck databases, lying proxies, and ends in the middle."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.support.service import until
from tests.support.web import Stream, WebSite, client, web_site

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
POST = b"POST /api/v1/session HTTP/1.1\r\n" + HOST + JSON


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    with web_site(tmp_path_factory.mktemp("site")) as made:
        made.listening()
        yield made


@pytest.fixture
def url(place: WebSite) -> str:
    found: str = place.log.read_text().partition("sign in at ")[2].partition("/#")[0]
    return found


@pytest.fixture
def ask(place: WebSite, url: str) -> Iterator[httpx.Client]:
    with client(url, place.token()) as made:
        assert made.put("/jobs/a", json={"task": {"type": "command", "command": "true"}}).status_code == 200
        yield made


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def raw(url: str, said: bytes) -> list[int]:
    """Send these bytes; the statuses that come back until the other end closes."""
    with socket.create_connection(("127.0.0.1", port_of(url)), timeout=10) as one:
        with contextlib.suppress(ConnectionError):  # it closes before it has read all
            one.sendall(said)
        got = b""
        try:
            while data := one.recv(65536):
                got += data
        except ConnectionResetError:
            pass
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        (b"GET /healthz HTTP/1.1\r\n" + HOST + CLOSE, [200]),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + CLOSE, [400]),
        (b"GET /healthz HTTP/1.1\r\n" + CLOSE, [400]),
        (b"GET /healthz HTTP/1.0\r\n\r\n", [421]),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:x@evil.example\r\n" + CLOSE, [421]),
        (b"GET http://127.0.0.1/healthz HTTP/1.1\r\n" + HOST + CLOSE, [401]),
        (b"GET http://127.0.0.1/api/v1/jobs HTTP/1.1\r\n" + HOST + CLOSE, [401]),
        (b"GET /api/v1/jobs\xff HTTP/1.1\r\n" + HOST + CLOSE, [400]),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HOST + CLOSE, [400]),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000 + b"\r\n" + CLOSE, [400]),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n" + CLOSE, [400]),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + CLOSE, [401]),
        (b"CONNECT a:80 HTTP/1.1\r\n" + HOST + CLOSE, [401]),
        (b"\x16\x03\x01\x02\x00\x01", [400]),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", [400]),
        (POST + b"Content-Length: +2\r\n\r\n{}", [400]),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", [400]),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n", [400]),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" + CLOSE + b"2\r\n{}\r\n0\r\n\r\n", [400]),
        (POST + b"Transfer-Encoding: chunked\r\n" + CLOSE + b"2;a=b\r\n{}\r\n0\r\n\r\n", [422]),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n{}", [400]),
    ],
)
def test_bytes_that_are_no_good_request(url: str, said: bytes, statuses: list[int]) -> None:
    assert raw(url, said) == statuses


def test_nothing_is_smuggled_behind_a_body(url: str) -> None:
    hidden = b"GET /metrics HTTP/1.1\r\n" + HOST + CLOSE
    for head in (
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % (len(hidden) + 5),
        b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % (len(hidden) + 5),
    ):
        assert raw(url, POST + head + b"0\r\n\r\n" + hidden) == [400]


BIG = "9" * 30
VALUES: list[Any] = [[], {}, [10**30], ["a"], [1, 2, 3], [None], [-1, "a"], ["a", 10**30], [[1], [2]], [True], "abc", 5]
BODIES = [
    b'{"parameters":{"x":' + b"9" * 5000 + b"}}",
    b'{"parameters":{"x":' + b"9" * 4000 + b"}}",
    b'{"parameters":{"x":1e999}}',
    b'{"parameters":{"x":NaN}}',
    b'{"parameters":{"\\ud800":"\\ud800"}}',
    b'{"\\ud800":1}',
    b'{"parameters":{"\\u0000":"\\u0000"}}',
    b"[" * 100_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b"\xff\xfe\x00",
    b"null",
    b'"' + b"a" * 1_000_000 + b'"',
]


def test_whatever_is_sent_is_the_callers_mistake(url: str, ask: httpx.Client, place: WebSite) -> None:
    """No 5xx, no traceback, nothing of our inside."""
    run = ask.post("/jobs/a/runs").json()["id"]
    answers = []
    for body in BODIES:
        for path in (
            "/jobs/a/runs",
            "/jobs",
            "/tokens",
            "/jobs/a/pause",
            "/runs/delete",
            "/session",
            "/jobs/a/backfill",
        ):
            answers.append(ask.post(path, content=body, headers={"Content-Type": "application/json"}))
    for name in ("%00", BIG, "%ff", "%2e%2e%2f%2e%2e%2fetc", "%25", "_", "%F0%9F%92%A9"):
        for path in (
            "/runs/{}",
            "/runs/{}/log",
            "/jobs/{}",
            "/tokens/{}",
            "/users/{}",
            "/flows/{}",
            "/configurations/{}",
        ):
            answers.append(ask.get(path.format(name)))
        for path in ("/runs?q={}", "/runs?since={}", "/jobs?due_from={}", "/runs?limit={}", "/audit?actor={}"):
            answers.append(ask.get(path.format(name)))
        for path in ("log?offset={}", "log?attempt={}", "log/events?attempt={}"):
            answers.append(ask.get(f"/runs/{run}/" + path.format(name)))
    lists = [
        path for path, ways in ask.get("/openapi.json").json()["paths"].items() if _has_cursor(ways.get("get", {}))
    ]
    assert len(lists) > 8
    for value in VALUES:
        forged = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
        for path in lists:
            filled = path.removeprefix("/api/v1").replace("{job_id}", "a").replace("{run_id}", run)
            answers.append(ask.get(filled, params={"cursor": forged}))
    wrong = [(a.request.url, a.status_code, a.text[:200]) for a in answers if a.status_code >= 500]
    assert not wrong
    said = "".join(a.text for a in answers)
    for inside in (str(place.root), "Traceback", "sqlite", "SELECT", "site-packages"):
        assert inside not in said
    assert "Traceback" not in place.log.read_text()
    for last in (BIG, "-1", f"1:{BIG}", f"{BIG}:1", "\xb2:1", "9" * 19 + ":" + "9" * 19):
        with ask.stream("GET", f"/runs/{run}/log/events", headers={"Last-Event-ID": last.encode("latin-1")}) as answer:
            assert "event: complete" in "".join(answer.iter_text()), last


def _has_cursor(way: Any) -> bool:
    return any(one["name"] == "cursor" for one in way.get("parameters", []))


def test_output_is_text_whatever_it_holds(ask: httpx.Client) -> None:
    script = "printf '<script>alert(1)</script>\\033[31mred\\033]8;;http://evil\\007\\000\\377'"
    ask.put("/jobs/bad", json={"task": {"type": "command", "command": script}})
    run = ask.post("/jobs/bad/runs").json()["id"]
    until(lambda: ask.get(f"/runs/{run}").json()["state"] == "succeeded", "it ran")
    for address in (f"/runs/{run}/log", f"/runs/{run}/log?download=true"):
        answer = ask.get(address)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.content.startswith(b"<script>")
    assert answer.headers["content-disposition"] == f'attachment; filename="{run}.log"'


def test_streams_end_with_the_right_to_them(place: WebSite, url: str, ask: httpx.Client) -> None:
    ask.put("/jobs/long", json={"task": {"type": "command", "command": "sleep 30"}})
    run = ask.post("/jobs/long/runs").json()["id"]
    ask.post("/users", json={"name": "anna", "role": "viewer"})
    hers = ask.post("/tokens", json={"name": "anna-pc", "role": "viewer", "user": "anna"}).json()["token"]
    session = httpx.post(f"{url}/api/v1/session", json={"token": hers})
    cookie = {"Cookie": session.headers["set-cookie"].partition(";")[0], "Sec-Fetch-Site": "same-origin"}
    with_cookie = [
        Stream(f"{url}/api/v1/{p}", "", {**cookie, "Authorization": ""}) for p in ("events", f"runs/{run}/log/events")
    ]
    with_token = [Stream(f"{url}/api/v1/{p}", hers) for p in ("events", f"runs/{run}/log/events")]
    until(lambda: all(s.of("hello") or s.of("attempt") for s in (*with_cookie, *with_token)), "they begin")
    httpx.delete(f"{url}/api/v1/session", headers=cookie)
    begin = time.monotonic()
    assert all(stream.over.wait(5) for stream in with_cookie), "the session is over"
    assert time.monotonic() - begin < 3
    assert not any(stream.over.is_set() for stream in with_token), "the token is not"
    assert ask.patch("/users/anna", json={"disabled": True}).status_code == 200
    begin = time.monotonic()
    assert all(stream.over.wait(5) for stream in with_token), "the user is disabled"
    assert time.monotonic() - begin < 3
    ask.post(f"/runs/{run}/cancel")


def test_while_the_database_is_stuck_others_read(place: WebSite, url: str, ask: httpx.Client) -> None:
    other = sqlite3.connect(place.db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(ask.post("/jobs/a/runs").status_code)) for _ in range(60)]
    for thread in threads:
        thread.start()
    until(lambda: _waiting(url, place) >= 60, "they wait")
    for path in ("/healthz", "/readyz"):
        assert httpx.get(url + path, timeout=5).status_code == 200
    with client(url, place.token()) as reader:
        assert reader.get("/jobs/a", timeout=5).status_code == 200
    other.execute("ROLLBACK")
    other.close()
    for thread in threads:
        thread.join(30)
    assert codes == [201] * 60, "nothing was lost"


def _waiting(url: str, place: WebSite) -> int:
    """Connections to the service."""
    mine = f":{port_of(url):04X} "
    lines = Path(f"/proc/{place.process.pid}/net/tcp").read_text().splitlines()
    return sum(mine in line.split(" 0", 1)[1] and line.split()[3] == "01" for line in lines[1:]) // 2


def test_the_address_in_the_audit_is_not_what_strangers_say(url: str, ask: httpx.Client) -> None:
    ask.post(
        "/jobs/a/pause", headers={"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6"}
    )
    ask.post("/jobs/a/resume")
    entries = ask.get("/audit", params={"object": "a"}).json()["items"]
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}


# ---- a service of their own ------------------------------------------------------------------------


def test_a_proxy_that_is_trusted_says_who_asks(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        (tmp_path / "gnomon.toml").write_text('trusted_proxies = ["127.0.0.1"]\n')
        url = place.listening()
        with client(url, place.token()) as ask:
            ask.put("/jobs/a", json={"task": {"type": "command", "command": "true"}})
            for said in ("203.0.113.7", "6.6.6.6, 203.0.113.7", "<script>\"'", "x" * 5000, ""):
                assert ask.post("/jobs/a/pause", headers={"X-Forwarded-For": said}).status_code == 200
                assert ask.post("/jobs/a/resume", headers={"X-Forwarded-For": said}).status_code == 200
            entries = ask.get("/audit", params={"object": "a", "action": "job.pause"}).json()["items"]
            told = [entry["address"] for entry in reversed(entries)]
            assert told[:2] == ["203.0.113.7", "203.0.113.7"], "the last one before the proxy"
            assert all(len(one) <= 100 for one in told)
            signed = ask.post("/session", json={"token": place.token()})
            assert "; Secure" in signed.headers["set-cookie"]


def test_a_certificate_of_our_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "chain.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with web_site(tmp_path) as place:
        (tmp_path / "gnomon.toml").write_text('tls_certificate = "chain.pem"\ntls_key = "key.pem"\n')
        place.serve()
        url = until(lambda: place.log.read_text().partition("sign in at ")[2].partition("/#")[0], "it listens")
        assert url.startswith("https://")

        def ready() -> bool:
            try:
                return httpx.get(f"{url}/readyz", verify=context).status_code == 200
            except httpx.TransportError:
                return False

        until(ready, "it answers")
        signed = httpx.post(f"{url}/api/v1/session", json={"token": place.token()}, verify=context)
        cookie = signed.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("; secure", "; httponly", "; samesite=strict", "; path=/"))
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"))
        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/readyz", verify=old)


def test_it_ends_in_time_whoever_holds_on(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        url = place.listening()
        token = place.token()
        with client(url, token) as ask:
            ask.put("/jobs/a", json={"task": {"type": "command", "command": "true"}})
        held = [socket.create_connection(("127.0.0.1", port_of(url))) for _ in range(12)]
        for number, one in enumerate(held):
            one.sendall((b"", b"GET /he", POST + b"Content-Length: 9\r\n\r\n{")[number % 3])
        streams = [Stream(f"{url}/api/v1/events", token) for _ in range(5)]
        until(lambda: all(stream.of("hello") for stream in streams), "they follow")
        kept: list[str] = []
        stop = threading.Event()

        def asking() -> None:
            with client(url, token) as mine:
                while not stop.is_set():
                    try:
                        answer = mine.post("/jobs/a/runs")
                    except httpx.TransportError:
                        return
                    if answer.status_code == 201:
                        kept.append(answer.json()["id"])

        threads = [threading.Thread(target=asking) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(kept) > 10, "requests go on")
        begin = time.monotonic()
        assert place.kill(place.process, signal.SIGTERM) == 0
        assert time.monotonic() - begin < 8, "nothing long runs: it need not wait for any"
        stop.set()
        for thread in threads:
            thread.join(10)
        for one in held:
            one.close()
        made = {row["id"] for row in place.rows("select id from runs")}
        assert set(kept) <= made, "what was answered is there"
        assert "Traceback" not in place.log.read_text()


_BROKEN = """
import sys
import gnomon.web.application
def build(service):
    raise RuntimeError("no web today")
gnomon.web.application.build = build
from gnomon.cli.main import main
sys.argv = ["gnomon", "serve"]
raise SystemExit(main())
"""


def test_a_scheduler_whose_web_side_breaks_goes_on(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        place.write("a.json", {"job_id": "a", "schedule": "every 1s", "task": {"type": "command", "command": "true"}})
        with place.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _BROKEN], cwd=tmp_path, env=place.environment(), stdout=log, stderr=log
            )
        place.alive.append(process)
        until(
            lambda: "the web server ended, the scheduler goes on: no web today" in place.log.read_text(), "it is said"
        )
        before = place.states().get("succeeded", 0)
        until(lambda: place.states().get("succeeded", 0) > before, "jobs run on")
        url = place.log.read_text().partition("sign in at ")[2].partition("/#")[0]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")
        assert place.kill(process, signal.SIGTERM) == 0
