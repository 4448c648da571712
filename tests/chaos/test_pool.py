"""Calls of the pool and of `shared` outlive a scheduler killed with -9 or stalled: nothing lost, wrong, or twice.

This file is also the program that is killed: a host of the pool whose store is an append-only journal. The
callables keep a ledger of their own, one O_APPEND write each, which is compared with that journal.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Handle, Started
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.shared import SharedExecutor
from gnomon.system.clock import SystemClock

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

MODULE = """
import asyncio, os, time
async def attend(work):
    name = f"{work.environment['GNOMON_RUN_ID']} {work.environment['GNOMON_ATTEMPT']}\\n"
    fd = os.open(work.arguments["ledger"], os.O_WRONLY | os.O_APPEND)
    os.write(fd, f"begin {name}".encode())
    await asyncio.sleep(work.arguments["seconds"])
    os.write(fd, f"end {name}".encode())
    os.close(fd)
    return name
def work(ledger, seconds):
    name = f"{os.environ['GNOMON_RUN_ID']} {os.environ['GNOMON_ATTEMPT']}\\n"
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    os.write(fd, f"begin {name}".encode())
    if seconds: time.sleep(seconds)
    os.write(fd, f"end {name}".encode())
    os.close(fd)
    return name
"""

# ---- the program that is killed --------------------------------------------------------------------


def host(directory: Path, node: str) -> None:
    """Perform `plan.json` to its end: journal the claim, act, journal what comes back, forget."""
    plan = json.loads((directory / "plan.json").read_text())
    journal = os.open(directory / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    state = {run: Claimed() for run in plan["runs"]}
    token = 0
    lock, done = threading.RLock(), threading.Event()
    owners: dict[str, str] = {}
    offset = 0
    settings = {"size": plan["size"], "path": (str(directory),)}
    kind = {"pool": PoolExecutor, "shared": SharedExecutor}[plan["kind"]]
    pool = kind(directory / "state", node, clock=SystemClock(), **settings)

    def note(**fact: Any) -> None:
        os.write(journal, (json.dumps(fact) + "\n").encode())

    def claim(run: str, number: int) -> AttemptSpec:
        nonlocal token
        token += 1
        one = state[run]
        one.number, one.token, one.live, one.owner = number, token, True, node
        note(kind="claim", run=run, number=number, token=token, owner=node)
        ledger, seconds = str(directory / "ledger"), plan["runs"][run]
        task: dict[str, Any] = {"callable": "chores:work", "args": [ledger, seconds]}
        if plan["kind"] == "shared":
            task = {"callable": "chores:attend", "arguments": {"ledger": ledger, "seconds": seconds}}
        return AttemptSpec(run, number, token, "job", "python", task, {})

    def owned(run: str) -> bool:
        """What a real store does with an old token: another host may have claimed the run since."""
        nonlocal offset
        with open(directory / "journal", "rb") as file:
            file.seek(offset)
            for line in file.read().splitlines():
                fact = json.loads(line)
                if fact["kind"] == "claim":
                    owners[fact["run"]] = fact["owner"]
            offset = file.tell()
        return owners.get(run) == node

    def sink(event: Event) -> None:
        with lock, locked(directory):
            one = state[event.run_id]
            if not owned(event.run_id):
                one.live, one.over = False, True
                return
            if not one.live or (event.number, event.token) != (one.number, one.token):
                return
            if isinstance(event, Started):
                note(kind="started", run=event.run_id, number=event.number, process=dict(event.handle.process))
            elif isinstance(event, Ended):
                about = {"outcome": event.outcome.value, "never": event.never_started, "result": event.result}
                note(kind="ended", run=event.run_id, number=event.number, pid=os.getpid(), **about)
                one.live, one.over = False, not event.never_started and event.outcome.value != "lost"
                pool.forget(event.run_id, event.number)
                if not one.over:
                    pool.start([claim(event.run_id, event.number + 1)])
                if all(one.over for one in state.values()):
                    done.set()

    pool.open(sink)
    with lock, locked(directory):
        for fact in read_journal(directory):
            one, token = state[fact["run"]], max(token, fact.get("token", 0))
            match fact["kind"]:
                case "claim":
                    one.number, one.token, one.owner, one.handle = fact["number"], fact["token"], fact["owner"], None
                    one.live = True
                case "started":
                    one.handle = Handle("w", fact["process"])
                case "ended":
                    one.live, one.over = False, not fact["never"] and fact["outcome"] != "lost"
        orphans = [(run, one.owner, one.handle) for run, one in state.items() if one.live]
        pool.adopt([Adoption(claim(run, state[run].number), handle, owner) for run, owner, handle in orphans])
        pool.start([claim(run, one.number + 1) for run, one in state.items() if not one.live and not one.over])
        if all(one.over for one in state.values()):
            done.set()
    done.wait()
    pool.detach()


class Claimed:
    """What the host knows of a run."""

    def __init__(self) -> None:
        self.number = self.token = 0
        self.owner = ""
        self.handle: Handle | None = None
        self.live = self.over = False


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One at a time, hosts and test."""
    with open(directory / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_journal(directory: Path) -> list[dict[str, Any]]:
    try:
        lines = (directory / "journal").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


# ---- what the tests share --------------------------------------------------------------------------


def until(condition: Callable[[], object], what: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.003)


class Stage:
    """A directory, its plan, and the hosts that play it."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.directory, self.ledger, self.kind = directory, directory / "ledger", kind
        self.ledger.touch()
        (directory / "chores.py").write_text(MODULE)
        self.hosts: list[subprocess.Popen[bytes]] = []
        self.count = 0

    def plan(self, runs: dict[str, float], size: int) -> None:
        (self.directory / "plan.json").write_text(json.dumps({"runs": runs, "size": size, "kind": self.kind}))

    def play(self) -> subprocess.Popen[bytes]:
        self.count += 1
        argv = [sys.executable, __file__, str(self.directory), f"node-{self.count}"]
        self.hosts.append(subprocess.Popen(argv))
        return self.hosts[-1]

    def lines(self) -> list[tuple[str, str, int]]:
        found = [line.split() for line in self.ledger.read_text().splitlines()]
        return [(kind, run, int(number)) for kind, run, number in found]

    def owners(self) -> set[str]:
        """The hosts that have claimed anything."""
        return {fact["owner"] for fact in read_journal(self.directory) if fact["kind"] == "claim"}

    def workers(self) -> list[int]:
        """Living workers of all hosts."""
        found = []
        for path in self.directory.glob("state/*/nodes/*/*.id"):
            try:
                one = json.loads(path.read_text())
                stat = Path(f"/proc/{one['pid']}/stat").read_text().rpartition(")")[2].split()
            except (OSError, ValueError):
                continue
            if int(stat[19]) == one["start"] and stat[0] not in "ZX":
                found.append(one["pid"])
        return found

    def check(self, *, lost: bool = False) -> None:
        """The ledger against the journal. `lost`: attempts may have been lost, since workers were killed."""
        begun = Counter((run, number) for kind, run, number in self.lines() if kind == "begin")
        ended = {(run, number) for kind, run, number in self.lines() if kind == "end"}
        assert set(begun.values()) == {1}, "an attempt was begun twice"
        outcomes: dict[tuple[str, int], dict[str, Any]] = {}
        for fact in read_journal(self.directory):
            if fact["kind"] == "ended":
                key = (fact["run"], fact["number"])
                assert key not in outcomes, f"{key} ended twice"
                outcomes[key] = fact
        for key, fact in outcomes.items():
            if fact["never"]:
                assert key not in begun, f"{key} was begun, and reported as never started"
            elif fact["outcome"] == "succeeded":
                assert key in ended
                assert fact["result"] == f"{key[0]} {key[1]}\n"
            else:
                assert lost, fact
                assert fact["outcome"] in ("lost", "failed")
        successes = Counter(run for (run, _), fact in outcomes.items() if fact["outcome"] == "succeeded")
        assert set(successes.values()) <= {1}
        if not lost:
            plan = json.loads((self.directory / "plan.json").read_text())["runs"]
            assert successes.keys() == plan.keys()
            assert begun.keys() == ended


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture(params=["pool", "shared"])
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(tmp_path, request.param)
    yield stage
    for process in stage.hosts:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
    for pid in stage.workers():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("stage", ["shared"], indirect=True)
def test_fifty_in_flight_are_finished_and_their_ends_are_learnt(stage: Stage) -> None:
    stage.plan({f"r{i}": 1.0 for i in range(60)}, size=50)
    first = stage.play()
    until(lambda: sum(kind == "begin" for kind, _, _ in stage.lines()) == 50, "fifty attempts to begin")
    first.kill()
    first.wait()
    assert len(stage.workers()) == 1
    until(lambda: not stage.workers(), "the worker to finish and go")
    assert Counter(kind for kind, _, _ in stage.lines()) == {"begin": 50, "end": 50}
    assert stage.play().wait(30) == 0
    stage.check()


def test_busy_workers_finish_and_their_ends_are_learnt(stage: Stage) -> None:
    runs = {f"long{i}": 0.4 for i in range(3)} | {f"short{i}": 0.0 for i in range(30)}
    stage.plan(runs, size=3)
    first = stage.play()
    until(lambda: sum(kind == "begin" for kind, _, _ in stage.lines()) >= 3, "three calls to begin")
    first.kill()
    first.wait()
    until(lambda: not stage.workers(), "the workers to finish and go")
    lines = stage.lines()
    assert Counter(kind for kind, _, _ in lines)["begin"] == Counter(kind for kind, _, _ in lines)["end"]
    assert stage.play().wait(30) == 0
    stage.check()


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_moments(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    stage.plan({f"r{i}": chance.choice([0, 0, 0, 0.002, 0.02, 0.15]) for i in range(400)}, size=3)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        process = stage.play()
        try:
            process.wait(0.25 + chance.random() * 0.45)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert stage.play().wait(60) == 0
    stage.check()


def test_workers_killed_too(stage: Stage) -> None:
    chance = random.Random(3)
    stage.plan({f"r{i}": chance.choice([0, 0.002, 0.02, 0.1]) for i in range(300)}, size=3)
    deadline = time.monotonic() + 4
    process = stage.play()
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(chance.random() * 0.1)
        victims = stage.workers()
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
        if chance.random() < 0.15:
            process.kill()
            process.wait()
            process = stage.play()
    assert process.wait(60) == 0
    stage.check(lost=True)


def test_a_host_stalled_beyond_its_lease_does_no_harm(stage: Stage) -> None:
    chance = random.Random(4)
    stage.plan({f"r{i}": chance.choice([0, 0.005, 0.05]) for i in range(300)}, size=2)
    stalled = []
    for _ in range(4):
        process, name = stage.play(), f"node-{stage.count}"
        until(lambda name=name: name in stage.owners(), "the host to take over")  # type: ignore[misc]
        already = len(stage.lines())
        until(lambda already=already: len(stage.lines()) > already + 4, "some work to be done")  # type: ignore[misc]
        with locked(stage.directory):
            process.send_signal(signal.SIGSTOP)
            until(lambda process=process: state_of(process.pid) == "T", "the host to stand still")  # type: ignore[misc]
        stalled.append(process)
    last = stage.play()
    until(lambda: len(stage.lines()) > 200, "a third of the work to be done")
    for process in stalled:
        process.send_signal(signal.SIGCONT)
    assert last.wait(60) == 0
    until(lambda: len({line[1:] for line in stage.lines()}) * 2 == len(stage.lines()), "what has begun to end")
    stage.check()


if __name__ == "__main__":
    host(Path(sys.argv[1]), sys.argv[2])
