"""A clock that was set: what is believed of it, and whose lease is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gnomon.core.timekeeping import AGREEMENT_S, Memory, Timekeeper

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = 86400.0


class Both:
    """A wall clock and a steady one, and whoever follows them."""

    def __init__(self, boot: str = "b") -> None:
        self.wall_s, self.steady_s = 0.0, 500.0
        self.time = Timekeeper(boot)
        self.time.begin(self.now, self.steady_s, None, None)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.wall_s)

    def passes(self, seconds: float) -> bool:
        self.wall_s += seconds
        self.steady_s += seconds
        self.time.look(self.now, self.steady_s)
        return self.time.trusted

    def is_set(self, by_s: float) -> bool:
        self.wall_s += by_s
        self.time.look(self.now, self.steady_s)
        return self.time.trusted

    def restart(self, boot: str = "b") -> bool:
        """Another process on what the store remembers."""
        memory = Memory.of(self.time.memory().text())
        self.time = Timekeeper(boot)
        self.time.begin(self.now, self.steady_s, memory, None)
        return self.time.trusted


@pytest.mark.parametrize("by_s", [60, 3600, 400 * DAY, -60, -3600, -400 * DAY])
def test_a_clock_that_was_set_is_believed_after_an_hour(by_s: float) -> None:
    clocks = Both()
    assert clocks.passes(100)
    assert not clocks.is_set(by_s)
    assert clocks.time.set_by_s == pytest.approx(by_s)
    assert not clocks.passes(AGREEMENT_S - 1)
    assert clocks.passes(2)


def test_set_again_it_waits_anew_and_set_right_it_is_believed_at_once() -> None:
    clocks = Both()
    assert not clocks.is_set(400 * DAY)
    assert not clocks.passes(75)
    assert clocks.is_set(-400 * DAY), "where it was"
    assert not clocks.is_set(DAY)
    assert not clocks.passes(3000)
    assert not clocks.is_set(DAY)
    assert not clocks.passes(3000)
    assert clocks.passes(700)


def test_drift_and_suspend_are_no_jumps() -> None:
    clocks = Both()
    for _ in range(1000):
        assert clocks.is_set(5)
    assert clocks.passes(30 * DAY), "the steady clock counts suspend"


@pytest.mark.parametrize("by_s", [3600, 400 * DAY, -3600])
def test_a_successor_of_the_same_boot_knows_that_it_was_set(by_s: float) -> None:
    clocks = Both()
    clocks.wall_s += by_s  # while nobody ran
    assert not clocks.restart()
    assert not clocks.passes(600)
    assert not clocks.restart(), "another start does not make it right"
    assert clocks.time.set_by_s == pytest.approx(by_s)
    clocks.wall_s -= by_s
    assert clocks.restart()


@pytest.mark.parametrize("by_s", [3600, 400 * DAY, -3600])
def test_the_hour_goes_on_over_restarts_as_long_as_somebody_watches(by_s: float) -> None:
    clocks = Both()
    assert not clocks.is_set(by_s)
    for _ in range(3):
        assert not clocks.passes(1100)
        clocks.wall_s += 7200  # nobody runs
        clocks.steady_s += 7200
        assert not clocks.restart()
    assert clocks.time.set_by_s == pytest.approx(by_s)
    assert not clocks.passes(299)
    assert clocks.passes(2)


def test_the_hour_begins_anew_if_it_was_set_again_while_nobody_ran() -> None:
    clocks = Both()
    assert not clocks.is_set(DAY)
    assert not clocks.passes(3000)
    clocks.wall_s += 3600
    assert not clocks.restart()
    assert not clocks.passes(AGREEMENT_S - 1)
    assert clocks.passes(2)


def test_nobody_ran_for_long_and_the_clock_went_on() -> None:
    clocks = Both()
    clocks.wall_s += 90 * DAY
    clocks.steady_s += 90 * DAY
    assert clocks.restart()


@pytest.mark.parametrize(
    ("gap_s", "trusted"), [(3600, True), (DAY - 1, True), (-3600, False), (DAY + 60, False), (400 * DAY, False)]
)
def test_after_another_boot_only_a_short_absence_is_believed_at_once(gap_s: float, trusted: bool) -> None:
    clocks = Both()
    clocks.wall_s += gap_s
    clocks.steady_s = 20
    assert clocks.restart("other") is trusted
    assert not clocks.passes(3000) or trusted
    assert clocks.passes(700)


@pytest.mark.parametrize(("age", "trusted"), [(60, True), (-DAY, False), (400 * DAY, False)])
def test_without_a_memory_the_newest_run_stands_for_it(age: float, trusted: bool) -> None:
    time = Timekeeper("b")
    time.begin(NOW, 20.0, None, NOW - timedelta(seconds=age))
    assert time.trusted is trusted


def test_a_memory_that_nobody_can_read_is_none() -> None:
    for text in (None, "", "x", "{}", "[]", '{"at": 1e400, "steady_s": 0, "boot": "", "set_at": null, "set_by_s": 0}'):
        assert Memory.of(text) is None


def test_a_lease_ends_when_nobody_renews_it_whatever_the_clock_says() -> None:
    clocks = Both()
    until = clocks.now + timedelta(seconds=30)
    assert not clocks.time.silent("n", until, clocks.now, 30)
    clocks.is_set(DAY)
    assert not clocks.time.silent("n", until, clocks.now, 30), "it may be renewed in a moment"
    until = clocks.now + timedelta(seconds=30)
    clocks.passes(10)
    assert not clocks.time.silent("n", until, clocks.now, 30), "and was"
    clocks.is_set(-DAY)
    clocks.passes(29)
    assert not clocks.time.silent("n", until, clocks.now, 30)
    clocks.passes(2)
    assert clocks.time.silent("n", until, clocks.now, 30), "a day ahead, and nobody is there"
