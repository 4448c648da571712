"""`gnomon.Client` and `gnomon.AsyncClient` against a real server: what is lost on the way, and its death."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon import AsyncClient, Client, Conflict, NotFound, Unavailable, UsageError
from gnomon.core.errors import Forbidden, Stale, Unauthenticated
from gnomon.remote import Event
from tests.support.proxy import Proxy
from tests.support.service import until
from tests.support.web import WebSite

TASK = {"type": "command", "command": ["true"]}
TALK = {"type": "command", "command": ["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.1; done"]}


class Fixed(WebSite):
    """Its schedulers listen on the same port, one after the other."""

    port = 0

    def environment(self) -> dict[str, str]:
        return super().environment() | {"GNOMON_PORT": str(self.port)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fixed, str]]:
    place = Fixed(tmp_path_factory.mktemp("site"))
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place.port = free.getsockname()[1]
        yield place, place.listening()
    finally:
        place.close()


@pytest.fixture
def client(site: tuple[Fixed, str]) -> Iterator[Client]:
    with Client(site[1], site[0].token()) as made:
        yield made


def test_errors_are_those_of_the_library(site: tuple[Fixed, str], client: Client) -> None:
    url = site[1]
    client.put_job("a", {"task": TASK})
    seen = client.get_job("a")
    with pytest.raises(NotFound) as missing:
        client.get_job("aa")
    assert missing.value.code == "job_not_found"
    assert "'a'" in missing.value.problems[0].hint
    with pytest.raises(UsageError) as wrong:
        client.put_job("b", {"task": {"type": "command"}, "schedule": "99 * * * *", "timezone": "Mars/Base"})
    assert len(wrong.value.problems) > 1
    assert {"timezone"} <= {problem.key for problem in wrong.value.problems}
    with pytest.raises(Conflict) as there:
        client.create_job({"job_id": "a", "task": TASK})
    assert there.value.code == "job_exists"
    client.put_job("a", {"task": TASK, "description": "new"}, if_match=seen)
    with pytest.raises(Stale):
        client.delete_job("a", if_match=seen)
    with pytest.raises(UsageError) as untagged:
        client.delete_job("a", if_match=next(iter(client.list_jobs())))
    assert untagged.value.code == "no_entity_tag"
    with Client(url, client.create_token("reader", "viewer")["token"]) as reader:
        assert reader.get_session()["role"] == "viewer"
        with pytest.raises(Forbidden):
            reader.pause_job("a")
    with Client(url, "gnm_nothing") as stranger, pytest.raises(Unauthenticated):
        stranger.get_job("a")
    with Client(url) as nobody:
        assert nobody.get_health()["ok"] is True
        with pytest.raises(Unauthenticated):
            list(nobody.list_jobs())


def test_no_proxy_comes_between_this_machine_and_itself(site: tuple[Fixed, str], monkeypatch: Any) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Client(site[1], site[0].token()) as near:
        assert near.get_session()["role"] == "admin"


def test_lists_page_by_themselves(client: Client) -> None:
    for number in range(5):
        client.put_job(f"page/{number}", {"task": TASK, "labels": {"of": "pages"}})
    listing = client.list_jobs(label="of=pages", limit=2)
    assert [job["job_id"] for job in listing] == [f"page/{n}" for n in range(5)]
    first = listing.page()
    assert len(first.items) == 2
    assert [job["job_id"] for job in listing.page(first.next).items] == ["page/2", "page/3"]
    assert len(listing.page(limit=4).items) == 4
    gone = client.delete_jobs(label="of=pages")
    assert len(gone["deleted"]) == 5


@pytest.mark.slow
def test_a_lost_answer_does_nothing_twice(client: Client, site: tuple[Fixed, str]) -> None:
    client.put_job("once", {"task": TASK})
    client.put_job("then", {"task": TASK})

    def runs() -> int:
        return len(list(client.list_runs(job="once")))

    with Proxy(site[1]) as proxy, Client(proxy.url, site[0].token()) as far:
        proxy.losses = 2
        run = far.start_run("once")
        assert [one["id"] for one in client.list_runs(job="once")] == [run["id"]]
        keys = {key for _, _, key in proxy.seen}
        assert len(proxy.seen) == 3
        assert len(keys) == 1
        assert far.start_run("once")["id"] != run["id"], "another call is another run"
        proxy.losses, proxy.seen = 2, []
        assert far.get_run(run["id"])["id"] == run["id"]
        proxy.losses = 3
        with pytest.raises(Unavailable) as lost:
            far.retry_run(run["id"]) if far.get_about() else None
        assert lost.value.code == "server_unreachable"
        assert lost.value.problems[0].hint
        before, proxy.losses, proxy.seen = runs(), 1, []
        with pytest.raises(Unavailable):
            far.create_user("somebody", "viewer")
        assert len(proxy.seen) == 1, "what has no key is not sent again"
        assert client.get_user("somebody")["role"] == "viewer"
        assert runs() == before

    async def work() -> None:
        async with AsyncClient(proxy.url, site[0].token()) as far:
            count = runs()
            proxy.losses, proxy.seen = 2, []
            await far.start_run("once")
            assert runs() == count + 1
            assert len(proxy.seen) == 3
            assert [job["job_id"] async for job in far.list_jobs(id="once")] == ["once"]
            assert (await far.list_jobs(limit=1).page()).next is not None

    with Proxy(site[1]) as proxy:
        asyncio.run(work())


def test_output_goes_on_where_it_was_cut_off(client: Client, site: tuple[Fixed, str]) -> None:
    client.put_job("talk", {"task": TALK})
    wanted = "line 1\nline 2\nline 3\n"

    async def work(url: str, run_id: str) -> str:
        async with AsyncClient(url, site[0].token()) as far:
            found = [event async for event in far.follow_run_log(run_id)]
            return "".join(event.data["text"] for event in found if event.kind == "output")

    with Proxy(site[1]) as proxy, Client(proxy.url, site[0].token()) as far:
        for follow in (lambda run_id: text(far.follow_run_log(run_id)), lambda r: asyncio.run(work(proxy.url, r))):
            run = client.start_run("talk")
            proxy.losses, proxy.seen = 1, []
            assert follow(run["id"]) == wanted
            assert len(proxy.seen) == 2
    assert client.get_run_log(run["id"]).text == wanted
    part = client.get_run_log(run["id"], offset=7, limit=6)
    assert (part.data, part.next) == (b"line 2", 13)


def text(events: Iterator[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.kind == "output")


@pytest.mark.slow
def test_events_go_on_over_the_death_of_a_scheduler(site: tuple[Fixed, str], client: Client) -> None:
    place, url = site
    seen: dict[str, list[Event]] = {"sync": [], "async": []}

    def take(kind: str) -> Callable[[Event], bool]:
        def put(event: Event) -> bool:
            seen[kind].append(event)
            return "last" in event.data.get("jobs", ())

        return put

    def follow() -> None:
        put = take("sync")
        with Client(url, place.token()) as own:
            for event in own.follow_events():
                if put(event):
                    return

    async def follow_async(events: AsyncIterator[Event]) -> None:
        put = take("async")
        async for event in events:
            if put(event):
                return

    async def work() -> None:
        async with AsyncClient(url, place.token()) as own:
            await follow_async(own.follow_events())

    threads = [threading.Thread(target=f, daemon=True) for f in (follow, lambda: asyncio.run(work()))]
    for thread in threads:
        thread.start()
    until(lambda: all(seen.values()), "both follow")
    client.put_job("first", {"task": TASK})
    place.kill(place.process)
    assert place.listening() == url
    client.put_job("last", {"task": TASK})
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for events in seen.values():
        numbers = [int(event.id) for event in events if event.kind == "change"]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "none missing, none twice"
        assert [event.kind for event in events].count("hello") >= 2


def test_what_is_not_gnomon_is_said(tmp_path: Path) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = 404 if "runs" in self.path else 302 if "about" in self.path else 200
            self.send_response(code)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, *words: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}") as other:
            for ask in (lambda: other.get_job("a"), lambda: other.get_run("a"), other.get_about):
                with pytest.raises(Unavailable) as caught:
                    ask()
                assert caught.value.code == "answer_not_understood"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with Client(f"http://127.0.0.1:{server.server_port}") as gone, pytest.raises(Unavailable) as caught:
        gone.get_job("a")
    assert caught.value.code == "server_unreachable"
