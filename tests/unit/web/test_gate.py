"""Who comes in at all: names, origins, sizes, types; and what leaves with every answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import pytest

from gnomon.core.access import Role
from gnomon.core.errors import InvariantViolated, Problem, Unavailable
from gnomon.web.gate import MOST_BYTES
from tests.unit.web.calling import Caller, World

OPEN = ("/healthz", "/readyz", "/metrics")


def test_only_exact_open_addresses_answer_without_a_token(world: World) -> None:
    for path in OPEN:
        assert world.request("GET", path).status_code in (200, 503), path
    odd = [
        *("/healthz/", "//healthz", "/./healthz", "/HEALTHZ", "/healthz;x", "/api/v1/../healthz", "/healthz%00"),
        *("/api/v1/jobs", "/api/v1/jobs/", "//api/v1/jobs", "/api/v1//jobs", "/API/v1/jobs", "/api/v1/jobs%2F"),
        *("/api/v1/session/", "/api/v1/openapi.json", "/docs", "/nothing", "/api/v1/events", "/%2e%2e/metrics"),
    ]
    for path in odd:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
            assert status(world, method, path) == 401, f"{method} {path}"
    for path in OPEN:
        assert status(world, "POST", path) == 401
    assert world.request("GET", "/api/v1/jobs").headers["www-authenticate"] == "Bearer"


def status(world: World, method: str, path: str) -> int:
    """The status of a request whose path reaches the application as it is written here."""
    told: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8085")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8085),
    }
    asyncio.run(world.application(scope, receive, send))
    return told[0]


@pytest.mark.parametrize(
    "said",
    [
        *("Bearer", "Bearer ", "Bearer x", "bearer gnm_0_0", "Basic YTpi", "Token x", "Bearer " + "x" * 5000),
        *("Bearer gnm_000000000000_" + "0" * 59, "gnm_000000000000_" + "0" * 59),
    ],
)
def test_what_is_no_token_is_refused(world: World, said: str) -> None:
    assert world.request("GET", "/api/v1/jobs", headers={"Authorization": said}).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8085", "127.0.0.1.evil.example", "localhost.", "", "[::2]"]
)
def test_other_names_are_not_served(world: World, host: str) -> None:
    token = {"Authorization": f"Bearer {world.tokens[Role.ADMIN]}"}
    for path in ("/api/v1/jobs", "/healthz", "/metrics"):
        answer = world.request("GET", path, headers={**token, "Host": host})
        assert answer.status_code == 421, answer.text
        assert answer.json()["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8085", "127.0.0.1:1", "[::1]:8085", "[::1]"])
def test_names_of_this_machine_are(world: World, host: str) -> None:
    assert world.request("GET", "/readyz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:8085"}, True),
        ({"Origin": "http://127.0.0.1:8086"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8085"}, False),
    ],
)
def test_changes_come_from_our_own_pages(admin: Caller, headers: dict[str, str], passes: bool) -> None:
    answer = admin.ask("POST", "/jobs/none/pause", headers=headers)
    assert (answer.json()["code"] == "job_not_found") is passes, answer.text
    if not passes:
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert admin.ask("GET", "/jobs", headers=headers).status_code == 200, "reading changes nothing"


def test_a_session_alone_needs_to_know_where_the_request_is_from(world: World) -> None:
    signed = world.request("POST", "/api/v1/session", json={"token": world.tokens[Role.ADMIN]})
    cookie = {"Cookie": signed.headers["set-cookie"].partition(";")[0]}
    assert world.request("GET", "/api/v1/jobs", headers=cookie).status_code == 200
    url = "/api/v1/jobs/none/pause"
    assert world.request("POST", url, headers=cookie).json()["code"] == "foreign_origin"
    assert world.request("POST", url, headers={**cookie, "Sec-Fetch-Site": "same-origin"}).status_code == 404


def test_bodies_are_json_and_not_large(admin: Caller) -> None:
    def code(content: bytes, **headers: str) -> object:
        said = {**admin.headers, **{key.replace("_", "-"): value for key, value in headers.items()}}
        return admin.world.request("POST", "/api/v1/jobs", content=content, headers=said).json()["code"]

    assert code(b'{"job_id": "a"}', content_type="application/x-www-form-urlencoded") == "not_json_type"
    assert code(b'{"job_id": "a"}', content_type="text/plain") == "not_json_type"
    assert code(b'{"job_id": "a"}') == "not_json_type"
    assert code(b"{", content_type="application/json") == "body_not_json"
    assert code(b"\xff\xfe", content_type="application/json") in ("body_not_json", "bad_request")
    assert code(b"[" * 100_000, content_type="application/json") in ("body_not_json", "bad_request")
    assert code(b" " * (MOST_BYTES + 1), content_type="application/json") == "body_too_large"
    assert code(b"{}", content_type="application/json", content_length="-1") == "bad_request"

    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(MOST_BYTES // 65536 + 1):
            yield b" " * 65536

    headers = {**admin.headers, "Content-Type": "application/json"}
    answer = admin.world.request("POST", "/api/v1/jobs", content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), "its length is counted"


def test_every_answer_is_guarded_against_browsers(admin: Caller) -> None:
    for answer in (admin.ask("GET", "/jobs"), admin.ask("GET", "/nothing"), admin.world.request("GET", "/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


def test_errors_are_problem_documents(admin: Caller) -> None:
    assert admin.refused("GET", "/nothing", 404, "route_not_found")["instance"] == "/api/v1/nothing"
    assert admin.ask("PATCH", "/jobs").headers["allow"]
    document = admin.refused("PATCH", "/jobs", 405, "method_not_allowed")
    assert document["type"] == "urn:gnomon:error:method_not_allowed"
    assert set(document) == {"type", "title", "status", "detail", "instance", "code", "errors"}
    assert admin.refused("GET", "/jobs?limit=0", 422, "bad_value")["errors"][0]["key"] == "query.limit"


def test_a_bug_is_told_as_one_and_hides_its_inside(
    world: World, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("secret inside")

    monkeypatch.setattr("gnomon.operations.jobs.list_jobs", broken)
    answer = admin.ask("GET", "/jobs")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text


def test_a_slash_in_a_name_is_written_as_code(admin: Caller) -> None:
    body = {"job_id": "team/report", "task": {"type": "command", "command": "true"}}
    admin.post("/jobs", body, 201)
    assert admin.get("/jobs/team%2Freport")["job_id"] == "team/report"
    assert admin.ask("GET", "/jobs/team/report").status_code == 404
    assert admin.post("/jobs/team%2Freport/runs", None, 201)["job_id"] == "team/report"
    assert json.loads(admin.ask("POST", "/jobs/team%2Freport/pause").text)["paused"] is True


def test_the_first_page_says_what_to_do(world: World) -> None:
    answer = world.request("GET", "/", headers={"Host": "localhost:8085"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "http://localhost:8085/api/v1/jobs" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:x@evil.example", "127.0.0.1@evil.example", "[::1]evil.example", "[::1"])
def test_a_name_with_something_behind_it_is_another(world: World, host: str) -> None:
    assert world.request("GET", "/healthz", headers={"Host": host}).status_code == 421


def test_another_scheme_beside_a_cookie_excuses_nothing(world: World) -> None:
    signed = world.request("POST", "/api/v1/session", json={"token": world.tokens[Role.ADMIN]})
    cookie = {"Cookie": "a=b; " + signed.headers["set-cookie"].partition(";")[0] + "; c"}
    for said in ("Basic YTpi", "Bearer", "Bearer ", "x"):
        both = {**cookie, "Authorization": said}
        assert world.request("POST", "/api/v1/jobs/none/pause", headers=both).json()["code"] == "foreign_origin", said
        assert world.request("GET", "/api/v1/jobs", headers=both).status_code == 200, (
            "a proxy's password is the proxy's"
        )
    both = {**cookie, "Authorization": "Bearer gnm_x", "Sec-Fetch-Site": "same-origin"}
    assert world.request("GET", "/api/v1/jobs", headers=both).status_code == 401, "a token counts before a cookie"


@pytest.mark.parametrize("cookie", ['gnomon_session="' + "\\" * 60_000 + '"', "gnomon_session=a;" * 4000, ";" * 60_000])
def test_a_bad_cookie_costs_nothing(world: World, cookie: str) -> None:
    begin = time.process_time()
    assert world.request("GET", "/api/v1/jobs", headers={"Cookie": cookie}).status_code == 401
    assert time.process_time() - begin < 1, "http.cookies takes 20 s"


def test_two_ends_of_a_body_are_one_too_many(admin: Caller) -> None:
    headers = {**admin.headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    answer = admin.world.request("POST", "/api/v1/jobs", content=b"{}", headers={**headers, "Content-Length": "2"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_length_is_read_as_a_whole(admin: Caller) -> None:
    headers = {**admin.headers, "Content-Type": "application/json"}
    for length in ("000000000000" + str(MOST_BYTES + 1), "9" * 400):
        answer = admin.world.request(
            "POST", "/api/v1/jobs", content=b"{}", headers={**headers, "Content-Length": length}
        )
        assert answer.status_code == 413, length


def test_refusals_stay_small(admin: Caller) -> None:
    long = admin.ask("POST", "/jobs/a/runs", {"k" * 900_000: 1})
    assert (long.status_code, len(long.content) < 2000) == (422, True)
    many = admin.ask("POST", "/jobs/a/runs", {f"k{n}": 1 for n in range(50_000)})
    assert (many.status_code, len(many.content) < 20_000) == (422, True)
    assert len(admin.ask("GET", "/" + "a" * 60_000).content) < 2000
    begin = time.process_time()
    words = admin.ask("GET", "/runs?" + "&".join(f"jo{n}=1" for n in range(5000)))
    assert (words.status_code, len(words.json()["errors"])) == (422, 20)
    assert time.process_time() - begin < 2


def test_strangers_send_little(world: World) -> None:
    headers = {"Content-Type": "application/json"}
    for length in ({}, {"Transfer-Encoding": "chunked"}):
        content = b'{"token": "' + b"x" * 5000 + b'"}'
        said = content if not length else _pieces(content)
        answer = world.request("POST", "/api/v1/session", content=said, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 500):
        yield content[start : start + 500]


def test_a_store_that_fails_while_the_caller_is_looked_up_hides_its_inside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Problem("store_statement", "the database /secret/gnomon.db refused SELECT")
    away = Problem("database_io_error", "the database /secret/gnomon.db (disk I/O error)")
    failures = [RuntimeError("secret inside"), InvariantViolated(wrong), Unavailable(away)]
    for error, status in zip(failures, (500, 500, 503), strict=True):
        monkeypatch.setattr("gnomon.operations.access.authenticate", _raising(error))
        answer = world.request("GET", "/api/v1/jobs", headers={"Authorization": "Bearer x"})
        assert answer.status_code == status
        assert "secret" not in answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("retry-after" in answer.headers) is (status == 503)


def test_health_does_not_tell_strangers_where_the_database_lies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Unavailable(Problem("database_cannot_open", "the database /secret/gnomon.db (unable to open)"))
    monkeypatch.setattr("gnomon.web.health.health", _raising(away))
    answer = world.request("GET", "/healthz")
    assert (answer.status_code, "secret" in answer.text) == (503, False)
    assert "cannot be opened" in answer.text


def _raising(error: Exception) -> Callable[..., object]:
    def raising(*_: object, **__: object) -> object:
        raise error

    return raising


def test_streams_of_both_kinds_count(world: World, viewer: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("gnomon.web.rest.events"), "MOST_STREAMS", 0)
    world.job("a")
    run = world.caller().post("/jobs/a/runs", None, 201)["id"]
    for path in ("/events", f"/runs/{run}/log/events"):
        viewer.refused("GET", path, 503, "too_many_streams")
