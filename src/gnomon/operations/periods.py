"""Jobs by period: those with a run due in it, and, as far as it lies ahead, those whose schedules fire in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gnomon.core.ports import Reader
from gnomon.core.records import JobFilter, JobRecord, Page, ScheduleRecord

from .context import Desk
from .definitions import fires

MOST_LOOKED_AT = 1_000
_TICK = timedelta(microseconds=1)
_MOST_EXCLUDED = 1000
"""How many fires in a row that holidays remove are passed over in search of one that counts."""


def find_jobs(desk: Desk, reader: Reader, where: JobFilter, limit: int, cursor: str | None = None) -> Page[JobRecord]:
    """Jobs by id that match, planned fires included. A page looks at 1,000 jobs, or `limit` if that is more."""
    bounded = where.due_from is not None or where.due_until is not None
    if not bounded or (where.due_until is not None and where.due_until <= desk.clock.now()):
        return reader.jobs(where, limit, cursor)
    anyone = replace(where, due_from=None, due_until=None)
    found: list[JobRecord] = []
    looked_at = 0
    while True:
        page = reader.jobs(anyone, limit, cursor)
        looked_at += len(page.items)
        due = _due(desk, reader, where, page.items)
        chosen = [record for record in page.items if record.job_id in due]
        if len(found) + len(chosen) > limit:
            last = page.items.index(chosen[limit - len(found) - 1]) if len(found) < limit else -1
            following = reader.jobs(anyone, last + 1, cursor).next if last >= 0 else cursor
            return Page((*found, *chosen[: limit - len(found)]), following)
        found += chosen
        cursor = page.next
        if cursor is None or page.partial or looked_at >= max(MOST_LOOKED_AT, limit):
            return Page(tuple(found), cursor, partial=cursor is not None and len(found) < limit)


def _due(desk: Desk, reader: Reader, where: JobFilter, records: tuple[JobRecord, ...]) -> set[str]:
    """Those of these jobs that have a run or a planned fire in the period."""
    ids = {record.job_id for record in records}
    if not ids:
        return set()
    past = JobFilter(job_ids=tuple(ids), retired=None, due_from=where.due_from, due_until=where.due_until)
    due = {record.job_id for record in reader.jobs(past, len(ids)).items}
    entries = reader.schedules_of(ids - due)
    for record in records:
        own = [e for e in entries.get(record.job_id, ()) if fires(record, e)]
        if any(_fires_within(desk, entry, where.due_from, where.due_until) for entry in own):
            due.add(record.job_id)
    return due


def _fires_within(desk: Desk, entry: ScheduleRecord, begin: datetime | None, end: datetime | None) -> bool:
    """Whether a fire of the entry that is not decided yet lies in [begin, end)."""
    rule = desk.engine.rules.of(entry)
    if rule is None or entry.cursor is None:
        return False
    after = entry.cursor if begin is None else max(entry.cursor, begin)
    fire = rule.next(after - _TICK)
    for _ in range(_MOST_EXCLUDED):
        if fire is None or (end is not None and fire.at >= end):
            return False
        if fire.excluded is None:
            return True
        fire = rule.next(fire.at)
    return False
