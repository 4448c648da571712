"""How long something takes by itself, on a machine that others use, in a process that ran a thousand tests before."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

T = TypeVar("T")
_NOMINAL_S = 0.0075
"""What the yardstick takes on the machine the limits were set on, when it is quiet."""


def cpu_seconds(work: Callable[[], T], tries: int = 2) -> tuple[float, T]:
    """Processor seconds of the better of `tries` calls, and what the last returned.

    Seconds are those of the machine that the limits were set on: where others use the same processor and its caches,
    every second does less. The collector does not look at what earlier tests left behind: with a heap that large it
    would double the time.
    """
    gc.collect()
    gc.freeze()
    try:
        best = float("inf")
        for _ in range(tries):
            before = _yardstick()
            start = time.thread_time()
            answer = work()
            took = time.thread_time() - start
            best = min(best, took / max(1.0, before, _yardstick()))
            if best < 0.3:
                break
        return best, answer
    finally:
        gc.unfreeze()


def slowness() -> float:
    """How much slower than nominal this machine is at the moment; at least 1. For limits of other measurements."""
    return max(1.0, _yardstick())


def patience() -> float:
    """How many processes want each core at the moment; at least 1. For limits of waiting in real time."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _yardstick() -> float:
    """The time of a fixed piece of work, as a multiple of its nominal time."""
    took = []
    for _ in range(5):
        start = time.thread_time()
        "".join({i: str(i) for i in range(60_000)}.values())
        took.append(time.thread_time() - start)
    return median(took) / _NOMINAL_S
