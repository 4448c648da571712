"""How long calls take, to know what is short enough to be claimed ahead of a free slot.

A claim costs a commit. When calls end faster than commits come, claiming one per free slot leaves workers idle; so
runs of tasks known to be short are claimed in advance, as many as are done in `AHEAD_S`, and wait in the line of
their executor. A task nobody has seen end is not short.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gnomon.core.model import Job

SHORT_S = 0.05
AHEAD_S = 0.25
EARLY = frozenset({"pool", "shared", "inline"})
"""Executors that keep a line of their own and perform no more at once than they have slots."""

_KEPT = 10_000
_WEIGHT = 0.2

Key = tuple[str, str]


def key_of(job: Job) -> Key:
    """What jobs have in common that call the same thing."""
    return job.task.type, str(job.task.arguments.get("callable", ""))


@dataclass(slots=True)
class Pace:
    """Moving averages of durations, in seconds, by what is called."""

    _seconds: dict[Key, float] = field(default_factory=dict)

    def saw(self, job: Job, duration_s: float | None, executor: str) -> None:
        """An attempt took so long. One that was long makes its task long at once."""
        if duration_s is None or executor not in EARLY:
            return
        if len(self._seconds) >= _KEPT:
            self._seconds.clear()
        key = key_of(job)
        known = self._seconds.get(key, duration_s)
        smooth = known + (duration_s - known) * _WEIGHT
        self._seconds[key] = duration_s if duration_s > SHORT_S else smooth

    def seconds(self, job: Job) -> float | None:
        """What a call takes, or None if it is not known to be short."""
        known = self._seconds.get(key_of(job))
        return None if known is None or known > SHORT_S else known
