"""A call that an executor makes for an attempt, and that raises, is the end of that attempt and of no other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Outcome
from gnomon.executors import CommandExecutor, adopter, launcher, supervisor
from gnomon.executors.inline import InlineExecutor
from gnomon.executors.killing import Killer
from gnomon.executors.pool import PoolExecutor, reports
from gnomon.executors.pool import executor as pool_executor
from gnomon.executors.shared import SharedExecutor
from gnomon.executors.supervisor import Supervisor
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder, command


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
def commands(tmp_path: Path, sink: Recorder) -> Iterator[CommandExecutor]:
    executor = CommandExecutor(tmp_path / "state", clock=SystemClock())
    executor.open(sink)
    yield executor
    executor.detach()


def fails_for(run_id: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, but for this run it raises what nobody expects."""

    def made(*args: Any, **more: Any) -> Any:
        if any(run_id in _names(one) for one in (*args, *more.values())):
            raise ZeroDivisionError(run_id)
        return real(*args, **more)

    return made


def _names(one: object) -> set[str]:
    spec = getattr(one, "spec", one)
    found = {str(getattr(spec, "run_id", ""))}
    if isinstance(one, str):
        found.add(os.path.basename(one).partition(".")[0])
    if isinstance(one, tuple) and one:
        found.add(str(one[0]))
    return found


def lost(end: Ended) -> bool:
    return end.outcome is Outcome.LOST and end.error is not None and end.error.code == "executor_failed"


@pytest.mark.parametrize("where", ["ended", "read_claim", "read_exit"])
def test_of_a_command_that_ends(
    commands: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(supervisor, where, fails_for("bad", getattr(supervisor, where)))
    commands.start([command(run, "true") for run in ("good", "bad", "after")])
    assert lost(sink.ended("bad"))
    assert [sink.ended(run).outcome for run in ("good", "after")] == [Outcome.SUCCEEDED] * 2


@pytest.mark.parametrize("where", ["stop", "pursue"])
def test_of_a_command_that_is_stopped(
    commands: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Nothing of it is left where there is a way; if there is none, it is over for the scheduler all the same."""
    monkeypatch.setattr(Supervisor, where, fails_for("bad", getattr(Supervisor, where)))
    commands.start([command(run, "exec sleep 3", timeout_s=0.3, kill_grace_s=1) for run in ("bad", "good")])
    assert sink.ended("good").outcome is Outcome.TIMED_OUT
    end = sink.ended("bad")
    assert lost(end) if where == "pursue" else (end.outcome, end.exit_code) == (Outcome.FAILED, -15)


def test_of_a_command_that_starts(commands: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "invocation", fails_for("bad", launcher.invocation))
    commands.start([command(run, "true") for run in ("bad", "good")])
    assert lost(sink.ended("bad"))
    assert sink.ended("good").outcome is Outcome.SUCCEEDED


def test_of_commands_that_are_adopted(
    commands: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopter, "look", fails_for("bad", adopter.look))
    commands.adopt([Adoption(command(run, "true"), None) for run in ("bad", "good")])
    assert lost(sink.ended("bad"))
    assert sink.ended("good").never_started


def test_of_trees_that_are_being_killed(
    commands: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be looked at is tried again, and does not keep the others."""
    step, failed = Killer._step, list[object]()

    def stumble(self: Killer, tree: Any, members: Any) -> float | None:
        if len(failed) < 3:
            failed.append(tree)
            raise ZeroDivisionError
        return step(self, tree, members)

    monkeypatch.setattr(Killer, "_step", stumble)
    commands.start([command(run, "exec sleep 600", timeout_s=0.2) for run in "ab"])
    assert [sink.ended(run).outcome for run in "ab"] == [Outcome.TIMED_OUT] * 2
    assert len(failed) == 3


def spec(run_id: str, *args: Any) -> AttemptSpec:
    return AttemptSpec(run_id, 1, 1, "job", "python", {"callable": "os.path:basename", "args": list(args)})


def test_of_calls_in_workers(tmp_path: Path, sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = PoolExecutor(tmp_path, "n", clock=SystemClock(), size=1)
    executor.open(sink)
    try:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        monkeypatch.setattr(reports, "ended", fails_for("bad", reports.ended))
        monkeypatch.setattr(pool_executor, "order_of", fails_for("odd", pool_executor.order_of))
        executor.start([spec("deep", deep), spec("odd", "x"), spec("bad", "a/b"), spec("good", "a/b")])
        assert sink.ended("good").result == "b"
        assert lost(sink.ended("bad"))
        for run in ("deep", "odd"):
            end = sink.ended(run)
            assert end.error is not None
            assert (end.outcome, end.error.code) == (Outcome.FAILED, "bad_arguments")
    finally:
        executor.detach()


def test_of_a_worker_that_is_looked_after(tmp_path: Path, sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced: its call has an end, and those of others go on."""
    monkeypatch.setattr(reports.Reports, "watch", fails_for("bad", reports.Reports.watch))
    executor = PoolExecutor(tmp_path, "n", clock=SystemClock(), size=2)
    executor.open(sink)
    try:
        sleep = {"callable": "time:sleep", "args": [1]}
        executor.start([AttemptSpec(run, 1, 1, "job", "python", sleep) for run in ("bad", "good")])
        assert sink.ended("good").outcome is Outcome.SUCCEEDED
        assert sink.ended("bad").outcome in (Outcome.FAILED, Outcome.LOST)
    finally:
        executor.detach()


@pytest.mark.parametrize("kind", [PoolExecutor, SharedExecutor])
def test_of_calls_that_are_adopted(
    tmp_path: Path, sink: Recorder, monkeypatch: pytest.MonkeyPatch, kind: type[PoolExecutor]
) -> None:
    monkeypatch.setattr(reports.Reports, "not_begun", fails_for("bad", reports.Reports.not_begun))
    executor = kind(tmp_path, "n", clock=SystemClock())
    executor.open(sink)
    try:
        executor.adopt([Adoption(spec(run), None, "other") for run in ("bad", "good")])
        assert lost(sink.ended("bad"))
        assert sink.ended("good").never_started
    finally:
        executor.detach()


def test_of_calls_in_the_application(sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = InlineExecutor(clock=SystemClock())
    monkeypatch.setattr(InlineExecutor, "_succeeded", fails_for("bad", InlineExecutor._succeeded))
    executor.open(sink)
    try:
        executor.start([spec("bad", "a/b"), spec("good", "a/b")])
        assert sink.ended("good").result == "b"
        assert lost(sink.ended("bad"))
    finally:
        executor.detach()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "gnomon")
