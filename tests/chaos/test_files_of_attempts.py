"""A command puts all kinds of things in the place of its attempt's files. It ends all the same, and hinders nobody."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Outcome
from gnomon.core.values import Json
from gnomon.executors import CommandExecutor, Logs, adopter
from gnomon.executors.files import AttemptFiles
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.shared import SharedExecutor
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder, command
from tests.support.things import THINGS, UNCHANGEABLE, clear, put, with_environment

pytestmark = [pytest.mark.chaos]

SUFFIXES = ("exit", "result", "log", "claim", "intent", "cut", "said")
PLACES = list(itertools.product(SUFFIXES, THINGS))
PATIENCE_S = 60


class Ends:
    """A sink that waits for many."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.ends: dict[str, Ended] = {}
        self._news = threading.Condition()

    def __call__(self, event: Event) -> None:
        self.recorder(event)
        with self._news:
            if isinstance(event, Ended):
                assert event.run_id not in self.ends, "ended twice"
                self.ends[event.run_id] = event
            self._news.notify_all()

    def all_of(self, runs: list[str]) -> dict[str, Ended]:
        with self._news:
            self._news.wait_for(lambda: set(runs) <= set(self.ends), PATIENCE_S)
            assert [run for run in runs if run not in self.ends] == [], "these have not ended"
        return self.ends


class Place:
    """An executor, and commands that spoil a file each."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.ready = root, root / "state", root / "ready"
        self.ready.mkdir()
        self.sink = Ends()
        self.executor = self.open(self.sink)
        self.names = {f"{suffix}: {thing}": (suffix, thing) for suffix, thing in PLACES}

    def open(self, sink: Ends) -> CommandExecutor:
        executor = CommandExecutor(self.state, clock=SystemClock())
        executor.open(sink)
        return executor

    def specs(self, then: str, timeout_s: float | None = None) -> list[AttemptSpec]:
        """They spoil, say so, and go on as told; every second one has a timeout."""
        made = []
        for number, (run, (suffix, thing)) in enumerate(self.names.items()):
            text = f'B="${{GNOMON_RESULT%.result}}"; {put(thing, f"$B.{suffix}")}: >{self.ready}/{number}; {then}'
            made.append(command(run, text, timeout_s=timeout_s if number % 2 else None, kill_grace_s=0.2))
        return made

    def spoilt(self, specs: list[AttemptSpec]) -> None:
        """Wait until all have."""
        wanted = {str(number) for number, spec in enumerate(specs) if spec.timeout_s is None}
        self.sink.recorder.until(lambda: wanted <= {path.name for path in self.ready.iterdir()})

    def innocent(self, executor: CommandExecutor, sink: Ends) -> None:
        """Somebody else is not hindered, now."""
        executor.start([command("innocent", ["echo", "well"])])
        assert sink.recorder.ended("innocent").outcome is Outcome.SUCCEEDED

    def look(self) -> None:
        """What readers, janitors and backups ask of the files."""
        logs = Logs(self.state)
        for run in self.names:
            logs.read(run, 1)
            logs.read(run, 1, 1 << 61)
            logs.size(run, 1)

    def clean(self, executor: CommandExecutor) -> None:
        """All can be removed."""
        later = SystemClock().now() + timedelta(days=1)
        kept = executor.leftovers(later)
        assert {run for run, _ in kept} <= {*self.names, "innocent"}
        for run in self.names:
            executor.forget(run, 1)
            Logs(self.state).delete(run, 1)
        self.sink.recorder.until(lambda: not [run for run, _ in executor.leftovers(later) if run != "innocent"])
        left = [path.name for path in self.state.glob("??/*") if not path.name.startswith("innocent")]
        assert left == []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(adopter, "_UNCLEAR_S", 0.5)
    place = Place(tmp_path)
    yield place
    place.executor.detach()
    clear(tmp_path)


def test_it_ends_by_itself(place: Place) -> None:
    place.executor.start(place.specs("exit 0"))
    ends = place.sink.all_of(list(place.names))
    place.innocent(place.executor, place.sink)
    place.look()
    for run, (suffix, _) in place.names.items():
        end = ends[run]
        if suffix in ("result", "said") and end.outcome is not Outcome.SUCCEEDED:
            assert (end.outcome, end.error and end.error.code) == (Outcome.FAILED, "bad_result"), run
        else:
            assert end.outcome is Outcome.SUCCEEDED, (run, end)
        assert end.log_bytes <= 100_200
        assert end.finished_at <= SystemClock().now()
    for thing in ("directory", "pipe", "device", "link to /dev/zero", "pipe with a writer"):
        assert ends[f"result: {thing}"].outcome is Outcome.FAILED, thing
    place.clean(place.executor)


def test_it_is_stopped(place: Place) -> None:
    """Half of them by their timeouts, half by a cancel."""
    specs = place.specs("sleep 1000", timeout_s=4.0)
    place.executor.start(specs)
    place.spoilt(specs)
    place.innocent(place.executor, place.sink)
    place.look()
    for spec in specs:
        if spec.timeout_s is None:
            place.executor.cancel(spec.run_id, 1)
    ends = place.sink.all_of(list(place.names))
    wanted = {spec.run_id: Outcome.TIMED_OUT if spec.timeout_s else Outcome.CANCELLED for spec in specs}
    assert {run: ends[run] for run in wanted if ends[run].outcome is not wanted[run]} == {}
    assert with_environment(str(place.state)) == []
    place.clean(place.executor)


def test_its_scheduler_dies(place: Place) -> None:
    """The next one ends it as soon as somebody wants that, whether the start was told or not."""
    specs = place.specs("sleep 1000")
    place.executor.start(specs)
    place.spoilt(specs)
    handles = {run: place.sink.recorder.started(run).handle for run in list(place.names)[::2]}
    place.executor.detach()
    sink = Ends()
    place.executor = place.open(sink)
    place.executor.adopt([Adoption(spec, handles.get(spec.run_id)) for spec in specs])
    place.innocent(place.executor, sink)
    for run in place.names:
        place.executor.cancel(run, 1)
    ends = sink.all_of(list(place.names))
    place.look()
    assert {ends[run].outcome for run in place.names} <= {Outcome.CANCELLED, Outcome.LOST}
    assert [run for run in handles if ends[run].never_started] == []
    place.clean(place.executor)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("chattr"), reason="needs root and chattr")
def test_what_can_not_be_removed_stays(place: Place) -> None:
    """It is asked for again and again, and hinders nobody."""
    text = 'B="${GNOMON_RESULT%.result}"; F="$B.{suffix}"; rm -f "$F"; ' + UNCHANGEABLE
    runs = [f"{suffix}: unchangeable" for suffix in SUFFIXES]
    try:
        place.executor.start([command(run, text.replace("{suffix}", run.partition(":")[0])) for run in runs])
        place.sink.all_of(runs)
        for run in runs:
            place.executor.forget(run, 1)
            Logs(place.state).delete(run, 1)
        place.innocent(place.executor, place.sink)
        assert place.executor.leftovers(SystemClock().now() + timedelta(days=1))
    finally:
        subprocess.run(["chattr", "-R", "-i", place.state], check=False)


MODULE = """
import glob, os, subprocess, time

