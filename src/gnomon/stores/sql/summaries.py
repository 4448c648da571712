"""What dashboards ask: always of an index that has the answer, and never of more than a stated number of entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select

from gnomon.core.records import RunRecord
from gnomon.core.states import State
from gnomon.core.summaries import FailureGroup, RunBrief
from gnomon.core.values import from_micros, to_micros

from .run_rows import RUN, STATES, run_from_row
from .schema import ACTIVE_RUN, ENDED_RUN, LIVE_ATTEMPT, TROUBLED_RUN, attempts, constant, runs
from .session import Row, Session, Statement, given, indexed_by

_NEWEST = (runs.c.due_at.desc(), runs.c.id.desc())
_NO_ITEM = runs.c.parent_id.is_(None)
_IN_PERIOD = (runs.c.due_at >= given("since"), runs.c.due_at < given("until"))


_ENDED = Statement(
    select(runs.c.id, runs.c.due_at, runs.c.state, runs.c.duration_s, runs.c.lateness_s)
    .with_hint(runs, *indexed_by("ix_runs_ended"))
    .where(ENDED_RUN, runs.c.job_id == given("job_id"), _NO_ITEM)
    .order_by(*_NEWEST)
    .limit(given("limit"))
)
_OUTCOMES = Statement(
    select(runs.c.state, runs.c.duration_s)
    .with_hint(runs, *indexed_by("ix_runs_ended"))
    .where(ENDED_RUN, runs.c.job_id == given("job_id"), _NO_ITEM)
    .order_by(*_NEWEST)
    .limit(given("limit"))
)
_OPEN = Statement(
    select(runs.c.id, runs.c.due_at, runs.c.state)
    .with_hint(runs, *indexed_by("ix_runs_active"))
    .where(ACTIVE_RUN, runs.c.job_id == given("job_id"), _NO_ITEM)
    .order_by(*_NEWEST)
    .limit(given("limit"))
)
_OPEN_DUE = Statement(
    select(runs.c.due_at, runs.c.state)
    .with_hint(runs, *indexed_by("ix_runs_open"))
    .where(ACTIVE_RUN, _NO_ITEM, *_IN_PERIOD)
    .order_by(*_NEWEST)
    .limit(given("limit"))
)
_LATENESS = Statement(
    select(runs.c.due_at, runs.c.lateness_s)
    .with_hint(runs, *indexed_by("ix_runs_due"))
    .where(_NO_ITEM, *_IN_PERIOD)
    .order_by(*_NEWEST)
    .limit(given("limit"))
)
_FAILURES = Statement(
    select(runs.c.id, runs.c.due_at, runs.c.job_id, runs.c.error_signature)
    .with_hint(runs, *indexed_by("ix_runs_troubled"))
    .where(TROUBLED_RUN, runs.c.state == constant(State.FAILED.value), _NO_ITEM, *_IN_PERIOD)
    .order_by(*_NEWEST)
    .limit(given("limit"))
)
_OLDEST_QUEUED = Statement(
    RUN.with_hint(runs, *indexed_by("ix_runs_open"))
    .where(ACTIVE_RUN, runs.c.state == constant(State.QUEUED.value))
    .order_by(runs.c.due_at, runs.c.id)
    .limit(1)
)
_LIVE = Statement(select(func.count()).select_from(attempts).where(LIVE_ATTEMPT))


class SummaryReads(Session):
    """The questions."""

    def newest_ended(self, job_ids: Collection[str], limit: int) -> Mapping[str, Sequence[RunBrief]]:
        return {
            job_id: [
                RunBrief(run_id, from_micros(due), STATES[state], duration, lateness)
                for run_id, due, state, duration, lateness in self.fetch(_ENDED, job_id=job_id, limit=limit)
            ]
            for job_id in job_ids
        }

    def newest_open(self, job_ids: Collection[str], limit: int) -> Mapping[str, Sequence[RunBrief]]:
        return {
            job_id: [
                RunBrief(run_id, from_micros(due), STATES[state])
                for run_id, due, state in self.fetch(_OPEN, job_id=job_id, limit=limit)
            ]
            for job_id in job_ids
        }

    def open_due(self, since: datetime, until: datetime, limit: int) -> Sequence[tuple[datetime, State]]:
        rows = self.fetch(_OPEN_DUE, since=to_micros(since), until=to_micros(until), limit=limit)
        return [(from_micros(due), STATES[state]) for due, state in rows]

    def newest_lateness(self, since: datetime, until: datetime, limit: int) -> Sequence[float | None]:
        rows = self.fetch(_LATENESS, since=to_micros(since), until=to_micros(until), limit=limit)
        return [row[1] for row in rows]

    def newest_outcomes(
        self, job_ids: Collection[str], limit: int
    ) -> Mapping[str, Sequence[tuple[State, float | None]]]:
        return {
            job_id: [(STATES[state], took) for state, took in self.fetch(_OUTCOMES, job_id=job_id, limit=limit)]
            for job_id in job_ids
        }

    def failure_groups(self, since: datetime, until: datetime, limit: int) -> tuple[Sequence[FailureGroup], bool]:
        rows = self.fetch(_FAILURES, since=to_micros(since), until=to_micros(until), limit=limit + 1)
        groups: dict[str | None, list[Row]] = {}
        for row in rows[:limit]:
            groups.setdefault(row[3], []).append(row)
        found = [
            FailureGroup(
                sign,
                len(members),
                from_micros(members[-1][1]),
                from_micros(members[0][1]),
                members[0][0],
                frozenset(member[2] for member in members),
            )
            for sign, members in groups.items()
        ]
        return found, len(rows) > limit

    def oldest_queued(self) -> RunRecord | None:
        row = self.first(_OLDEST_QUEUED)
        return None if row is None else run_from_row(row)

    def live_total(self) -> int:
        row = self.first(_LIVE)
        return 0 if row is None else int(row[0])
