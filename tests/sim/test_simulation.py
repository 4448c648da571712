"""Seeded histories of a whole deployment: all must hold, and a missing guard must show."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from gnomon.testing.simulator import BUGS, Simulation, Violation

SEEDS = 300
CHUNK = 30
# Seeds that once failed, each with what it found.
REGRESSIONS = {
    7: "retired and added again while paused: the skip of the second pause was dropped",
    41: "a commit in doubt left attempts claimed that no executor was given",
    101: "a rule changed while its job was paused left the fires of the pause undecided",
}
SEEN_AT = {"retry_on_ignored": 96}
"""Where to look first for what few seeds show."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("gnomon")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print(f"seed {seed}")  # shown when it fails
        Simulation(seed).run()


@pytest.mark.parametrize("seed", sorted(REGRESSIONS))
def test_seeds_that_once_failed(seed: int) -> None:
    Simulation(seed).run(200)


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_missing_guard_is_noticed(bug: str) -> None:
    for seed in [SEEN_AT.get(bug, 0), *range(SEEDS)]:
        try:
            Simulation(seed, bug).run()
        except Violation as violation:
            print(f"{bug}: seed {seed}: {violation}")
            return
    pytest.fail(f"{SEEDS} seeds did not notice {bug}")


def test_a_seed_plays_the_same_history_again() -> None:
    one, two = Simulation(42), Simulation(42)
    one.run()
    two.run()
    assert one.history == two.history
    assert one.checks.states == two.checks.states