def prefix():
    for link in glob.glob("/proc/self/fd/*"):
        name = os.path.realpath(link)
        if name.removesuffix(" (deleted)").endswith((".journal", ".journal2")):
            return name.rpartition(".")[0]

def spoil(script, suffix, base, ready="", seconds=0.0):
    place = base if suffix in ("log", "intent", "args", "cut") else prefix()
    with open("/dev/null") as null:
        subprocess.run(["sh", "-c", script], env={**os.environ, "B": f"{place}.{suffix}"}, stdin=null, stdout=null)
    print("printed")
    if ready:
        open(ready, "w").close()
    time.sleep(seconds)
    return 1

def innocent():
    return "well"
"""
CALLS = list(itertools.product(("log", "intent", "cut", "journal", "journal2", "id", "out.1"), THINGS))


class Calls:
    """A pool, and calls of it."""

    def __init__(self, root: Path) -> None:
        (root / "spoilers.py").write_text(MODULE)
        self.root, self.state = root, root / "state"
        self.files, self.sink = AttemptFiles(self.state), Ends()
        self.pool = PoolExecutor(self.state, "node", clock=SystemClock(), path=(str(root),), size=4)
        self.pool.open(self.sink)

    def start(self, run: str, name: str, **more: Json) -> None:
        task: dict[str, Json] = {"callable": f"spoilers:{name}", "kwargs": more}
        self.pool.start([AttemptSpec(run, 1, 1, "job", "python", task, {}, kill_grace_s=0.2)])

    def spoil(self, suffix: str, thing: str, **more: Json) -> str:
        run = f"{suffix}: {thing}"
        self.start(run, "spoil", script=put(thing, "$B"), suffix=suffix, base=self.files.base(run, 1), **more)
        return run

    def check(self, runs: list[str]) -> dict[str, Ended]:
        """They end, innocent ones beside them succeed, what is left of them can be read and removed."""
        innocent = [f"innocent {number}" for number in range(20)]
        for run in innocent:
            self.start(run, "innocent")
        ends = self.sink.all_of(runs + innocent)
        assert [end for run, end in ends.items() if run in innocent and end.result != "well"] == []
        for run in runs:
            Logs(self.state).read(run, 1)
            Logs(self.state).delete(run, 1)
            assert list(self.state.glob(f"??/{run}.1.log")) == []
        return ends


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Calls]:
    calls = Calls(tmp_path)
    yield calls
    calls.pool.detach()
    clear(tmp_path)


def test_calls_end_by_themselves(calls: Calls) -> None:
    """What a call puts in the place of its own files, and of its worker's."""
    ends = calls.check([calls.spoil(suffix, thing) for suffix, thing in CALLS])
    assert {run: end.error for run, end in ends.items() if end.outcome is not Outcome.SUCCEEDED} == {}


