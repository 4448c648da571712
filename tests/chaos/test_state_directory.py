"""The state directory fails for a while: what is asked of executors meanwhile ends or waits, and then all is well."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Executor, Handle, Outcome
from gnomon.executors import CommandExecutor, Logs, shim
from gnomon.executors.inline import InlineExecutor
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.processes import find
from gnomon.executors.shared import SharedExecutor
from gnomon.system.clock import SystemClock
from gnomon.system.filelock import HeldLock, is_held
from gnomon.testing.executors import Recorder
from tests.support.things import clear, put_back

pytestmark = [pytest.mark.chaos]

MODULE = """
import asyncio, logging, os, time
from gnomon.tasks.performing import Work

def wait(gate):
    print("printed")
    logging.getLogger("mine").warning("logged")
    if gate:
        open(gate + ".begun", "w").close()
    while gate and not os.path.exists(gate):
        time.sleep(0.01)
    return 1

async def wait_async(work: Work):
    work.log("printed")
    while work.arguments["gate"] and not os.path.exists(work.arguments["gate"]):
        await asyncio.sleep(0.01)
    return 1
"""
NAMES = ("commands", "pool", "shared", "inline")


def unwritable(state: Path) -> Callable[[], object]:
    """For root too, where the file system knows flags."""
    places = [state, *(path for path in state.rglob("*") if path.is_dir())]
    if (
        os.geteuid() == 0
        and subprocess.run(["chattr", "+i", *places], capture_output=True, check=False).returncode == 0
    ):
        return lambda: subprocess.run(["chattr", "-i", *places], check=True)
    for place in places:
        place.chmod(0o500)
    return lambda: [place.chmod(0o700) for place in places]


def emptied(state: Path) -> Callable[[], object]:
    for path in state.iterdir():
        gone(path)
    return lambda: None


def removed(state: Path) -> Callable[[], object]:
    gone(state)
    return lambda: None


def gone(path: Path) -> None:
    """Somebody may be making it anew meanwhile."""
    while path.exists():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def file_in_its_place(state: Path) -> Callable[[], object]:
    other = state.with_name("other")
    other.touch()
    while True:
        gone(state)
        with contextlib.suppress(OSError):
            other.rename(state)
            return state.unlink


def away_and_back(state: Path) -> Callable[[], object]:
    away = state.rename(state.with_name("away"))
    end = file_in_its_place(state)

    def back() -> None:
        end()
        put_back(away, state)

    return back


def full(state: Path) -> Callable[[], object]:
    """Needs a file system of its own (`small`)."""
    with contextlib.suppress(OSError), (state / "ballast").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    return (state / "ballast").unlink


def read_only(state: Path) -> Callable[[], object]:
    """Needs a file system of its own (`small`)."""
    subprocess.run(["mount", "-o", "remount,ro", state], check=True)
    return lambda: subprocess.run(["mount", "-o", "remount,rw", state], check=True)


class Place:
    """An executor on a state directory."""

    def __init__(self, root: Path, name: str) -> None:
        (root / "chores.py").write_text(MODULE)
        self.root, self.state, self.name, self.gate = root, root / "state", name, root / "gate"
        self.sink = Recorder()
        self.executor = self.open("one", self.sink)

    def open(self, node: str, sink: Recorder) -> Executor:
        clock, executor = SystemClock(), None
        more: dict[str, Any] = {"clock": clock, "path": (str(self.root),)}
        match self.name:
            case "commands":
                executor = CommandExecutor(self.state, clock=clock)
            case "pool":
                executor = PoolExecutor(self.state, node, size=3, **more)
            case "shared":
                executor = SharedExecutor(self.state, node, **more)
            case _:
                place: dict[str, Any] = {}
                exec(MODULE, place)  # in this process
                executor = InlineExecutor(clock=clock, functions={"chores:wait": place["wait"]}, directory=self.state)
        executor.open(sink)
        return executor

    def spec(self, run: str, gate: str = "") -> AttemptSpec:
        match self.name:
            case "commands":
                task: dict[str, Any] = {
                    "command": f'echo printed; while [ "{gate}" ] && [ ! -e "{gate}" ]; do sleep 0.05; done'
                }
            case "shared":
                task = {"callable": "chores:wait_async", "arguments": {"gate": gate}}
            case _:
                task = {"callable": "chores:wait", "args": [gate]}
        return AttemptSpec(run, 1, 1, "job", self.name, task, {}, kill_grace_s=0.2)

    def begin(self, run: str) -> Handle:
        """Have one begin that prints and waits for the gate. What a call in the pool prints is not seen at once."""
        self.executor.start([self.spec(run, str(self.gate))])
        begun = self.root / "gate.begun"
        self.sink.until(lambda: begun.exists() if self.name == "pool" else self.log(run) != b"")
        return self.sink.started(run).handle

    def log(self, run: str) -> bytes:
        return Logs(self.state).read(run, 1)[0]


@pytest.fixture(params=NAMES)
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    place = Place(tmp_path, request.param)
    yield place
    with contextlib.suppress(OSError):
        subprocess.run(["chattr", "-R", "-i", str(tmp_path)], capture_output=True, check=False)
    place.gate.touch()
    place.executor.detach()
    clear(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """The state directory as a file system of its own, where that is allowed."""
    (tmp_path / "state").mkdir()
    order = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path / "state")]
    if os.geteuid() != 0 or subprocess.run(order, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path / "state"], check=True)


@pytest.mark.parametrize("fails", [full, read_only])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_its_disk_fails_for_a_while(
    small: Path, place: Place, fails: Callable[[Path], Callable[[], object]], busy: bool
) -> None:
    """Remounting as read-only needs that nobody writes: then it is nothing to be tried."""
    try:
        test_it_fails_for_a_while(place, fails, busy)
    except subprocess.CalledProcessError:
        pytest.skip("somebody has a file open for writing")


@pytest.mark.parametrize("fails", [unwritable, emptied, removed, file_in_its_place, away_and_back])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_it_fails_for_a_while(place: Place, fails: Callable[[Path], Callable[[], object]], busy: bool) -> None:
    place.executor.start([place.spec("before")])
    assert place.sink.ended("before").outcome is Outcome.SUCCEEDED
    if busy:
        place.begin("busy")
    mend = fails(place.state)
    meanwhile = [f"meanwhile {number}" for number in range(6)]
    place.executor.start([place.spec(run) for run in meanwhile])
    place.executor.start([place.spec("cancelled", str(place.root / "never"))])
    looks = itertools.count()
    place.sink.until(lambda: len(place.sink.events) > 12 or next(looks) > 50)  # it may have no event at all
    place.executor.cancel("cancelled", 1)
    mend()
    place.gate.touch()
    if place.name == "inline":
        (place.root / "never").touch()  # a thread can not be stopped
    for run in meanwhile:
        end = place.sink.ended(run)
        refused = fails is full and end.error is not None and end.error.code == "OSError"  # to print
        assert end.outcome is Outcome.SUCCEEDED or end.never_started or refused, end
    place.sink.ended("cancelled")
    if busy:
        assert place.sink.ended("busy").outcome is Outcome.SUCCEEDED
    place.executor.start([place.spec(f"after {number}") for number in range(6)])
    for number in range(6):
        assert place.sink.ended(f"after {number}").outcome is Outcome.SUCCEEDED
        assert b"logged" in place.log(f"after {number}") or b"printed" in place.log(f"after {number}")


@pytest.mark.parametrize("fails", [unwritable, emptied, removed, file_in_its_place, away_and_back])
def test_what_ends_meanwhile_has_succeeded(place: Place, fails: Callable[[Path], Callable[[], object]]) -> None:
    """That nobody sees its result is not its fault, and no reason to do it again."""
    place.begin("busy")
    mend = fails(place.state)
    place.gate.touch()
    try:
        assert place.sink.ended("busy").outcome is Outcome.SUCCEEDED
    finally:
        mend()


@pytest.mark.parametrize("fails", [unwritable, removed, file_in_its_place, away_and_back])
def test_it_fails_while_a_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[[Path], Callable[[], object]]
) -> None:
    """The shell that stands before the command finds no place to write: that is no exit code of the command."""
    place, mends, real = Place(tmp_path, "commands"), [], shim.Spawner._start

    def late(*arguments: Any) -> shim.Spawned:
        mends.append(fails(place.state))
        return real(*arguments)

    monkeypatch.setattr(shim.Spawner, "_start", late)
    began = datetime.now(UTC)
    try:
        place.executor.start([place.spec("meanwhile")])
        end = place.sink.ended("meanwhile")
        assert end.outcome is Outcome.FAILED
        assert end.error is not None
        assert (end.error.code, end.exit_code) == ("spawn_failed", None)
        assert end.started_at is None or end.started_at >= began - timedelta(seconds=1)
    finally:
        for mend in mends:
            mend()
        place.executor.detach()
        clear(tmp_path)


@pytest.mark.parametrize("fails", [emptied, removed])
def test_its_scheduler_dies_as_well(place: Place, fails: Callable[[Path], Callable[[], object]]) -> None:
    """What has begun is not done again unseen, and nothing of it lives on."""
    if place.name == "inline":
        pytest.skip("lives in its scheduler")
    handle = place.begin("busy")
    fails(place.state)
    place.executor.detach()
    sink = Recorder()
    place.executor = place.open("two", sink)
    place.executor.adopt([Adoption(place.spec("busy"), handle, "one")])
    place.executor.cancel("busy", 1)
    end = sink.ended("busy")
    assert (end.outcome, end.never_started) in [(Outcome.LOST, False), (Outcome.CANCELLED, False)]
    pid = handle.process["pid"]
    assert isinstance(pid, int)
    sink.until(lambda: (found := find(pid)) is None or found.state in "ZX")


def test_a_node_whose_lock_is_removed_lives(tmp_path: Path) -> None:
    """It takes the name again when it next tells how it is."""
    lock = HeldLock(tmp_path / "nodes.lock")
    (tmp_path / "nodes.lock").unlink()
    assert not is_held(lock.path)
    lock.tell(b"well")
    assert is_held(lock.path)
    lock.release()
    assert not is_held(lock.path)
