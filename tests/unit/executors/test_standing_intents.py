"""What a predecessor had begun to stop is stopped by its successor, whatever the clocks say and wherever it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Outcome
from gnomon.executors import CommandExecutor
from gnomon.executors.files import AttemptFiles, Intent, Reason, read_intent, record_intent
from gnomon.executors.invocation import scope_of
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.shared import SharedExecutor
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder
from tests.support.stopping import CALLABLES, TREE
from tests.support.things import clear, with_environment

CLOCK = SystemClock()
MORE = """
import os, time

def quick():
    return 1

def wait(ready, gate):
    open(ready, "w").close()
    while not os.path.exists(gate):
        time.sleep(0.01)
    return 2
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "stoppers.py").write_text(CALLABLES + MORE)
    yield tmp_path
    clear(tmp_path)


def intend(place: Path, run: str, later: timedelta = timedelta(0)) -> Intent:
    """What a scheduler does last before it dies."""
    return record_intent(AttemptFiles(place / "state").base(run, 1), Intent(Reason.TIMED_OUT, CLOCK.now() + later))


def spec(run: str, task: dict[str, object]) -> AttemptSpec:
    return AttemptSpec(run, 1, 1, "job", "any", task, {}, kill_grace_s=0.1)


def test_a_command_that_ended_of_it(place: Path) -> None:
    """The time of its exit is that of the kernel's coarse clock: up to 4 ms before the intent."""
    one, sink, other = CommandExecutor(place / "state", clock=CLOCK), Recorder(), Recorder()
    one.open(sink)
    task = spec("a", {"command": f"{TREE}echo $$ >{place}/pid; exec sleep 1000"})
    one.start([task])
    sink.until(lambda: (place / "pid").exists() and (place / "pid").read_text() != "")
    handle = sink.started("a").handle
    one.detach()
    at = intend(place, "a").at.timestamp() - 0.003
    os.kill(int((place / "pid").read_text()), signal.SIGTERM)
    exit_file = Path(AttemptFiles(place / "state").base("a", 1) + ".exit")
    sink.until(lambda: exit_file.exists() and exit_file.read_text().endswith("\n"))
    os.utime(exit_file, (at, at))
    two = CommandExecutor(place / "state", clock=CLOCK)
    two.open(other)
    two.adopt([Adoption(task, handle, "one")])
    assert other.ended("a").outcome is Outcome.TIMED_OUT
    assert with_environment(str(place / "state")) == []
    two.detach()


def test_an_intent_that_could_not_be_written_is_written_later(place: Path) -> None:
    """The state directory was away when the command was told to stop, and is back while its child is given its time."""
    one, sink, other = CommandExecutor(place / "state", clock=CLOCK), Recorder(), Recorder()
    one.open(sink)
    command = f"(trap '' TERM; echo 1 >{place}/pid; exec sleep 1000) & exec sleep 1000"
    task = replace(spec("a", {"command": command}), timeout_s=0.5, kill_grace_s=600)
    one.start([task])
    handle = sink.started("a").handle
    sink.until((place / "pid").exists)
    base = Path(AttemptFiles(place / "state").base("a", 1))
    base.parent.rename(place / "away")
    base.parent.write_text("in the way")
    told = Path(f"/proc/{handle.process['pid']}")
    sink.until(lambda: not told.exists() or b"sleep" not in (told / "cmdline").read_bytes())
    base.parent.unlink()
    (place / "away").rename(base.parent)
    sink.until(lambda: read_intent(str(base)) is not None)
    one.detach()
    two = CommandExecutor(place / "state", clock=CLOCK)
    two.open(other)
    two.adopt([Adoption(replace(task, kill_grace_s=0.1), handle, "one")])
    assert other.ended("a").outcome is Outcome.TIMED_OUT
    assert with_environment(str(place / "state")) == []
    two.detach()


def pool(place: Path, node: str) -> tuple[PoolExecutor, Recorder]:
    executor, sink = PoolExecutor(place / "state", node, clock=CLOCK, path=(str(place),), size=1), Recorder()
    executor.open(sink)
    return executor, sink


def test_a_call_that_ended_of_it(place: Path) -> None:
    """Its end is written down with a time before that of the intent: the clock was set back between them."""
    one, sink = pool(place, "one")
    task = spec("a", {"callable": "stoppers:tree", "args": [str(place / "ready"), False]})
    one.start([task])
    sink.until((place / "ready").exists)
    handle = sink.started("a").handle
    one.detach()
    intend(place, "a", timedelta(hours=1))
    pid, journal = handle.process["pid"], Path(f"{handle.process['path']}.journal")
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGTERM)
    sink.until(lambda: b'["X"' in journal.read_bytes())
    two, other = pool(place, "two")
    two.adopt([Adoption(task, handle, "one")])
    assert other.ended("a").outcome is Outcome.TIMED_OUT
    other.until(lambda: with_environment(f"GNOMON_SCOPE={scope_of(place / 'state')}") == [])
    two.detach()


def test_a_worker_that_was_frozen_goes_on(place: Path) -> None:
    """Its scheduler had looked what it was at, and died before it could spare it."""
    one, sink = pool(place, "one")
    tasks = [
        spec("a", {"callable": "stoppers:quick"}),
        spec("b", {"callable": "stoppers:wait", "args": [str(place / "ready"), str(place / "gate")]}),
    ]
    one.start(tasks)
    sink.until((place / "ready").exists)
    handles = [sink.started(run).handle for run in "ab"]
    intend(place, "a")
    pid = handles[1].process["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    one.detach()
    two, other = pool(place, "two")
    two.adopt([Adoption(task, handle, "one") for task, handle in zip(tasks, handles, strict=True)])
    (place / "gate").touch()
    assert other.ended("b").outcome is Outcome.SUCCEEDED
    assert other.ended("a").outcome is Outcome.TIMED_OUT
    two.detach()


def test_what_a_dead_shared_worker_had_started_goes_with_it(place: Path) -> None:
    """Its scheduler had killed it, and died before it could look for the rest."""
    options = {"clock": CLOCK, "path": (str(place),)}
    one, sink, other = SharedExecutor(place / "state", "one", **options), Recorder(), Recorder()
    one.open(sink)
    task = spec("a", {"callable": "stoppers:deaf", "arguments": {"ready": str(place / "ready")}})
    one.start([task])
    sink.until((place / "ready").exists)
    handle = sink.started("a").handle
    one.detach()
    pid = handle.process["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    two = SharedExecutor(place / "state", "two", **options)
    two.open(other)
    two.adopt([Adoption(task, handle, "one")])
    assert other.ended("a").outcome is Outcome.LOST
    mark = f"GNOMON_SCOPE={scope_of(place / 'state')}"
    assert [pid for pid in with_environment(mark) if pid != handle.process["pid"]] == []
    two.detach()