def test_calls_are_stopped(calls: Calls) -> None:
    """Every sixth of them: each costs a worker process."""
    for suffix, thing in CALLS[::6]:
        ready = calls.root / "ready"
        run = calls.spoil(suffix, thing, ready=str(ready), seconds=1000.0)
        calls.sink.recorder.until(ready.exists)
        ready.unlink()
        calls.pool.cancel(run, 1)
    ends = calls.check([f"{suffix}: {thing}" for suffix, thing in CALLS[::6]])
    assert {end.outcome for run, end in ends.items() if "innocent" not in run} == {Outcome.CANCELLED}


SHARED = """
import asyncio, os
from gnomon.tasks.performing import Work

ONE = asyncio.Lock()

async def spoil(work: Work):
    given = work.arguments
    if given["suffix"] in ("log", "intent", "args"):
        place = given["base"]
    else:
        names = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        names = [name for name in names if name.removesuffix(" (deleted)").endswith((".journal", ".journal2"))]
        place = names[0].rpartition(".")[0]
    env = {**os.environ, "B": f"{place}.{given['suffix']}"}
    null = asyncio.subprocess.DEVNULL
    async with ONE:  # files that all share: a shell would wait for ever for the pipe that another has just made there
        process = await asyncio.create_subprocess_exec("sh", "-c", given["script"], env=env, stdin=null, stdout=null)
        await process.wait()
    work.log("said")
    if given["ready"]:
        open(given["ready"], "w").close()
        await asyncio.Event().wait()
    return 1

async def innocent(work: Work):
    return "well"
"""
TOGETHER = list(itertools.product(("log", "intent", "journal", "journal2", "id"), THINGS))


def test_those_in_one_worker(tmp_path: Path) -> None:
    """What an async task puts in the place of its own files, and of the worker's that it shares; some are cancelled."""
    (tmp_path / "spoilers.py").write_text(SHARED)
    state = tmp_path / "state"
    files, sink = AttemptFiles(state), Ends()
    executor = SharedExecutor(state, "node", clock=SystemClock(), path=(str(tmp_path),), size=200)
    executor.open(sink)

    def start(run: str, name: str, **more: Json) -> None:
        task: dict[str, Json] = {"callable": f"spoilers:{name}", "arguments": more}
        executor.start([AttemptSpec(run, 1, 1, "job", "async", task, {}, kill_grace_s=10.0)])

    try:
        runs, stopped = [], {}
        for number, (suffix, thing) in enumerate(TOGETHER):
            run = f"{suffix}: {thing}"
            ready = str(tmp_path / f"ready{number}") if number % 3 == 0 else ""
            start(run, "spoil", script=put(thing, "$B"), suffix=suffix, base=files.base(run, 1), ready=ready)
            runs.append(run)
            if ready:
                stopped[run] = Path(ready)
        for run in (innocent := [f"innocent {number}" for number in range(20)]):
            start(run, "innocent")
        for run, path in stopped.items():
            sink.recorder.until(path.exists)
            executor.cancel(run, 1)
        ends = sink.all_of(runs + innocent)
        assert [ends[run] for run in innocent if ends[run].result != "well"] == []
        wanted = {run: Outcome.CANCELLED if run in stopped else Outcome.SUCCEEDED for run in runs}
        assert {run: ends[run] for run in runs if ends[run].outcome is not wanted[run]} == {}
    finally:
        executor.detach()
        clear(tmp_path)
