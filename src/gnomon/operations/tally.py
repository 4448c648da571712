"""What this process did, counted as it goes: a few additions for each run, nothing read and nothing kept for long."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gnomon.core.records import RunRecord, SkipRecord
from gnomon.core.states import State

MOST_JOBS = 1000
"""Jobs beyond so many are counted together, as job `(others)`: each costs memory in whoever keeps the metrics."""
OTHERS = "(others)"
DURATIONS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
LATENESS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
COMMITS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


@dataclass(slots=True)
class Histogram:
    """Counts of values up to each bound, in seconds; the last count is of those beyond all bounds."""

    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Tally:
    """Since this process began. Written by the scheduler's loop and the committing thread, read from any.

    Attributes:
        runs: how many ended, by (job id, state). skips: fires that made no run, by reason.
        durations, lateness: of runs that ended, in seconds. commits: how long the disk took, in seconds.
    """

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    durations: Histogram = field(default_factory=lambda: Histogram(DURATIONS_S))
    lateness: Histogram = field(default_factory=lambda: Histogram(LATENESS_S))
    commits: Histogram = field(default_factory=lambda: Histogram(COMMITS_S))
    lock: threading.Lock = field(default_factory=threading.Lock)
    _jobs: set[str] = field(default_factory=set)

    def ended(self, runs: Iterable[RunRecord], skips: Iterable[SkipRecord] = ()) -> None:
        """Runs that are over now, and fires that made none."""
        with self.lock:
            for run in runs:
                self.runs[self._named(run.job_id), str(run.state)] += 1
                if run.duration_s is not None and run.state is not State.SKIPPED:
                    self.durations.add(run.duration_s)
                if run.lateness_s is not None:
                    self.lateness.add(max(run.lateness_s, 0.0))
            for skip in skips:
                self.skips[str(skip.reason)] += skip.count

    def committed(self, seconds: float) -> None:
        """One commit was durable after so long."""
        with self.lock:
            self.commits.add(seconds)

    def _named(self, job_id: str) -> str:
        if job_id not in self._jobs:
            if len(self._jobs) >= MOST_JOBS:
                return OTHERS
            self._jobs.add(job_id)
        return job_id
