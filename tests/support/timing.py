"""How long something takes by itself, on a machine that others use, in a process that ran a thousand tests before."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def cpu_seconds(work: Callable[[], T], tries: int = 2) -> tuple[float, T]:
    """Processor seconds of the better of `tries` calls, and what the last returned.

    The collector does not look at what earlier tests left behind: with a heap that large it would double the time.
    """
    gc.collect()
    gc.freeze()
    try:
        best = float("inf")
        for _ in range(tries):
            start = time.thread_time()
            answer = work()
            best = min(best, time.thread_time() - start)
            if best < 0.3:
                break
        return best, answer
    finally:
        gc.unfreeze()
