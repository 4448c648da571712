"""Repetition in whole periods (days, weeks, months, years): jump to the right one, then look inside it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Protocol

from gnomon.schedules.zones import DAY, LAST


class Cycle(Protocol):
    """What repeats. Periods are numbered so that the one with number n+1 follows n."""

    def number(self, day: int) -> int:
        """The period that holds day number `day` (0 is 0001-01-01)."""

    def members(self, number: int) -> list[int]:
        """Wall seconds of the members of a period, ascending."""

    def onward(self, number: int) -> int | None:
        """The first period from `number` on that may have members, or None. May return `number` itself."""

    def whole(self, periods: range) -> int:
        """How many members the given periods have together."""


class PeriodWalls:
    """A `Walls`: the members of every `every`-th period of a cycle.

    Args:
        phase: number of a period that counts.
        floor: no member lies before this wall second.
        budget: how many periods in a row may be empty before the search gives up.
    """

    __slots__ = ("_budget", "_cycle", "_every", "_floor", "_phase")

    def __init__(self, cycle: Cycle, *, every: int, phase: int, floor: int, budget: int) -> None:
        self._cycle, self._every, self._phase, self._floor, self._budget = cycle, every, phase, floor, budget

    def next(self, wall: int) -> int | None:
        """The first member at or after `wall`."""
        wall = max(wall, self._floor)
        if wall > LAST:
            return None
        for number in self._forward(self._cycle.number(wall // DAY)):
            members = self._cycle.members(number)
            at = bisect_left(members, wall)
            if at < len(members):
                return members[at] if members[at] <= LAST else None
        return None

    def prev(self, wall: int) -> int | None:
        """The last member at or before `wall`."""
        wall = min(wall, LAST)
        if wall < self._floor:
            return None
        number = self._cycle.number(wall // DAY)
        number -= (number - self._phase) % self._every
        bottom = self._cycle.number(self._floor // DAY)
        for _ in range(self._budget):
            members = self._cycle.members(number) if number >= bottom else [-1]
            at = bisect_right(members, wall)
            if at:
                return members[at - 1] if members[at - 1] >= self._floor else None
            number -= self._every
        return None

    def count(self, low: int, high: int) -> int:
        """How many members lie in [low, high)."""
        low, high = max(low, self._floor), min(high, LAST + 1)
        if low >= high:
            return 0
        first, last = self._cycle.number(low // DAY), self._cycle.number((high - 1) // DAY)
        first += (self._phase - first) % self._every
        last -= (last - self._phase) % self._every
        if first > last:
            return 0
        edges = map(self._cycle.members, {first, last})
        total = sum(bisect_left(members, high) - bisect_left(members, low) for members in edges)
        return total + self._cycle.whole(range(first + self._every, last, self._every))

    def _forward(self, number: int) -> Iterator[int]:
        top = self._cycle.number(LAST // DAY)
        for _ in range(self._budget):
            possible = self._cycle.onward(number)
            if possible is None:
                return
            number = possible + (self._phase - possible) % self._every
            if number > top:
                return
            if possible == number or self._cycle.onward(number) == number:
                yield number
            number += 1
