"""Calls in worker processes that are stopped: they may clean up, and nothing of them survives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import Outcome

from .pool_support import Rig, callables_in, problem, rigs_of


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return callables_in(tmp_path_factory.mktemp("callables"))


@pytest.fixture
def make(home: Path, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with rigs_of(home, tmp_path / "state") as build:
        yield build


@pytest.fixture
def rig(make: Callable[..., Rig]) -> Rig:
    return make()


def test_timeout_leaves_others_alone(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=2)
    marks = tmp_path / "marks"
    hanging = rig.start("up_and_hang", str(marks), timeout_s=0.4)
    others = [rig.start("later", i) for i in range(20)]
    end = rig.sink.ended(hanging)
    assert (end.outcome, problem(end)[0]) == (Outcome.TIMED_OUT, "timed_out")
    assert end.duration_s is not None
    assert 0.38 <= end.duration_s < 3
    assert [rig.sink.ended(run).result for run in others] == list(range(20))
    assert marks.read_text() == "up\n"


def test_term_lets_it_clean_up(rig: Rig, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    run = rig.start("tidy", str(marks))
    rig.sink.until(marks.exists)
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).outcome is Outcome.CANCELLED
    assert marks.read_text() == "up\ncleaned\n"


def test_an_async_call_is_cancelled(rig: Rig) -> None:
    run = rig.start("never")
    rig.sink.started(run)
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).outcome is Outcome.CANCELLED


def test_the_deaf_are_killed(rig: Rig, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    run = rig.start("deaf", str(marks), grace_s=0.2, timeout_s=0.3)
    assert rig.sink.ended(run).outcome is Outcome.TIMED_OUT
    assert rig.run("echo", 1).outcome is Outcome.SUCCEEDED


def test_nothing_survives(rig: Rig, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    run = rig.start("with_children", str(pids), grace_s=0.1)
    rig.sink.until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).outcome is Outcome.CANCELLED
    assert [pid for pid in pids.read_text().split() if alive(int(pid))] == []


def test_what_has_not_begun_is_cancelled_at_once(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=1)
    marks = tmp_path / "marks"
    busy = rig.start("up_and_hang", str(marks), grace_s=0.0)
    waiting = [rig.start("noop") for _ in range(3)]
    rig.sink.until(marks.exists)
    rig.pool.cancel(waiting[1], 1)
    end = rig.sink.ended(waiting[1])
    assert (end.outcome, end.never_started) == (Outcome.CANCELLED, True)
    rig.pool.cancel(busy, 1)
    rig.pool.cancel("nobody", 1)
    assert [rig.sink.ended(run).outcome for run in (busy, waiting[0], waiting[2])] == ["cancelled", *["succeeded"] * 2]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
