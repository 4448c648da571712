"""The arguments of http tasks: every spelling, every mistake with its key, references left for later."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.errors import UsageError
from gnomon.tasks.http import HTTP

URL = "https://example.com/a"


def codes(arguments: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(UsageError) as error:
        HTTP.validate(arguments)
    return {(problem.key, problem.code) for problem in error.value.problems}


def test_everything_at_once_and_again() -> None:
    given = {
        "http_method": "post",
        "url": f" {URL} ",
        "params": {"a": 1, "b": [True, "x"], "c": None},
        "headers": {"X-One": 1, "User-Agent": None, "X-Two": ["a", "b"]},
        "auth": {"basic": {"user": "me", "password": "env:PASSWORD"}},
        "data": {"k": [1, {"deep": None}]},
        "verify_tls": "false",
        "cert": "/etc/me.pem",
        "follow_redirects": 3,
        "expect": {
            "status_code": "2XX",
            "contains": "ok",
            "json": {"$.a[0]": {"gt": 3}, "$.b": None},
            "max_time": "2s",
        },
        "keep": 1000,
        "connect_timeout": "500ms",
        "proxy": "http://proxy:3128",
    }
    canonical = HTTP.validate(given)
    assert canonical == {
        "method": "POST",
        "url": URL,
        "query": {"a": "1", "b": [True, "x"]},
        "headers": {"X-One": "1", "User-Agent": None, "X-Two": ["a", "b"]},
        "auth": {"basic": {"username": "me", "password": "env:PASSWORD"}},
        "json": {"k": [1, {"deep": None}]},
        "verify": False,
        "cert": {"cert": "/etc/me.pem"},
        "redirects": 3,
        "expect": {
            "status": ["2xx"],
            "body_contains": ["ok"],
            "json": {"$.a[0]": {"gt": 3}, "$.b": None},
            "max_time": 2.0,
        },
        "keep": 1000,
        "connect_timeout": 0.5,
        "proxy": "http://proxy:3128",
    }
    assert HTTP.validate(canonical) == canonical


@pytest.mark.parametrize(
    ("arguments", "key", "code"),
    [
        ({}, "url", "missing_key"),
        ({"url": 5}, "url", "bad_value"),
        ({"url": "example.com"}, "url", "bad_value"),
        ({"url": "ftp://example.com"}, "url", "bad_value"),
        ({"url": "file:relative"}, "url", "bad_value"),
        ({"url": "http://"}, "url", "bad_value"),
        ({"url": "http://[::1"}, "url", "bad_value"),
        ({"url": "http://h:99999/"}, "url", "bad_value"),
        ({"url": "http://h/\r\nX: y"}, "url", "bad_value"),
        ({"url": "http://a b/"}, "url", "bad_value"),
        ({"url": "http://a\\@b/"}, "url", "bad_value"),
        ({"url": URL, "metod": "GET"}, "metod", "unknown_key"),
        ({"url": URL, "method": "GET IT"}, "method", "bad_value"),
        ({"url": URL, "method": "CONNECT"}, "method", "bad_value"),
        ({"url": URL, "method": "GET", "http_method": "GET"}, "http_method", "conflicting_keys"),
        ({"url": URL, "query": "a=b"}, "query", "bad_type"),
        ({"url": URL, "query": {"a": {"b": 1}}}, "query.a", "bad_type"),
        ({"url": URL, "query": {"a": [1, None]}}, "query.a[1]", "bad_type"),
        ({"url": URL, "query": {"a": "\ud800"}}, "query.a", "bad_value"),
        ({"url": URL, "headers": {"A B": "x"}}, "headers.A B", "bad_name"),
        ({"url": URL, "headers": {"A": "x\r\nB: y"}}, "headers.A", "bad_value"),
        ({"url": URL, "headers": {"A": "x\x07"}}, "headers.A", "bad_value"),
        ({"url": URL, "headers": {"A": " x"}}, "headers.A", "bad_value"),
        ({"url": URL, "headers": {"A": True}}, "headers.A", "bad_type"),
        ({"url": URL, "headers": {"Content-Length": 5}}, "headers.Content-Length", "reserved_name"),
        ({"url": URL, "auth": {"basic": {"username": "x"}}}, "auth.basic.password", "missing_key"),
        ({"url": URL, "auth": {"bearer": "a", "basic": {}}}, "auth", "bad_value"),
        ({"url": URL, "auth": "x:y"}, "auth", "bad_type"),
        ({"url": URL, "auth": {"bearer": "a\nb"}}, "auth.bearer", "bad_value"),
        ({"url": URL, "json": 1}, "json", "bad_value"),
        ({"url": URL, "method": "POST", "json": 1, "form": {}}, "form", "conflicting_keys"),
        ({"url": URL, "method": "POST", "data": {"a": 1}, "form": {}}, "form", "conflicting_keys"),
        ({"url": URL, "method": "POST", "data": {"a": 1}, "json": {}}, "data", "conflicting_keys"),
        ({"url": URL, "method": "POST", "files": {"f": "relative"}}, "files.f", "bad_value"),
        ({"url": URL, "method": "POST", "files": {"f": {"name": "x"}}}, "files.f", "missing_key"),
        ({"url": URL, "method": "POST", "files": {}}, "files", "missing_key"),
        ({"url": URL, "verify": "relative.pem"}, "verify", "bad_value"),
        ({"url": URL, "cert": {"key": "/k"}}, "cert.cert", "missing_key"),
        ({"url": URL, "redirects": "maybe"}, "redirects", "bad_type"),
        ({"url": URL, "redirects": 51}, "redirects", "bad_value"),
        ({"url": URL, "keep": 10**9}, "keep", "bad_value"),
        ({"url": URL, "connect_timeout": "soon"}, "connect_timeout", "duration_invalid"),
        ({"url": URL, "connect_timeout": 0}, "connect_timeout", "bad_value"),
        ({"url": URL, "proxy": "socks5://x"}, "proxy", "bad_value"),
        ({"url": URL, "expect": {"status": 99}}, "expect.status", "bad_value"),
        ({"url": URL, "expect": {"status": [200, "6xx"]}}, "expect.status[1]", "bad_value"),
        ({"url": URL, "expect": {"status": []}}, "expect.status", "bad_value"),
        ({"url": URL, "expect": {"statsu": 200}}, "expect.statsu", "unknown_key"),
        ({"url": URL, "expect": {"regex": "("}}, "expect.regex", "bad_value"),
        ({"url": URL, "expect": {"json": {"$.a[": 1}}}, "expect.json.$.a[", "bad_value"),
        ({"url": URL, "expect": {"json": {"$.a": {"near": 1}}}}, "expect.json.$.a.near", "unknown_key"),
        ({"url": URL, "expect": {"json": {"$.a": {"gt": "x"}}}}, "expect.json.$.a.gt", "bad_type"),
        ({"url": URL, "expect": True}, "expect", "bad_type"),
    ],
)
def test_mistakes_name_their_key(arguments: dict[str, Any], key: str, code: str) -> None:
    assert (key, code) in codes(arguments)


def test_all_mistakes_at_once() -> None:
    assert len(codes({"url": "x", "headers": {"A B": "x"}, "keep": -1, "foo": 1})) == 4


@pytest.mark.parametrize(
    ("url", "canonical", "values"),
    [
        ("https://h/items/${id}", "https://h/items/{id}", {"id": "${id}"}),
        ("https://h/${a.b}/x?q=${c}&r=${c}", "https://h/{a_b}/x?q={c}&r={c}", {"a_b": "${a.b}", "c": "${c}"}),
        ("${base}/x/${id}", "${base}/x/{id}", {"id": "${id}"}),
        ("https://${host}:${port}/x", "https://${host}:${port}/x", None),
        ("${url}", "${url}", None),
        ("env:API", "env:API", None),
        ("https://h/$${id}", "https://h/$${id}", None),
        ("https://h/{id}/${id}", "https://h/{id}/{id_2}", {"id_2": "${id}"}),
    ],
)
def test_what_is_filled_into_the_path_is_moved_to_url_values(url: str, canonical: str, values: object) -> None:
    made = HTTP.validate({"url": url})
    assert (made["url"], made.get("url_values")) == (canonical, values)
    assert HTTP.validate(made) == made


def test_references_and_secrets_are_left_alone_everywhere() -> None:
    arguments = {
        "url": "env:URL",
        "method": "${method}",
        "headers": {"A": "${a}", "B": "file:/run/b"},
        "query": "${query}",
        "auth": "${auth}",
        "redirects": "${n}",
        "keep": "${n}",
        "idle_timeout": "${n}",
        "proxy": "env:PROXY",
        "expect": {"status": "${n}", "regex": "${n}", "max_time": "${n}"},
    }
    assert HTTP.validate(arguments) == arguments


def test_a_line_for_lists_shows_neither_password_nor_query() -> None:
    assert HTTP.describe({"url": "https://me:secret@h/p?token=t", "method": "PUT"}) == "PUT https://h/p?…"
    assert HTTP.describe({"url": URL + "x" * 500})[-1] == "…"


def test_keys_of_the_job_belong_beside_the_task() -> None:
    with pytest.raises(UsageError) as caught:
        HTTP.validate({"url": "http://h/", "timeout": 5, "retries": 2, "expect": {"timeout": 3}})
    hints = {problem.key: problem.hint for problem in caught.value.problems}
    assert "beside `task`" in hints["timeout"]
    assert "beside `task`" in hints["retries"]
    assert "beside `task`" not in hints["expect.timeout"]
