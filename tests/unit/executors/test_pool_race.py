"""Scheduler and worker take from one queue at the same time: each attempt is called once, and each ends once.

Long form: `RACE_PACKETS=1000000 RACE_CALLS=20000 RACE_SEED=7`, with this file.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Outcome
from gnomon.core.values import Json
from gnomon.executors import processes
from gnomon.executors.attempt import Key
from gnomon.executors.pool import PoolExecutor, PoolSettings, succession
from gnomon.executors.pool.places import Story
from gnomon.executors.pool.wire import Order, opened, pack, unpack
from gnomon.executors.pool.worker import Errand, Worker
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder

SEED = int(os.environ.get("RACE_SEED", "1"))
PACKETS = int(os.environ.get("RACE_PACKETS", "6000"))
CALLS = int(os.environ.get("RACE_CALLS", "360"))

MODULE = """
import os, subprocess, time
def work(ledger, seconds):
    fd = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{os.environ['GNOMON_RUN_ID']}\\n".encode()); os.close(fd)
    if seconds: time.sleep(seconds)
def until(path, more=None):
    open(path + "-awaited", "w").close()
    while not os.path.exists(path): time.sleep(0.001)
def with_child(up, go):
    child = subprocess.Popen(["sleep", "1000"])
    open(up, "w").close()
    try:
        while not os.path.exists(go) and child.poll() is None: time.sleep(0.001)
        return child.poll()
    finally:
        child.kill()
        child.wait()
