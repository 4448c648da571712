"""What should have fired, worked out without the scheduler's code: plain arithmetic on intervals and minutes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Every:
    """`every N s`: anchor + k * N, k ≥ 1."""

    seconds: float

    @property
    def text(self) -> str:
        """As a job says it."""
        return f"every {self.seconds:g}s"

    def fires(self, anchor: datetime, after: datetime, until: datetime) -> list[datetime]:
        """Fire times in (after, until]."""
        step = timedelta(seconds=self.seconds)
        first = max(1, (after - anchor) // step + 1)
        return [anchor + k * step for k in range(first, (until - anchor) // step + 1)]


@dataclass(frozen=True, slots=True)
class Minutes:
    """`*/N * * * *` in UTC, N a divisor of 60."""

    minutes: int

    @property
    def text(self) -> str:
        """As a job says it."""
        return f"*/{self.minutes} * * * *"

    def fires(self, anchor: datetime, after: datetime, until: datetime) -> list[datetime]:
        """Fire times in (after, until]."""
        step = timedelta(minutes=self.minutes)
        return [_EPOCH + k * step for k in range((after - _EPOCH) // step + 1, (until - _EPOCH) // step + 1)]


Timing = Every | Minutes


@dataclass(slots=True)
class Segment:
    """An entry under one rule: fires after `begin`, until `end`. `kept`: its row outlived the end (a retired job)."""

    rule: Timing
    anchor: datetime
    begin: datetime
    end: datetime | None = None
    kept: bool = False

    def fires(self, until: datetime) -> list[datetime]:
        """Fire times up to `until`."""
        return self.rule.fires(self.anchor, self.begin, until if self.end is None else min(self.end, until))


@dataclass(slots=True)
class Oracle:
    """The history of every schedule entry's rule."""

    segments: dict[str, list[Segment]] = field(default_factory=dict)

    def define(self, job_id: str, rules: dict[str, Timing], now: datetime) -> None:
        """From `now` on the job has these entries, by name; a changed rule counts from now."""
        for schedule_id in self.of(job_id):
            if schedule_id.rpartition(":")[2] not in rules:
                self._end(schedule_id, now, kept=False)
        for name, rule in rules.items():
            past = self.segments.setdefault(f"{job_id}:{name}", [])
            last = past[-1] if past else None
            if last is not None and last.end is None and last.rule == rule:
                continue
            if last is not None and last.end is None:
                last.end = now
            again = last is not None and last.kept and last.rule == rule
            past.append(Segment(rule, last.anchor if again and last is not None else now, now))

    def retire(self, job_id: str, now: datetime) -> None:
        """No fires of the job after `now`; it may come back."""
        for schedule_id in self.of(job_id):
            self._end(schedule_id, now, kept=True)

    def of(self, job_id: str) -> list[str]:
        """Every entry the job ever had."""
        return [s for s in self.segments if s.rpartition(":")[0] == job_id]

    def fires(self, schedule_id: str, until: datetime) -> list[datetime]:
        """Every fire time up to `until`."""
        return [at for segment in self.segments[schedule_id] for at in segment.fires(until)]

    def _end(self, schedule_id: str, now: datetime, *, kept: bool) -> None:
        last = self.segments[schedule_id][-1]
        if last.end is None:
            last.end, last.kept = now, kept
        else:
            last.kept = last.kept and kept
