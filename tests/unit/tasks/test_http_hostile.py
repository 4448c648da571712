"""http tasks against servers that mean harm, and beside each other in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gnomon.tasks import http_body, http_following, http_run
from gnomon.tasks.email_message import letter_of
from gnomon.tasks.http import HTTP
from gnomon.tasks.http_run import run
from gnomon.tasks.performing import TaskFailed, Work
from tests.support.http_server import HttpServer, http_server
from tests.support.service import until
from tests.unit.tasks.http_support import failed, perform

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def work(state: dict[str, Any] | None = None, **arguments: Any) -> Work:
    state = {} if state is None else state
    return Work(HTTP.validate(arguments), lambda text: None, {"GNOMON_RUN_ID": "r"}, loop_state=state)


def test_the_body_of_a_challenge_is_not_read(server: HttpServer) -> None:
    auth = {"digest": {"username": "me", "password": "secret"}}

    async def attempt() -> Any:
        async with asyncio.timeout(10):
            return await run(work(url=f"{server.url}/challenge", auth=auth))

    assert asyncio.run(attempt())["json"] == {"ok": True}


def test_a_body_goes_to_no_other_server(server: HttpServer) -> None:
    with http_server() as other:
        for code in (307, 308):
            url = f"{server.url}/redirect?code={code}&to={quote(other.url + '/echo')}"
            for body in ({"json": {"password": "p"}}, {"form": {"password": "p"}}, {"files": {"f": {"content": "x"}}}):
                failure = failed({"url": url, "method": "POST", **body})
                assert failure.task_code == "bad_redirect"
                assert f"{other.url}/echo" in failure.message
            assert perform({"url": url, "method": "POST"})["json"]["method"] == "POST", "there was no body"
        assert [request.body for request in other.seen] == [b"", b""]
    same = f"{server.url}/redirect?code=307&to=/echo"
    assert perform({"url": same, "method": "POST", "body": "b"})["status"] == 200
    assert server.seen[-1].body == b"b"


@pytest.mark.parametrize(
    ("before", "after", "goes"),
    [
        ("http://h/a", "https://h/a", True),
        ("http://h/a", "https://h:8443/a", False),
        ("http://h:8080/a", "https://h/a", False),
        ("http://h/a", "https://g/a", False),
        ("https://h/a", "http://h/a", False),
        ("https://h/a", "https://h.evil/a", False),
    ],
)
def test_but_a_body_goes_from_http_to_https_of_the_same_host(before: str, after: str, goes: bool) -> None:
    one, other = httpx.Request("POST", before, content=b"x"), httpx.Request("POST", after, content=b"x")
    other.headers["X-Token"] = "t"
    if goes:
        http_following._leave(one, other, work(url=before))
        assert "x-token" not in other.headers
    else:
        with pytest.raises(TaskFailed):
            http_following._leave(one, other, work(url=before))


def test_who_was_sent_elsewhere_comes_back_without_credentials(server: HttpServer) -> None:
    with http_server() as other:
        back = f"{other.url}/redirect?to={quote(server.url + '/echo')}"
        auth = {"basic": {"username": "me", "password": "secret"}}
        perform({"url": f"{server.url}/redirect?to={quote(back)}", "auth": auth, "headers": {"X-Token": "t"}})
        assert server.seen[0].header("authorization")
        for request in (*other.seen, server.seen[-1]):
            assert request.header("authorization") is None
            assert request.header("x-token") is None


def test_cookies_stay_with_their_run(server: HttpServer) -> None:
    state: dict[str, Any] = {}

    async def both() -> None:
        for _ in range(2):
            await run(work(state, url=f"{server.url}/redirect?to=/echo"))

    asyncio.run(both())
    assert [request.header("cookie") for request in server.seen] == [None, "a=b", None, "a=b"]


def test_a_body_without_end_is_given_up(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_body, "MOST", 3 << 20)
    assert perform({"url": f"{server.url}/huge/2"})["size"] == 2 << 20
    failure = failed({"url": f"{server.url}/huge/500"})
    assert failure.task_code == "body_too_large"
    assert "`file`" in failure.message


def test_large_bodies_are_judged_while_others_go_on(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, done = threading.Event(), threading.Event()
    waited: list[bool] = []
    real = http_run.body_problems

    def slowly(*arguments: Any) -> list[str]:
        if len(arguments[1]) > 1 << 20:
            begun.set()
            waited.append(done.wait(3))
        return real(*arguments)

    monkeypatch.setattr(http_run, "body_problems", slowly)
    state: dict[str, Any] = {}

    async def both() -> None:
        large = asyncio.create_task(run(work(state, url=f"{server.url}/huge/2", expect={"regex": "^x"})))
        assert await asyncio.to_thread(begun.wait, 10)
        await run(work(state, url=f"{server.url}/text/hello", expect={"regex": "^h"}))
        done.set()
        await large

    asyncio.run(both())
    assert waited == [True]


def test_who_is_cancelled_leaves_no_connection(server: HttpServer) -> None:
    async def attempt() -> None:
        task = asyncio.create_task(run(work(url=f"{server.url}/drip", expect={"body_contains": "y"})))
        while not server.active:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(until, lambda: not server.active, "the server sees that nobody listens")

    asyncio.run(attempt())


def test_a_server_without_tls_is_told_from_a_bad_certificate(server: HttpServer) -> None:
    failure = failed({"url": server.url.replace("http:", "https:")})
    assert failure.task_code == "tls_failed"
    assert "does the server speak TLS" in failure.message


def test_uploads_and_attachments_keep_to_the_roots_of_files(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "mine").write_text("mine")
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "inner").symlink_to("mine")
    monkeypatch.setenv("GNOMON_FILE_ROOTS", str(root))
    given = {"url": f"{server.url}/echo", "method": "POST"}
    for path in (tmp_path / "secret", root / "link", f"{root}/../secret"):
        assert failed({**given, "files": str(path)}).task_code == "outside_roots"
        with pytest.raises(TaskFailed) as caught:
            letter_of({"from": "a@b.c", "to": ["d@e.f"], "attachments": [{"path": str(path)}]}, "r", NOW)
        assert caught.value.task_code == "outside_roots"
    assert failed({**given, "files": f"{root}/none"}).task_code == "file_missing"
    assert server.seen == []
    perform({**given, "files": f"{root}/inner"})
    assert b"mine" in server.seen[-1].body