"""


def errand(number: int, directory: Path, padding: int = 0) -> Errand:
    """An attempt on its way to a worker. All are of one run: only the number tells them apart."""
    spec = AttemptSpec("r", number, 1, "job", "python", {"callable": "m:f"}, {})
    order = Order("r", number, 1, "m:f", ["x" * padding], {}, {}, str(directory / "base"), str(directory / "fence"))
    return Errand(spec, str(directory / f"r.{number}"), pack(order))


class Contended:
    """The worker's end of a socket. Whenever the scheduler takes from it, the worker may have taken before."""

    def __init__(self, theirs: socket.socket, rng: random.Random) -> None:
        self.theirs, self.rng = theirs, rng
        self.taken: list[int] = []

    def recv(self, size: int, flags: int) -> bytes:
        self.work(self.rng.choice([0, 0, 0, 1, 2]))
        return self.theirs.recv(size, flags)

    def work(self, most: int) -> None:
        """What a worker does with its packets."""
        for _ in range(most):
            try:
                data = self.theirs.recv(1 << 18, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            body = opened(data)[-1]
            order = unpack(Path(os.fsdecode(body[1:])).read_bytes() if body.startswith(b"@") else body)
            self.taken.append(order.number)

    def close(self) -> None:
        self.theirs.close()


def race(directory: Path) -> tuple[list[int], list[int]]:
    """What the worker has taken, and what was taken back from it."""
    rng, back, given = random.Random(SEED), [], 0
    (directory / "w.journal").touch()
    worker = Worker(str(directory / "w"), PoolSettings(python="/bin/true"), (), {})
    worker.process.wait()
    worker.theirs, theirs = Contended(worker.theirs, rng), worker.theirs  # type: ignore[assignment]
    contended: Any = worker.theirs
    try:
        while given < PACKETS:
            for _ in range(rng.randint(1, 16)):
                given += worker.give(errand(given, directory, 150_000 if rng.random() < 0.001 else 0))
            contended.work(rng.randint(0, 4))
            if rng.random() < 0.7:
                back += [one.spec.number for one in worker.take_back()]
            for number in contended.taken[-64:]:  # what its journal says
                worker.ahead.pop(("r", number), None)
        contended.work(PACKETS)
    finally:
        worker.close()
        theirs.close()
    return contended.taken, back


def test_what_is_taken_back_is_what_was_received(tmp_path: Path) -> None:
    taken, back = race(tmp_path)
    assert min(len(taken), len(back)) > PACKETS / 10
    assert sorted(taken + back) == list(range(len(taken + back)))


def test_the_race_notices_who_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug this is about: so many packets were received, so they must have been the last ones."""

    def counting(worker: Worker) -> list[Errand]:
        count = 0
        with contextlib.suppress(BlockingIOError):
            while worker.theirs.recv(1, socket.MSG_DONTWAIT):
                count += 1
        keys = list(worker.ahead)[len(worker.ahead) - count :] if count else []
        return [worker.ahead.pop(key) for key in keys]

    monkeypatch.setattr(Worker, "take_back", counting)
    taken, back = race(tmp_path)
    counts = Counter(taken + back)
    assert max(counts.values()) > 1
    assert len(counts) < len(taken + back)


@contextmanager
def busy_application() -> Iterator[None]:
    """Another thread of the process that never waits."""
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def specs(prefix: str, ledger: Path, rng: random.Random, count: int) -> list[AttemptSpec]:
    """Calls of nothing, a moment, or long enough that what waits behind them is taken back."""
    found = []
    for index in range(count):
        arguments: dict[str, Json] = {
            "callable": "racers:work",
            "args": [str(ledger), rng.choice([0, 0, 0, 0, 0.001, 0.005, 0.06])],
        }
        environment = {"GNOMON_RUN_ID": f"{prefix}{index}", "GNOMON_JOB_ID": "job"}
        found.append(AttemptSpec(f"{prefix}{index}", 1, 1, "job", "python", arguments, environment))
    return found


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Callable[..., PoolExecutor]]:
    (tmp_path / "racers.py").write_text(MODULE)
    pools: list[PoolExecutor] = []

    def build(sink: Recorder, size: int = 4, node: str = "node") -> PoolExecutor:
        one = PoolExecutor(tmp_path / "state", node, clock=SystemClock(), size=size, path=(str(tmp_path),))
        pools.append(one)
        one.open(sink)
        return one

    yield build
    for one in pools:
        one.detach()


def test_each_attempt_is_called_once_beside_a_busy_thread(tmp_path: Path, pool: Callable[..., PoolExecutor]) -> None:
    """Several times from the start: that is when workers are slow to take what they were given."""
    rng, ledger = random.Random(SEED), tmp_path / "ledger"
    expected: list[str] = []
    for batch in range(CALLS // 60):
        sink = Recorder()
        with busy_application():
            one = pool(sink)
            runs = specs(f"b{batch}-", ledger, rng, 60)
            expected += [spec.run_id for spec in runs]
            one.start(runs)
            assert {sink.ended(spec.run_id).outcome for spec in runs} == {Outcome.SUCCEEDED}
        one.detach()
        assert [len(sink.ends(spec.run_id)) for spec in runs] == [1] * 60
    assert sorted(ledger.read_text().split()) == sorted(expected)


def call(run_id: str, name: str, *args: str) -> AttemptSpec:
    environment = {"GNOMON_RUN_ID": run_id, "GNOMON_JOB_ID": "job"}
    return AttemptSpec(run_id, 1, 1, "job", "python", {"callable": f"racers:{name}", "args": list(args)}, environment)


@pytest.mark.parametrize("both", [False, True])
def test_a_stop_meets_the_next_attempt(
    tmp_path: Path, pool: Callable[..., PoolExecutor], monkeypatch: pytest.MonkeyPatch, both: bool
) -> None:
    """The worker has gone on, and its scheduler has not heard: the next call is spared, or stopped as wanted."""
    deaf, receive = threading.Event(), Worker.receive
    monkeypatch.setattr(Worker, "receive", lambda worker: () if deaf.is_set() else receive(worker))
    monkeypatch.setattr(Worker, "take_back", lambda worker: [])
    first, up, go = (str(tmp_path / name) for name in ("first", "up", "go"))
    sink = Recorder()
    one = pool(sink, 1)
    one.start([call("a", "until", first), call("b", "with_child", up, go)])
    sink.started("a")
    deaf.set()
    Path(first).touch()
    sink.until(lambda: os.path.exists(up))
    one.cancel("a", 1)
    if both:
        one.cancel("b", 1)
    assert sink.ended("a").outcome is Outcome.SUCCEEDED
    deaf.clear()
    if not both:
        Path(go).touch()
    end = sink.ended("b")
    assert (end.outcome, end.result) == (Outcome.CANCELLED if both else Outcome.SUCCEEDED, None)
    assert [len(sink.ends(run)) for run in "ab"] == [1, 1]


def test_an_order_that_is_gone_is_given_again(
    tmp_path: Path, pool: Callable[..., PoolExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file was removed: what the worker has just ended is told all the same."""
    monkeypatch.setattr(Worker, "take_back", lambda worker: [])
    first, sink = str(tmp_path / "first"), Recorder()
    one = pool(sink, 1)
    large = call("b", "until", first)
    one.start(
        [call("a", "until", first), replace(large, arguments={**large.arguments, "kwargs": {"more": "x" * 200_000}})]
    )
    sink.started("a")
    found = list(tmp_path.rglob("b.1.args"))
    sink.until(lambda: bool(found or found.extend(tmp_path.rglob("b.1.args"))))
    found[0].unlink()
    Path(first).touch()
    assert [sink.ended(run).outcome for run in "ab"] == [Outcome.SUCCEEDED] * 2


def test_who_needs_another_path_is_not_kept_waiting(tmp_path: Path, pool: Callable[..., PoolExecutor]) -> None:
    """The only worker has always more to do of its own kind; what came before that comes first all the same."""
    first, sink = str(tmp_path / "first"), Recorder()
    one = pool(sink, 1)
    other = call("other", "work", str(tmp_path / "ledger"), "")
    one.start([call("a", "until", first), replace(other, arguments={**other.arguments, "path": [str(tmp_path), "/"]})])
    later = [call(f"b{index}", "work", str(tmp_path / "ledger"), "") for index in range(100)]
    one.start(later)
    sink.started("a")
    Path(first).touch()
    for spec in later:
        sink.ended(spec.run_id)
    assert [event.run_id for event in sink.events if isinstance(event, Ended)][:2] == ["a", "other"]


def test_a_successor_spares_what_the_worker_has_gone_on_to(
    tmp_path: Path, pool: Callable[..., PoolExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node lives, and has more for it. That the adopted call has ended is seen when the worker is frozen only."""
    first, up, go = (str(tmp_path / name) for name in ("first", "up", "go"))
    sink, late = Recorder(), Recorder()
    one, heir = pool(sink, 1), pool(late, 1, "heir")
    monkeypatch.setattr(Worker, "take_back", lambda worker: [])
    one.start([call("a", "until", first), call("b", "with_child", up, go)])
    process = sink.started("a").handle.process
    sink.until(lambda: os.path.exists(first + "-awaited"))
    stories, pid = succession.stories, process["pid"]
    assert isinstance(pid, int)
    before = stories(str(process["path"]))

    def seen(prefix: str) -> dict[Key, Story]:
        found = processes.find(pid)
        return stories(prefix) if found is not None and found.state == "T" else before

    monkeypatch.setattr(succession, "stories", seen)
    heir.adopt([Adoption(replace(call("a", "until", first), token=2, kill_grace_s=0.0), None, "node")])
    late.started("a")
    Path(first).touch()
    sink.until(lambda: os.path.exists(up))
    heir.cancel("a", 1)
    assert late.ended("a").token == 2
    Path(go).touch()
    end = sink.ended("b")
    assert (end.outcome, end.result) == (Outcome.SUCCEEDED, None), end.error
