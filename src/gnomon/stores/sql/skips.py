"""Decisions that fire times make no run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import select

from gnomon.core.records import SkipReason, SkipRecord
from gnomon.core.values import from_micros, to_micros

from .schema import skips
from .session import Row, Session, Statement, WriteSession, given, insert_new
from .values import clean, micros


def skip_from_row(row: Row) -> SkipRecord:
    """The skip of a row."""
    number, schedule_id, job_id, first, last, count, reason, detail, decided = row
    return SkipRecord(
        schedule_id,
        job_id,
        from_micros(first),
        from_micros(last),
        count,
        SkipReason(reason),
        detail,
        from_micros(decided),
        number,
    )


@lru_cache(maxsize=4)
def _list(since: bool, until: bool) -> Statement:
    query = select(*skips.columns).where(skips.c.job_id == given("job_id"))
    if since:
        query = query.where(skips.c.last_at >= given("since"))
    if until:
        query = query.where(skips.c.first_at <= given("until"))
    return Statement(query.order_by(skips.c.last_at.desc(), skips.c.id.desc()).limit(given("limit")))


class SkipReads(Session):
    """Questions about skips."""

    def skips(
        self, job_id: str, since: datetime | None = None, until: datetime | None = None, limit: int = 50
    ) -> Sequence[SkipRecord]:
        statement = _list(since is not None, until is not None)
        rows = self.fetch(statement, job_id=job_id, since=micros(since), until=micros(until), limit=limit)
        return [skip_from_row(row) for row in rows]


_INSERT = insert_new(skips, ("schedule_id", "first_at"), without=("id",), greater="last_at")


class SkipWrites(WriteSession):
    """Changes to skips."""

    def insert_skips(self, records: Sequence[SkipRecord]) -> None:
        rows = [
            (
                skip.schedule_id,
                skip.job_id,
                to_micros(skip.first_at),
                to_micros(skip.last_at),
                skip.count,
                skip.reason.value,
                clean(skip.detail),
                to_micros(skip.decided_at),
            )
            for skip in records
        ]
        if self.change_many(_INSERT, rows):
            self.touch("skips", [skip.job_id for skip in records])
