"""The only place that waits: wakes for what is due, reported or changed by others, and survives what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gnomon.core.errors import Problem, Unavailable
from gnomon.core.timekeeping import Timekeeper
from gnomon.engine import loop as module
from gnomon.engine.loop import LONGEST_S, Loop
from gnomon.system.clock import VirtualClock

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


class Bell:
    """An event whose waiting passes virtual time at once."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.rung = clock, False
        self.waits: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def set(self) -> None:
        self.rung = True

    def clear(self) -> None:
        self.rung = False

    def is_set(self) -> bool:
        return self.rung

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        self.meanwhile()
        return self.rung


class Script:
    """A node and a store in one: each step does what the script says."""

    def __init__(self, *answers: datetime | Exception | None) -> None:
        self.answers = list(answers)
        self.steps = 0
        self.version = 0
        self.time = Timekeeper()
        self.time.begin(BEGIN, 0.0, None, None)

    def step(self) -> datetime | None:
        self.steps += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def data_version(self) -> int:
        return self.version


def play(script: Script, **fields: object) -> tuple[Loop, Bell]:
    clock = VirtualClock(BEGIN)
    bell = Bell(clock)
    loop = Loop(script, script, clock, **fields)  # type: ignore[arg-type]
    loop._bell = bell  # type: ignore[assignment]
    return loop, bell


def run(loop: Loop, script: Script) -> float:
    loop.run(until=lambda: not script.answers)
    return (loop.clock.now() - BEGIN).total_seconds()


def test_wakes_when_something_is_due() -> None:
    script = Script(BEGIN + timedelta(seconds=7), None)
    loop, _ = play(script)
    assert run(loop, script) == pytest.approx(7, abs=0.001)


def test_sleeps_at_most_thirty_seconds_then_reads_the_wall_clock_again() -> None:
    script = Script(None, None)
    loop, _ = play(script)
    assert run(loop, script) == pytest.approx(LONGEST_S, abs=0.001)


def test_never_early_when_the_wall_clock_is_set_back() -> None:
    script = Script(BEGIN + timedelta(seconds=5), None)
    loop, bell = play(script)
    jumped: list[int] = []

    def back() -> None:
        if not jumped:
            jumped.append(1)
            loop.clock.jump(-10)  # type: ignore[attr-defined]

    bell.meanwhile = back
    assert run(loop, script) == pytest.approx(5, abs=0.001)


@pytest.mark.parametrize("by_s", [-3600, -11, 11, 3600])
def test_wakes_within_half_a_second_of_the_wall_clock_being_set(by_s: float) -> None:
    """Even in the moment between the step's look at it and the wait."""
    script = Script(BEGIN + timedelta(days=400), None)
    loop, bell = play(script)
    bell.meanwhile = lambda: loop.clock.jump(by_s)  # type: ignore[attr-defined]
    run(loop, script)
    assert loop.clock.monotonic() <= 0.5
    script = Script(BEGIN + timedelta(days=400), None)
    loop, _ = play(script)
    step = script.step
    script.step = lambda: (step(), loop.clock.jump(by_s))[0]  # type: ignore[attr-defined,method-assign]
    run(loop, script)
    assert loop.clock.monotonic() <= 0.5


def test_wakes_within_half_a_second_of_a_commit_by_others_or_a_peers_death() -> None:
    script = Script(None, None)
    loop, bell = play(script)
    bell.meanwhile = lambda: setattr(script, "version", 1)
    assert run(loop, script) <= 0.5
    script = Script(None, None)
    gone: list[int] = []
    loop, bell = play(script, peers_changed=lambda: bool(gone))
    bell.meanwhile = lambda: gone.append(1)
    assert run(loop, script) <= 0.5


def test_a_wake_during_a_step_is_not_lost() -> None:
    script = Script(None, None)
    loop, _ = play(script)
    step = script.step
    script.step = lambda: (loop.wake(), step())[1]  # type: ignore[method-assign]
    assert run(loop, script) == 0
    assert script.steps == 2


def test_survives_a_store_that_is_not_there_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    gone = Unavailable(Problem("database_locked", "locked"))
    script = Script(gone, gone, gone, None)
    loop, bell = play(script)
    run(loop, script)
    assert script.steps == 4
    assert bell.waits[:3] == sorted(bell.waits[:3]), "each wait is longer"
    assert caplog.text.count("database_locked: locked") == 1


def test_survives_a_bug_in_one_step(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(ValueError("one bad job"), None)
    loop, _ = play(script)
    run(loop, script)
    assert script.steps == 2
    assert "one bad job" in caplog.text


def test_a_store_that_cannot_even_tell_its_version_does_not_make_the_loop_spin() -> None:
    script = Script(None, None)
    loop, _ = play(script)

    def gone() -> int:
        raise Unavailable(Problem("x", "y"))

    script.data_version = gone  # type: ignore[method-assign]
    assert run(loop, script) == pytest.approx(LONGEST_S, abs=0.001)


def test_stop_ends_the_wait_of_a_real_thread() -> None:
    script = Script(*[None] * 1000)
    stepped = threading.Event()
    step = script.step
    script.step = lambda: (stepped.set(), step())[1]  # type: ignore[method-assign]
    loop = Loop(script, script, VirtualClock(BEGIN), poll_s=None)  # type: ignore[arg-type]
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert stepped.wait(10)
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert module.POLL_S <= 0.5
