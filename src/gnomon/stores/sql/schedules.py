"""Schedule entries and how far each is decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update

from gnomon.core.records import ScheduleRecord
from gnomon.core.values import from_micros

from .schema import schedules
from .session import Row, Session, Statement, WriteSession, given, listed, upsert, within
from .values import instant, micros, spec_text, spec_value

ALL_SCHEDULES = select(schedules)
_BY_ID = Statement(ALL_SCHEDULES.where(schedules.c.schedule_id == given("schedule_id")))
_OF_JOBS = Statement(
    ALL_SCHEDULES.where(within(schedules.c.job_id, "job_ids")).order_by(schedules.c.job_id, schedules.c.position)
)
_DUE = Statement(
    ALL_SCHEDULES.where(schedules.c.due_at.is_not(None), schedules.c.due_at <= given("now"))
    .order_by(schedules.c.due_at)
    .limit(given("limit"))
)
_UNDECIDED = Statement(
    ALL_SCHEDULES.where(
        schedules.c.due_at.is_not(None),
        schedules.c.due_at <= given("soon"),
        or_(schedules.c.cursor <= given("before"), schedules.c.due_at != schedules.c.cursor),
    )
    .order_by(schedules.c.due_at)
    .limit(given("limit"))
)
_CALENDARS = Statement(ALL_SCHEDULES.where(schedules.c.due_at.is_not(None), schedules.c.spec.like('%"ical:%')))
_NEXT_DUE = Statement(select(func.min(schedules.c.due_at)).where(schedules.c.due_at.is_not(None)))


def schedule_from_row(row: Row) -> ScheduleRecord:
    """The entry of a row."""
    schedule_id, job_id, position, spec, anchor, cursor, due, revision, paused, paused_by = row
    return ScheduleRecord(
        schedule_id,
        job_id,
        spec_value(spec),
        position,
        from_micros(anchor),
        instant(cursor),
        instant(due),
        revision,
        instant(paused),
        paused_by,
    )


def _to_row(record: ScheduleRecord) -> tuple[object, ...]:
    return (
        record.schedule_id,
        record.job_id,
        record.position,
        spec_text(record.spec),
        micros(record.anchor),
        micros(record.cursor),
        micros(record.due_at),
        record.revision,
        micros(record.paused_at),
        record.paused_by,
    )


class ScheduleReads(Session):
    """Questions about schedule entries."""

    def schedule(self, schedule_id: str) -> ScheduleRecord | None:
        row = self.first(_BY_ID, schedule_id=schedule_id)
        return None if row is None else schedule_from_row(row)

    def schedules_of(self, job_ids: Collection[str]) -> Mapping[str, tuple[ScheduleRecord, ...]]:
        found: dict[str, list[ScheduleRecord]] = {}
        if job_ids:
            for row in self.fetch(_OF_JOBS, job_ids=listed(job_ids)):
                found.setdefault(row[1], []).append(schedule_from_row(row))
        return {job_id: tuple(entries) for job_id, entries in found.items()}

    def due_schedules(self, now: datetime, limit: int) -> Sequence[ScheduleRecord]:
        return [schedule_from_row(row) for row in self.fetch(_DUE, now=micros(now), limit=limit)]

    def undecided_schedules(self, before: datetime, soon: datetime, limit: int) -> Sequence[ScheduleRecord]:
        found = self.fetch(_UNDECIDED, before=micros(before), soon=micros(soon), limit=limit)
        return [schedule_from_row(row) for row in found]

    def calendar_schedules(self) -> Sequence[ScheduleRecord]:
        return [schedule_from_row(row) for row in self.fetch(_CALENDARS)]

    def next_due_at(self) -> datetime | None:
        row = self.first(_NEXT_DUE)
        return None if row is None else instant(row[0])


_PUT = upsert(schedules, growing="revision")
_REVISIONS = Statement(
    select(schedules.c.schedule_id, schedules.c.revision).where(within(schedules.c.schedule_id, "schedule_ids"))
)
_ADVANCE = Statement(
    update(schedules)
    .values(
        cursor=given("v_cursor"),
        due_at=given("v_due_at"),
        revision=given("v_revision"),
        paused_at=given("v_paused_at"),
        paused_by=given("v_paused_by"),
    )
    .where(schedules.c.schedule_id == given("k_id"))
)
_DELETE = Statement(delete(schedules).where(within(schedules.c.schedule_id, "schedule_ids")))


class ScheduleWrites(WriteSession):
    """Changes to schedule entries."""

    def put_schedules(self, records: Sequence[ScheduleRecord]) -> None:
        self.change_many(_PUT, [_to_row(record) for record in records])
        self.touch("schedules", [record.schedule_id for record in records])

    def advance_schedules(self, records: Sequence[ScheduleRecord]) -> Collection[str]:
        if not records:
            return ()
        asked = listed([record.schedule_id for record in records])
        stored: dict[str, int] = {row[0]: row[1] for row in self.fetch(_REVISIONS, schedule_ids=asked)}
        rows, done, refused = [], [], []
        for record in records:
            if stored.get(record.schedule_id) != record.revision:
                refused.append(record.schedule_id)
                continue
            stored[record.schedule_id] = revision = record.revision + 1
            paused = micros(record.paused_at)
            row = (micros(record.cursor), micros(record.due_at), revision, paused, record.paused_by, record.schedule_id)
            rows.append(row)
            done.append(record.schedule_id)
        self.change_many(_ADVANCE, rows)
        self.touch("schedules", done)
        return refused

    def delete_schedules(self, schedule_ids: Collection[str]) -> None:
        if schedule_ids and self.change(_DELETE, schedule_ids=listed(schedule_ids)):
            self.touch("schedules", schedule_ids)
