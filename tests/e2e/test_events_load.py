"""Fifty who follow live, and some who never read: nobody lags, nobody costs much, nobody grows the server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gnomon.app.parts import open_parts
from gnomon.operations.jobs import pause_job, resume_job
from gnomon.operations.settings import load_settings
from tests.support.service import until
from tests.support.web import WebSite, client, web_site

CLIENTS, RATE, SECONDS = 50, 20, 5
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Follower:
    """Reads the stream, and notes when it learnt of which change."""

    def __init__(self) -> None:
        self.learnt: dict[int, float] = {}

    async def follow(self, host: str, port: int, token: str) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        try:
            while line := await reader.readline():
                if line.startswith(b"data: "):
                    self.learnt.setdefault(json.loads(line[6:])["seq"], time.time())
        except asyncio.CancelledError:
            writer.close()
            raise


@asynccontextmanager
async def crowd(host: str, port: int, token: str, count: int) -> AsyncIterator[list[Follower]]:
    """Followers who have all been greeted: they are told of everything from here on."""
    followers = [Follower() for _ in range(count)]
    tasks = [asyncio.create_task(one.follow(host, port, token)) for one in followers]
    try:
        await asyncio.to_thread(until, lambda: all(one.learnt for one in followers), "everybody is greeted", 60)
        yield followers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
def test_fifty_followers_at_twenty_events_a_second(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        url = place.listening()
        host, port = url.removeprefix("http://").split(":")
        token, pid = place.token(), place.process.pid
        with client(url, token) as ask:
            ask.put("/jobs/a", json={"task": {"type": "command", "command": "true"}})
        alone, _, _ = _measure(place, host, int(port), token, 0, pid)
        crowded, followers, made = _measure(place, host, int(port), token, CLIENTS, pid)
    lags = sorted(learnt - made[seq] for one in followers for seq, learnt in one.learnt.items() if seq in made)
    share = (crowded - alone) / SECONDS
    p95 = lags[int(len(lags) * 0.95)]
    print(
        f"{CLIENTS} followers, {RATE} events/s for {SECONDS} s: {share:.1%} of a core for them "
        f"({alone / SECONDS:.1%} without), lag p50 {lags[len(lags) // 2] * 1000:.0f} ms p95 {p95 * 1000:.0f} ms "
        f"max {lags[-1] * 1000:.0f} ms"
    )
    assert all(set(made) <= set(one.learnt) for one in followers), "nobody misses an event"
    assert p95 < 1.0
    assert share < 0.25, "on a quiet machine it is below a tenth"


def _measure(
    place: WebSite, host: str, port: int, token: str, clients: int, pid: int
) -> tuple[float, list[Follower], dict[int, float]]:
    """Processor seconds of the server, what the followers learnt, and when each change was committed."""
    settings = load_settings({"db": f"sqlite:///{place.db}"}, {}, search=False)
    made: dict[int, float] = {}

    async def changes(followers: list[Follower]) -> float:
        with open_parts(settings) as parts:
            desk = parts.desk("test")
            begin, start = cpu_s(pid), time.monotonic()
            for i in range(RATE * SECONDS):
                await asyncio.sleep(max(0.0, start + i / RATE - time.monotonic()))  # the rate is the test
                await asyncio.to_thread(pause_job if i % 2 else resume_job, desk, "a")
                made[desk.store.read(lambda r: r.last_change())] = time.time()
            last = max(made)
            told = "everybody was told of the last change"
            await asyncio.to_thread(until, lambda: all(last in one.learnt for one in followers), told)
            return cpu_s(pid) - begin

    async def both() -> tuple[float, list[Follower]]:
        async with crowd(host, port, token, clients) as followers:
            return await changes(followers), followers

    spent, followers = asyncio.run(both())
    return spent, followers, made


@pytest.mark.slow
def test_who_never_reads_grows_nothing(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        url = place.listening()
        host, port = url.removeprefix("http://").split(":")
        token, pid = place.token(), place.process.pid
        with client(url, token) as ask:
            ask.put("/jobs/a", json={"task": {"type": "command", "command": "true"}})
            sockets = [socket.create_connection((host, int(port))) for _ in range(30)]
            for one in sockets:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                head = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
                one.sendall(head.encode())
            settings = load_settings({"db": f"sqlite:///{place.db}"}, {}, search=False)
            with open_parts(settings) as parts:
                desk = parts.desk("test")
                for _ in range(150):
                    pause_job(desk, "a")
                    resume_job(desk, "a")
                before = rss_mb(pid)
                for _ in range(500):
                    pause_job(desk, "a")
                    resume_job(desk, "a")
            until(lambda: ask.get("/jobs/a").status_code == 200, "others are served")
            after = rss_mb(pid)
            print(f"30 who never read, 1,000 events: {before:.1f} MB -> {after:.1f} MB")
            assert after - before < 25
            for one in sockets:
                one.close()
