"""`http` jobs through the command as installed: two hundred at once, and what that takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_server import HttpServer, http_server
from tests.support.service import Site, site, until

MANY = 200
WAIT_S = 2
LIMIT_S = 10.0
MOST_MIB = 256
"""Default memory: what scheduler and worker may take together. Nothing is set for it; see docs/tasks-http.md."""


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with site(tmp_path) as place:
        yield place


def worker_of(parent: int) -> int:
    """The process of the executor `shared`."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and b"gnomon.executors.shared" in words:
                return int(entry)
    raise AssertionError("no shared worker")


def peak_mib(pid: int) -> float:
    """The most memory (resident) that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.slow
def test_two_hundred_slow_requests_at_once(place: Site, server: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    """200 tasks that wait 2 s each: done in under 10 s, from the first that is queued to the last that has ended."""
    task = {"type": "http", "url": f"{server.url}/slow/{WAIT_S}", "expect": {"json": {"$.slept": WAIT_S}}}
    jobs = [{"job_id": f"call-{n:03}", "schedule": "@reboot", "task": task} for n in range(MANY)]
    place.write("calls.json", {"jobs": jobs})
    scheduler = place.serve("--concurrency", str(MANY))
    until(lambda: place.states() == {"succeeded": MANY}, f"{MANY} runs have succeeded", 60)
    (row,) = place.rows("select (max(finished_at) - min(queued_at)) / 1e6 as took_s from runs")
    own, worker = peak_mib(scheduler.pid), peak_mib(worker_of(scheduler.pid))
    with capsys.disabled():
        text = f"{MANY} requests of {WAIT_S} s: {row['took_s']:.2f} s, {server.most} at once"
        print(f"\n{text}; peak memory: scheduler {own:.0f} MiB, worker {worker:.0f} MiB")
    assert len(server.seen) == MANY, "none was asked twice"
    assert server.most == MANY
    assert WAIT_S <= row["took_s"] < LIMIT_S
    assert own + worker < MOST_MIB
