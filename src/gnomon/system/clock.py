"""Clock and entropy, real and virtual."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime, timedelta

_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def local_zone() -> tuple[object, ...]:
    """What this process takes for local time."""
    return time.tzname, time.timezone, time.altzone


def read_zone() -> None:
    """Take local time from the variable TZ again."""
    time.tzset()


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def steady(self) -> float:
        return time.clock_gettime(_SINCE_BOOT)


class VirtualClock:
    """A clock that stands still until it is told to move. For tests, simulation and plans."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def steady(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """The wall clock is set; no time passes."""
        self._now += timedelta(seconds=seconds)


class SystemEntropy:
    """Randomness of the operating system."""

    def bits(self, count: int) -> int:
        return secrets.randbits(count)

    def uniform(self) -> float:
        return secrets.randbits(53) / (1 << 53)


class SeededEntropy:
    """The same numbers for the same seed. For simulation."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def uniform(self) -> float:
        return self._random.random()
