"""http tasks against a real server: what arrives there, what comes back, how it fails."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.core.handover import RESULT_LIMIT
from gnomon.tasks.http_body import ROOM
from tests.support.http_server import HttpServer, http_server
from tests.unit.tasks.http_support import RUN_ID, failed, perform, perform_filled


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def test_get_with_query_and_headers(server: HttpServer) -> None:
    log: list[str] = []
    result = perform(
        {"url": server.url + "/echo?x=1", "query": {"a": [1, True], "b": None}, "headers": {"X-One": "é"}}, log=log
    )
    assert result["json"] == {"method": "GET", "rest": "", "query": [["x", "1"], ["a", "1"], ["a", "true"]]}
    assert (result["status"], result["reason"], result["redirects"]) == (200, "Reason 200", 0)
    assert result["headers"]["content-type"] == "application/json"
    assert result["size"] == int(result["headers"]["content-length"])
    assert result["url"] == server.url + "/echo?x=1&a=1&a=true"
    assert result["elapsed_s"] > 0
    seen = server.seen[-1]
    assert (seen.header("x-one"), seen.header("idempotency-key")) == ("é", None)
    assert str(seen.header("user-agent")).startswith("gnomon/")
    assert log[0] == f"GET {server.url}/echo?…"


def test_bodies(server: HttpServer) -> None:
    url = server.url + "/echo"
    perform({"url": url, "method": "POST", "json": {"ü": [1, None, "\ud83d\ude00"]}})
    assert json.loads(server.seen[-1].body) == {"ü": [1, None, "\U0001f600"]}
    assert server.seen[-1].header("content-type") == "application/json"
    assert server.seen[-1].header("idempotency-key") == RUN_ID
    perform({"url": url, "method": "POST", "data": {"a": 1}, "headers": {"Idempotency-Key": None}})
    assert json.loads(server.seen[-1].body) == {"a": 1}
    assert server.seen[-1].header("idempotency-key") is None
    perform({"url": url, "method": "PUT", "form": {"a": ["1", "ü &="], "b": ""}})
    assert server.seen[-1].body == b"a=1&a=%C3%BC+%26%3D&b="
    assert server.seen[-1].header("content-type") == "application/x-www-form-urlencoded"
    perform({"url": url, "method": "PATCH", "body": "<x>ü</x>", "headers": {"content-type": "text/xml"}})
    assert server.seen[-1].body == "<x>ü</x>".encode()
    assert server.seen[-1].header("content-type") == "text/xml"
    result = perform({"url": url, "method": "HEAD"})
    assert (result["status"], "body" in result, server.seen[-1].method) == (200, False, "HEAD")


def test_file_uploads(server: HttpServer, tmp_path: Path) -> None:
    first, second = tmp_path / 'we"ird;name.bin', tmp_path / "two.txt"
    first.write_bytes(bytes(range(256)))
    second.write_text("two")
    perform(
        {
            "url": server.url + "/echo",
            "method": "POST",
            "files": {
                "a": [str(second), {"path": str(second), "name": "x.csv", "content_type": "text/csv"}],
                "b": {"content": "inline", "name": "i.txt"},
            },
            "form": {"note": "hello"},
        }
    )
    body = server.seen[-1].body
    assert str(server.seen[-1].header("content-type")).startswith("multipart/form-data; boundary=")
    for text in (b'name="a"; filename="two.txt"', b'filename="x.csv"', b"text/csv", b"inline", b'name="note"'):
        assert text in body
    perform_filled({"url": server.url + "/echo", "method": "POST", "files": {"f": [{"path": str(first), "name": "n"}]}})
    assert bytes(range(256)) in server.seen[-1].body
    for path in (str(tmp_path / "missing"), str(tmp_path), "/dev/null"):
        failure = failed({"url": server.url, "method": "POST", "files": {"f": path}})
        assert (failure.task_code, "files.f" in failure.message) == ("file_missing", True)


def test_authentication(server: HttpServer) -> None:
    url = server.url + "/echo"
    perform({"url": url, "auth": {"basic": {"username": "mé", "password": "p:w"}}})
    assert server.seen[-1].header("authorization") == "Basic " + base64.b64encode("mé:p:w".encode()).decode()
    perform({"url": url, "auth": {"bearer": "t0ken"}})
    assert server.seen[-1].header("authorization") == "Bearer t0ken"
    result = perform({"url": url.replace("http://", "http://me:pw@")})
    assert server.seen[-1].header("authorization") == "Basic " + base64.b64encode(b"me:pw").decode()
    assert "pw" not in result["url"]
    digest = {"username": "me", "password": "pw"}
    assert perform({"url": server.url + "/digest", "auth": {"digest": digest}})["json"] == {"ok": True}
    refused = failed({"url": server.url + "/digest", "auth": {"digest": {**digest, "username": "you"}}})
    assert (refused.task_code, refused.result["status"]) == ("unexpected_status", 401)  # type: ignore[index,call-overload]


def test_redirects(server: HttpServer) -> None:
    url = server.url + "/redirect"
    result = perform({"url": url, "query": {"to": "/echo?x=1"}})
    assert (result["status"], result["redirects"], result["url"]) == (200, 1, server.url + "/echo?x=1")
    perform({"url": url, "method": "POST", "json": [1], "query": {"to": "/echo", "code": 307}})
    assert (server.seen[-1].method, server.seen[-1].body) == ("POST", b"[1]")
    perform({"url": url, "method": "POST", "json": [1], "query": {"to": "/echo", "code": 303}})
    assert (server.seen[-1].method, server.seen[-1].body) == ("GET", b"")
    failure = failed({"url": url, "query": {"to": "/echo"}, "redirects": False})
    assert (failure.task_code, failure.result["status"]) == ("unexpected_status", 302)  # type: ignore[index,call-overload]
    assert perform({"url": url, "query": {"to": "/echo"}, "redirects": False, "expect": 302})["status"] == 302
    assert failed({"url": server.url + "/loop"}).task_code == "too_many_redirects"
    count = len(server.seen)
    assert failed({"url": server.url + "/loop", "redirects": 2}).task_code == "too_many_redirects"
    assert len(server.seen) == count + 3


def test_credentials_stay_behind_when_a_redirect_leads_elsewhere(server: HttpServer) -> None:
    secret = {"headers": {"X-Api-Key": "k", "Cookie": "c=d", "Accept": "x/y"}}
    with http_server() as other:
        for auth in ({"bearer": "t"}, {"basic": {"username": "u", "password": "p"}}):
            perform({"url": server.url + "/redirect", "query": {"to": other.url + "/echo"}, "auth": auth, **secret})
            seen = other.seen[-1]
            assert [seen.header(name) for name in ("x-api-key", "authorization")] == [None] * 2
            assert "c=d" not in str(seen.header("cookie"))
            assert seen.header("accept") == "x/y"
            perform({"url": server.url + "/redirect", "query": {"to": "/echo"}, "auth": auth, **secret})
            assert server.seen[-1].header("x-api-key") == "k"
            assert server.seen[-1].header("authorization") is not None


def test_status(server: HttpServer) -> None:
    failure = failed({"url": server.url + "/status/500"})
    assert failure.task_code == "unexpected_status"
    assert failure.message == "500 Reason 500, expected 2xx"
    assert failure.result["body"] == "status 500"  # type: ignore[index,call-overload]
    for wanted in (404, [200, 404], "4xx", "400-410", {"status": "404"}):
        assert perform({"url": server.url + "/nowhere", "expect": wanted})["status"] == 404


@pytest.mark.parametrize(
    ("expect", "wrong"),
    [
        ({"body_contains": "three"}, None),
        ({"body_contains": ["one", "four"]}, "'four'"),
        ({"regex": r"t\w+ee\W"}, None),
        ({"regex": "^x"}, "does not match"),
        ({"json": {"$.a": "three", "$.n": 3, "$.l[*].ok": True, "$.m": {"equals": {"x": None}}}}, None),
        ({"json": {"$.n": {"gt": 2, "le": 3, "not": 4, "in": [3, 4]}, "$.z": {"exists": False}}}, None),
        ({"json": {"$.a": {"regex": "^th", "contains": "re"}, "$.t": {"contains": 2}}}, None),
        ({"json": {"$.n": True}}, "$.n is 3, not true"),
        ({"json": {"$.n": {"lt": 3}}}, "$.n is 3, not lt 3"),
        ({"json": {"$.z": 1}}, "$.z is not there"),
        ({"json": {"$.a": {"exists": False}}}, "is there"),
        ({"json": {"$.l[*].id": 1}}, "$.l[*].id is 2, not 1"),
        ({"headers": {"Content-Type": "json"}}, None),
        ({"headers": {"Content-Type": "xml"}}, "content-type"),
        ({"headers": {"X-Missing": ""}}, "missing"),
    ],
)
def test_expectations(server: HttpServer, expect: dict[str, Any], wrong: str | None) -> None:
    document = {
        "a": "three",
        "n": 3,
        "l": [{"id": 1, "ok": True}, {"id": 2, "ok": True}],
        "m": {"x": None},
        "t": [1, 2],
    }
    document["one"] = "one"
    arguments = {"url": server.url + "/data/${d}", "expect": expect}
    arguments = {"url": server.url + "/data/{d}", "url_values": {"d": json.dumps(document)}, "expect": expect}
    if wrong is None:
        assert perform(arguments)["json"] == document
    else:
        failure = failed(arguments)
        assert failure.task_code == ("unexpected_headers" if "headers" in expect else "unexpected_body")
        assert wrong.lower() in failure.message.lower()
        assert failure.result["json"] == document  # type: ignore[index,call-overload]


def test_what_is_no_json(server: HttpServer) -> None:
    for text in ("{", "NaN", '{"a": "\\ud800"}', "[" * 200 + "]" * 200, ""):
        result = perform({"url": server.url + "/data/{d}", "url_values": {"d": text}})
        assert ("json" in result, result.get("body", "")) == (False, text)
    failure = failed({"url": server.url + "/text/x", "expect": {"json": {"$.a": 1}}})
    assert (failure.task_code, failure.message) == ("unexpected_body", "the body is no JSON")


def test_slow_servers(server: HttpServer) -> None:
    failure = failed({"url": server.url + "/slow/5", "idle_timeout": 0.1})
    assert (failure.task_code, "idle_timeout" in failure.message) == ("timeout", True)
    failure = failed({"url": server.url + "/slow/5", "expect": {"max_time": 0.1}})
    assert (failure.task_code, "0.1 s" in failure.message) == ("too_slow", True)
    with closing(socket.socket()) as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with closing(socket.create_connection(("127.0.0.1", port))):
            failure = failed({"url": f"http://127.0.0.1:{port}", "connect_timeout": 0.2})
    assert (failure.task_code, "connect_timeout" in failure.message) == ("timeout", True)


def test_servers_that_are_not_there_or_broken(server: HttpServer) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert failed({"url": f"http://127.0.0.1:{port}/?q=s3cret"}).task_code == "connection_refused"
        assert "s3cret" not in failed({"url": f"http://127.0.0.1:{port}/?q=s3cret"}).message
    assert failed({"url": "http://nowhere.invalid/"}).task_code == "dns_failed"
    for page, code in (
        ("drop", "connection_lost"),
        ("short", "connection_lost"),
        ("garbage", "http_protocol"),
        ("packed/lie", "http_protocol"),
    ):
        assert failed({"url": f"{server.url}/{page}"}).task_code == code
    assert failed({"url": server.url.replace("http:", "https:")}).task_code == "tls_failed"


def test_chunked_and_packed_bodies(server: HttpServer) -> None:
    assert perform({"url": server.url + "/chunked"})["body"] == "one two three"
    for kind in ("gzip", "deflate", "raw"):
        assert perform({"url": f"{server.url}/packed/{kind}"})["json"] == {"packed": True}


def test_huge_bodies_are_cut_and_take_little_memory(server: HttpServer) -> None:
    assert ROOM < RESULT_LIMIT
    for page in ("/huge/64", "/packed/gzip/64"):
        tracemalloc.start()
        result = perform({"url": server.url + page})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if page == "/huge/64":
            assert result["size"] == 64 << 20
            assert peak < 4 << 20
        assert result["truncated"] is True
        assert 50_000 < len(json.dumps(result)) <= RESULT_LIMIT
    failure = failed({"url": server.url + "/packed/gzip/64", "expect": {"body_contains": "x"}})
    assert (failure.task_code, "first 8 MiB" in failure.message) == ("unexpected_body", True)
    result = perform({"url": server.url + "/text/hello", "keep": 3})
    assert (result["body"], result["truncated"]) == ("hel", True)
    result = perform({"url": server.url + "/text/hello", "keep": 0})
    assert ("body" in result, result["truncated"]) == (False, True)
    escapes = "\x01" * 20_000
    result = perform({"url": server.url + "/text/{t}", "url_values": {"t": escapes}})
    assert result["truncated"] is True
    assert len(json.dumps(result)) <= RESULT_LIMIT


class TestTls:
    """Certificates: unknown CA, wrong host, expired; and the right one."""

    ca = trustme.CA()

    def context(self, *names: str, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **options).configure_cert(context)
        return context

    def test_all(self, tmp_path: Path) -> None:
        bundle = tmp_path / "ca.pem"
        self.ca.cert_pem.write_to_path(str(bundle))
        with http_server(self.context("127.0.0.1", "localhost")) as server:
            url = server.url + "/echo"
            unknown = failed({"url": url})
            assert (unknown.task_code, "certificate" in unknown.message) == ("tls_failed", True)
            assert perform({"url": url, "verify": str(bundle)})["status"] == 200
            assert perform({"url": f"https://localhost:{server.port}/echo", "verify": str(bundle)})["status"] == 200
            assert perform({"url": url, "verify_tls": False})["status"] == 200
            missing = failed({"url": url, "verify": str(tmp_path / "none.pem")})
            assert (missing.task_code, "verify" in missing.message) == ("tls_files", True)
            missing = failed({"url": url, "cert": str(tmp_path / "none.pem")})
            assert (missing.task_code, "cert" in missing.message) == ("tls_files", True)
        with http_server(self.context("other.test")) as server:
            wrong = failed({"url": server.url, "verify": str(bundle)})
            assert (wrong.task_code, "not valid for" in wrong.message) == ("tls_failed", True)
        past = datetime.now(UTC) - timedelta(days=1)
        with http_server(self.context("127.0.0.1", not_after=past)) as server:
            expired = failed({"url": server.url, "verify": str(bundle)})
            assert (expired.task_code, "expired" in expired.message) == ("tls_failed", True)

    def test_client_certificates(self, tmp_path: Path) -> None:
        bundle, mine = tmp_path / "ca.pem", tmp_path / "me.pem"
        self.ca.cert_pem.write_to_path(str(bundle))
        self.ca.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(str(mine))
        context = self.context("127.0.0.1")
        context.verify_mode = ssl.CERT_REQUIRED
        self.ca.configure_trust(context)
        with http_server(context) as server:
            arguments = {"url": server.url + "/echo", "verify": str(bundle)}
            assert perform({**arguments, "cert": str(mine)})["status"] == 200
            assert failed(arguments).task_code in ("tls_failed", "connection_lost")


METACHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["a&b=c", "?x#y", "../../etc", "..", ".", "%2e%2e", "a\r\nX: y", "'; drop table x; --", "$(id)", "{id}", "\\", "\0"]
)


@given(METACHARACTERS)
@settings(max_examples=60, deadline=None)
@example("%00/..;/\r\n&=#?+ ")
def test_whatever_the_parameters_hold_they_arrive_as_data(text: str) -> None:
    server = _shared()
    fill = {"method": "POST", "url": server.url + "/echo/{id}", "query": {"q": text, "n": "1"}}
    if text not in (".", ".."):
        result = perform_filled({**fill, "url_values": {"id": text}, "json": {"k": text}})
        assert result["json"] == {"method": "POST", "rest": text, "query": [["q", text], ["n", "1"]]}
        assert json.loads(server.seen[-1].body) == {"k": text}
    else:
        with pytest.raises(Exception, match="part of the path"):
            perform_filled({**fill, "url_values": {"id": text}})
    from urllib.parse import parse_qsl

    perform_filled({"method": "POST", "url": server.url + "/echo", "form": {text or "k": text}})
    assert parse_qsl(server.seen[-1].body.decode(), keep_blank_values=True) == [(text or "k", text)]
    before = len(server.seen)
    try:
        perform_filled({"url": server.url + "/echo", "headers": {"X-Data": text}})
    except Exception as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert getattr(refused, "task_code", "") == "bad_arguments", refused
        assert len(server.seen) == before
        assert text != text.strip(" \t") or any(ord(each) < 32 or ord(each) == 127 for each in text)
    else:
        assert server.seen[-1].header("x-data") == text
        assert [name for name, _ in server.seen[-1].headers].count("X") == 0


_RUNNING: list[HttpServer] = []


def _shared() -> HttpServer:
    """One server for all examples (a fixture would be refused by Hypothesis)."""
    if not _RUNNING:
        _RUNNING.append(HttpServer())
        _RUNNING[0].start()
    return _RUNNING[0]


@pytest.fixture(scope="module", autouse=True)
def stop_shared() -> Iterator[None]:
    yield
    while _RUNNING:
        _RUNNING.pop().stop()
