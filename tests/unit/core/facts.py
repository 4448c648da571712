"""Facts for tests of pure decisions: short ways to make records, and a rule that is a plain list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gnomon.core.model import Job, Task
from gnomon.core.records import Cause, RunRecord, ScheduleRecord
from gnomon.core.rules import Fire, ScheduleSpec
from gnomon.core.states import State

T0 = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@dataclass(frozen=True)
class ListRule:
    """A `Rule` whose fires are given, some of them excluded."""

    times: Sequence[datetime]
    excluded: frozenset[datetime] = field(default_factory=frozenset)

    def next(self, after: datetime) -> Fire | None:
        return self._fire(bisect_right(self.times, after))

    def latest(self, until: datetime) -> Fire | None:
        return self._fire(bisect_right(self.times, until) - 1)

    def count(self, after: datetime, until: datetime) -> int:
        return max(bisect_right(self.times, until) - bisect_right(self.times, after), 0)

    def _fire(self, index: int) -> Fire | None:
        if not 0 <= index < len(self.times):
            return None
        moment = self.times[index]
        return Fire(moment, moment, excluded="a holiday" if moment in self.excluded else None)

    def between(self, first: datetime, last: datetime) -> list[datetime]:
        return list(self.times[bisect_left(self.times, first) : bisect_right(self.times, last)])


def job(**fields: Any) -> Job:
    return Job(fields.pop("job_id", "j"), Task("command", {"command": ["true"]}), **fields)


def entry(cursor: datetime | None, anchor: datetime = T0, **spec: Any) -> ScheduleRecord:
    made = ScheduleSpec(spec.pop("kind", "cron"), {"list": True}, **spec)
    return ScheduleRecord("j:default", "j", made, 0, anchor, cursor, cursor)


def run(run_id: str = "r1", **fields: Any) -> RunRecord:
    given: dict[str, Any] = {
        "job_id": "j",
        "version": 1,
        "state": State.QUEUED,
        "cause": Cause.SCHEDULE,
        "run_key": f"key|{run_id}",
        "due_at": T0,
        "created_at": T0,
        "flow_id": run_id,
        "actor": "scheduler",
    }
    return RunRecord(run_id, **(given | fields))
