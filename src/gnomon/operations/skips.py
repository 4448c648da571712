"""Decisions that fire times make no run."""

from __future__ import annotations

from datetime import datetime

from gnomon.core.errors import usage
from gnomon.core.filters import SkipFilter
from gnomon.core.ports import Reader
from gnomon.core.records import Page, SkipRecord
from gnomon.core.values import JsonObject, from_micros, to_micros

from .context import Desk
from .lookup import find_job
from .views import skip_view


def list_skips(
    desk: Desk, job_id: str, where: SkipFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[JsonObject]:
    """Skips of a job, newest first; of a filter `schedule_id`, `reasons`, `since` and `until` count.

    Raises:
        NotFound: there is no such job. UsageError: `bad_cursor`.
    """
    asked = where or SkipFilter()

    def work(reader: Reader) -> Page[JsonObject]:
        found = _behind(reader, find_job(reader, job_id).job_id, asked, limit, cursor)
        more = _key(found[limit - 1]) if len(found) > limit else None
        return Page(tuple(skip_view(skip) for skip in found[:limit]), more)

    return desk.store.read(work)


def _behind(reader: Reader, job_id: str, where: SkipFilter, limit: int, cursor: str | None) -> list[SkipRecord]:
    """One more than `limit`, if there are so many behind the cursor."""
    last = None if cursor is None else _read(cursor)
    until = where.until if last is None else min(last[0], where.until or last[0])
    many = limit + 10
    while True:
        seen = reader.skips(job_id, where.since, until, many)
        found = [skip for skip in seen if _matches(skip, where) and (last is None or (skip.last_at, skip.id) < last)]
        if len(found) > limit or len(seen) < many:
            return found[: limit + 1]
        many *= 4


def _matches(skip: SkipRecord, where: SkipFilter) -> bool:
    if where.schedule_id is not None and skip.schedule_id != where.schedule_id:
        return False
    if where.until is not None and skip.first_at >= where.until:
        return False
    return not where.reasons or skip.reason in where.reasons


def _key(skip: SkipRecord) -> str:
    return f"{to_micros(skip.last_at)}-{skip.id}"


def _read(cursor: str) -> tuple[datetime, int]:
    stamp, _, number = cursor.partition("-")
    try:
        if not (stamp + number).isascii() or not stamp.isdigit() or not number.isdigit() or len(cursor) > 40:
            raise ValueError
        return from_micros(int(stamp)), int(number)
    except (ValueError, OverflowError):
        hint = "begin without a cursor"
        raise usage("bad_cursor", f"{cursor[:80]!r} is no cursor of this list", key="cursor", hint=hint) from None
