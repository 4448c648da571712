"""What a shared worker left behind, learnt by another executor from its journal. (More in `tests/conformance`.)"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Outcome
from gnomon.executors.files import Intent, Reason, record_intent
from gnomon.executors.pool.places import Places, stories
from gnomon.executors.pool.wire import Began, Over, line, over_line
from gnomon.executors.shared import SharedExecutor
from gnomon.executors.shared.ledger import ManyJournal
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder

MODULE = """
import asyncio, os, time
async def wait(work):
    work.log("up")
    while not os.path.exists(work.arguments["gate"]):
        await asyncio.sleep(0.01)
    return "done"
async def deaf(work):
    work.log("up")
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass
async def big(work):
    return "x" * 20_000
"""


class House:
    """One directory, and executors on it, each a node of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.gate = root, root / "gate"
        (root / "chores.py").write_text(MODULE)
        self.made: list[SharedExecutor] = []

    def executor(self, node: str, **more: Any) -> tuple[SharedExecutor, Recorder]:
        sink = Recorder()
        settings = {"size": 100, "path": (str(self.root),)} | more
        executor = SharedExecutor(self.root / "state", node, clock=SystemClock(), **settings)
        executor.open(sink)
        self.made.append(executor)
        return executor, sink

    def spec(self, run_id: str, name: str, token: int = 1, **timing: float) -> AttemptSpec:
        arguments = {"callable": f"chores:{name}", "arguments": {"gate": str(self.gate)}, "secrets": []}
        return AttemptSpec(run_id, 1, token, "job", "chore", arguments, {}, **timing)  # type: ignore[arg-type]

    def up(self, run_id: str) -> bool:
        return any((self.root / "state").glob(f"*/{run_id}.1.log"))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for executor in house.made:
        executor.detach()


def test_many_of_one_worker_are_watched_on_and_begun_once(house: House) -> None:
    old, sink = house.executor("a", size=30)
    runs = [f"r{i}" for i in range(40)]
    old.start([house.spec(run, "wait") for run in runs])
    sink.until(lambda: all(house.up(run) for run in runs[:30]))
    old.detach()
    heir, news = house.executor("b")
    heir.adopt([Adoption(house.spec(run, "wait", 2), None, "a") for run in runs])
    assert all(news.ended(run).never_started for run in runs[30:])
    house.gate.touch()
    ends = [news.ended(run) for run in runs[:30]]
    assert {(end.outcome, end.result, end.token) for end in ends} == {(Outcome.SUCCEEDED, "done", 2)}
    [worker] = {news.started(run).handle.process["pid"] for run in runs[:30]}
    news.until(lambda: not _lives(worker))


def test_a_dead_worker_has_lost_what_it_had_begun(house: House) -> None:
    old, sink = house.executor("a")
    old.start([house.spec("r0", "wait"), house.spec("r1", "wait")])
    handles = [sink.started(run).handle for run in ("r0", "r1")]
    sink.until(lambda: house.up("r0") and house.up("r1"))
    old.detach()
    heir, news = house.executor("b")
    heir.adopt([Adoption(house.spec("r0", "wait", 2), handles[0], "a")])
    os.kill(handles[0].process["pid"], signal.SIGKILL)  # type: ignore[arg-type]
    heir.adopt([Adoption(house.spec("r1", "wait", 2), handles[1], "a")])
    for run in ("r0", "r1"):
        end = news.ended(run)
        assert (end.outcome, end.never_started) == (Outcome.LOST, False)


def test_a_worker_that_does_not_listen_is_killed_by_the_successor(house: House) -> None:
    old, sink = house.executor("a")
    old.start([house.spec("a", "deaf"), house.spec("other", "wait")])
    handles = {run: sink.started(run).handle for run in ("a", "other")}
    sink.until(lambda: house.up("a") and house.up("other"))
    old.detach()
    heir, news = house.executor("b")
    heir.adopt([Adoption(house.spec(run, "deaf", 2, kill_grace_s=0.2), handle, "a") for run, handle in handles.items()])
    heir.cancel("a", 1)
    assert news.ended("a").outcome is Outcome.CANCELLED
    other = news.ended("other")
    assert other.outcome is Outcome.LOST
    assert other.error is not None
    assert "was killed" in other.error.message
    assert not _lives(handles["a"].process["pid"])


def test_a_cancel_begun_is_finished_by_the_successor(house: House) -> None:
    old, sink = house.executor("a")
    old.start([house.spec("a", "wait")])
    handle = sink.started("a").handle
    sink.until(lambda: house.up("a"))
    old.detach()
    base = Places(house.root / "state", "a").attempts.base("a", 1)
    record_intent(base, Intent(Reason.CANCELLED, SystemClock().now()))  # and then the scheduler died
    heir, news = house.executor("b")
    heir.adopt([Adoption(house.spec("a", "wait", 2), handle, "a")])
    assert news.ended("a").outcome is Outcome.CANCELLED


def test_timeouts_are_kept_when_nobody_watches(house: House) -> None:
    old, sink = house.executor("a")
    old.start([house.spec("a", "wait", timeout_s=0.3)])
    worker = sink.started("a").handle.process["pid"]
    old.detach()
    sink.until(lambda: not _lives(worker))
    heir, news = house.executor("b")
    heir.adopt([Adoption(house.spec("a", "wait", 2, timeout_s=0.3), None, "a")])
    end = news.ended("a")
    assert end.outcome is Outcome.TIMED_OUT
    assert end.duration_s is not None
    assert 0.3 <= end.duration_s < 1


def test_journals_are_used_again_and_keep_every_beginning(house: House) -> None:
    executor, sink = house.executor("a")
    executor.start([house.spec("long", "wait")])
    prefix = str(sink.started("long").handle.process["path"])
    for turn in range(6):
        specs = [house.spec(f"r{turn}-{i}", "big") for i in range(40)]
        executor.start(specs)
        for spec in specs:
            sink.ended(spec.run_id)
            executor.forget(spec.run_id, 1)
    sizes = [os.stat(prefix + suffix).st_size for suffix in (".journal", ".journal2")]
    assert sum(sizes) < 6 * 40 * 20_000 / 2
    found = stories(prefix)["long", 1]
    assert found.began is not None
    assert found.over is None
    house.gate.touch()
    assert sink.ended("long").outcome is Outcome.SUCCEEDED


def test_a_beginning_is_never_missing_from_the_journal(tmp_path: Path) -> None:
    """Whatever is read between any two writes: what has begun is in it."""
    prefix = str(tmp_path / "w")
    journal = ManyJournal(prefix)
    journal.begins(("long", 1), line("S", Began("long", 1, 1, 1.0)))
    for i in range(400):
        key = (f"r{i}", 1)
        journal.begins(key, line("S", Began(*key, 1, 2.0)))
        journal.ends(key, over_line(Over(*key, 1, 3.0, 1.0, True, None, "", "", 0, None), '"%s"' % ("x" * 5000)))
        if i % 3 == 0:
            journal.forget([(f"r{j}", 1) for j in range(i)])
        told = stories(prefix)
        assert told["long", 1].began is not None
        assert told[key].over is not None
    assert os.stat(prefix + ".journal").st_size < 1_000_000


def _lives(pid: Any) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
