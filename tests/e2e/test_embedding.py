"""Applications with a scheduler inside: the examples, started as their readers would start them."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.service import until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WORKERS = 4
Serve = Callable[..., "Server"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A web server in a process of its own, and what it said."""

    def __init__(self, root: Path, command: list[str], port: int) -> None:
        self.db, self.ledger, self.url = root / "jobs.db", root / "ledger", f"http://127.0.0.1:{port}"
        self.ledger.touch()
        self.log = root / "log"
        env = {k: v for k, v in os.environ.items() if not k.startswith("GNOMON_")}
        env |= {"JOBS_DB": str(self.db), "LEDGER": str(self.ledger), "APP_DB": str(root / "app.db")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def get(self, path: str) -> Any:
        """JSON of a page, None while nobody answers."""
        try:
            answer = httpx.get(self.url + path, timeout=10, trust_env=False)
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def rows(self, sql: str) -> list[Any]:
        if not self.db.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=10)) as db:
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError:
                return []

    def stop(self) -> int:
        """TERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            for child in self.workers():
                child.kill()
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not stop:\n{self.log.read_text()}") from None


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[Server] = []

    def start(*command: str) -> Server:
        port = free_port()
        started.append(Server(tmp_path, [word.format(port=port) for word in command], port))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()


def gunicorn(app: str, workers: int, *more: str) -> list[str]:
    place = ["--chdir", str(EXAMPLES), "--bind", "127.0.0.1:{port}", "--workers", str(workers)]
    return ["-m", "gunicorn", *place, "--graceful-timeout", "5", *more, app]


def fires(server: Server) -> list[tuple[int, str, int]]:
    """(fire time in microseconds since 1970, state, attempts) of each scheduled run."""
    return server.rows("select fire_at, state, attempts from runs where schedule_id is not null order by fire_at")


def microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


@pytest.mark.slow
@pytest.mark.chaos
def test_four_processes_each_fire_once_and_killing_any_changes_nothing(serve: Serve) -> None:
    server = serve(*gunicorn("flask_app:app", WORKERS))
    until(lambda: len(server.rows("select 1 from nodes where stopped_at is null")) == WORKERS, "all have started", 30)
    until(lambda: len(fires(server)) >= 2, "it fires")
    began, victims = time.monotonic(), []
    for _ in range(3):  # the leader first: it is the one that plans
        (leader,) = server.rows("select pid from nodes n join leader l on l.node_id = n.node_id") or [(None,)]
        pids = [worker.pid for worker in server.workers()]
        victim = leader[0] if leader[0] in pids else pids[0]
        before = len(fires(server))
        os.kill(victim, signal.SIGKILL)
        victims.append(victim)
        until(lambda seen=before: len(fires(server)) >= seen + 2, "it goes on firing")
        until(lambda: len(server.workers()) == WORKERS, "gunicorn made a new one")
    until(lambda: time.monotonic() - began > 8 and server.get("/runs"), "8 seconds")
    assert server.stop() == 0

    runs = fires(server)
    assert len(runs) >= 8
    assert {later[0] - earlier[0] for earlier, later in itertools.pairwise(runs)} == {1_000_000}
    assert server.rows("select * from skips") == []
    lines = [line.split() for line in server.ledger.read_text().splitlines()]
    ledger = Counter(microseconds(at) for at, _ in lines)
    done = [run for run in runs if run[1] == "succeeded"]
    assert len(done) >= len(runs) - 1  # the last may wait for the next start
    once = [at for at, _, attempts in done if attempts == 1]
    assert len(once) >= len(done) - len(victims)  # what a victim was in the middle of is done again
    assert [at for at in once if ledger[at] != 1] == []
    assert set(ledger) <= {at for at, _, _ in runs}
    assert len({pid for _, pid in lines}) > 1
    print(f"{len(runs)} fires, {len(lines)} lines, {len(once)} at the first attempt, killed {victims}")


@pytest.mark.slow
def test_the_flask_example_with_preload(serve: Serve) -> None:
    """Started before the fork: the parent fires, and its children answer from the same database."""
    server = serve(*gunicorn("flask_app:app", 2, "--preload"))
    found = until(lambda: [r for r in server.get("/runs") or [] if r["state"] == "succeeded"], "it fires", 30)
    assert {row["by"] for row in found} == {server.process.pid}
    assert httpx.post(server.url + "/tick", timeout=10, trust_env=False).status_code == 202
    assert server.stop() == 0


@pytest.mark.slow
def test_the_fastapi_example_runs_async_jobs_on_its_own_loop(serve: Serve) -> None:
    server = serve("-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "{port}", "fastapi_app:app")
    said = until(lambda: (page := server.get("/ticks")) and page["ticks"] >= 2 and page, "it ticks", 30)
    assert said["on_this_loop"]
    assert all(said["on_this_loop"])
    assert server.stop() in (0, -signal.SIGTERM)  # uvicorn raises the signal again when it has stopped
    assert server.rows("select 1 from nodes where stopped_at is null") == []


@pytest.mark.slow
def test_the_django_example(serve: Serve) -> None:
    server = serve(*gunicorn("django_app.wsgi:application", 2))

    def done() -> list[Any]:
        page = server.get("/runs") or {"runs": []}
        return [row for row in page["runs"] if row["state"] == "succeeded"]

    found = until(lambda: len(done()) >= 2 and done(), "it fires", 30)
    assert {row["result"] for row in found} == {42}
    assert server.stop() == 0


@pytest.mark.slow
def test_the_script(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "library.py")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdout is not None
        heard: list[str] = []
        for line in script.stdout:
            heard.append(line.strip())
            if line.startswith("Hello, and goodbye!"):
                break
        script.send_signal(signal.SIGINT)
        _, err = script.communicate(timeout=20)
    assert "Hello, world!" in heard
    assert script.returncode == 0
    assert "goodbye succeeded and goodbye" in err
