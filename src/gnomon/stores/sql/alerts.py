"""Incidents, and messages on their way to people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import bindparam, case, exists, func, not_, or_, select, tuple_, update

from gnomon.core.alerts import Incident, Kind
from gnomon.core.deliveries import Delivery
from gnomon.core.records import Cause, Page
from gnomon.core.states import State
from gnomon.core.values import from_micros, to_micros

from .schema import OPEN_INCIDENT, PENDING_DELIVERY, constant, deliveries, incidents, jobs, runs
from .session import Row, Session, Statement, WriteSession, given, indexed_by, insert_new, listed, upsert, within
from .values import clean, from_cursor, instant, mapping, micros, text, to_cursor

_NEWEST = (incidents.c.opened_at.desc(), incidents.c.id.desc())
_INCIDENT = Statement(select(*incidents.columns).where(incidents.c.id == given("id")))
_BY_PREFIX = Statement(
    select(incidents.c.id).where(incidents.c.id >= given("low"), incidents.c.id < given("high")).limit(2)
)
_OPEN = Statement(select(*incidents.columns).where(OPEN_INCIDENT, within(incidents.c.job_id, "job_ids")))
_UNKNOWN = Statement(
    select(*incidents.columns)
    .where(OPEN_INCIDENT, incidents.c.acknowledged_at.is_(None), incidents.c.told_at <= given("before"))
    .order_by(incidents.c.told_at)
    .limit(given("limit"))
)
_OLDEST_TOLD = Statement(
    select(func.min(incidents.c.told_at)).where(OPEN_INCIDENT, incidents.c.acknowledged_at.is_(None))
)
_older = deliveries.alias("older")
_BEHIND = (
    select(_older.c.id)
    .where(
        _older.c.next_at.is_not(None),
        _older.c.channel == deliveries.c.channel,
        _older.c.incident_id.is_not_distinct_from(deliveries.c.incident_id),
        _older.c.id < deliveries.c.id,
    )
    .exists()
)
_PENDING = Statement(
    select(*deliveries.columns)
    .where(PENDING_DELIVERY, not_(within(deliveries.c.channel, "without")), not_(_BEHIND))
    .order_by(deliveries.c.next_at, deliveries.c.id)
    .limit(given("limit"))
)
_TROUBLED = Statement(
    select(*deliveries.columns)
    .with_hint(deliveries, *indexed_by("ix_deliveries_created"))
    .where(
        deliveries.c.created_at >= given("since"),
        deliveries.c.delivered_at.is_(None),
        deliveries.c.incident_id.is_not(None),
        or_(deliveries.c.next_at.is_(None), deliveries.c.attempts > 0),
    )
    .order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc())
    .limit(given("limit"))
)
_ORPHANED = Statement(
    select(*incidents.columns)
    .with_hint(incidents, *indexed_by("ux_incidents_open"))
    .where(
        OPEN_INCIDENT,
        exists(select(jobs.c.job_id).where(jobs.c.job_id == incidents.c.job_id, jobs.c.retired_at.is_not(None))),
    )
    .limit(given("limit"))
)
_OF_INCIDENT = Statement(
    select(*deliveries.columns).where(deliveries.c.incident_id == given("id")).order_by(deliveries.c.id)
)
_SINCE = case((runs.c.cause == constant(Cause.DOWNSTREAM.value), runs.c.queued_at), else_=runs.c.due_at)
_QUEUED = Statement(
    select(runs.c.job_id, func.count(), func.min(_SINCE))
    .with_hint(runs, *indexed_by("ix_runs_queued"))
    .where(runs.c.state == constant(State.QUEUED.value), runs.c.attempts == 0)
    .group_by(runs.c.job_id)
)


def _incident(row: Row) -> Incident:
    (id_, job_id, kind, opened, last, count, words, told, run_id, closed, known, known_by) = row
    return Incident(
        id_,
        job_id,
        Kind(kind),
        from_micros(opened),
        from_micros(last),
        count,
        words,
        from_micros(told),
        run_id,
        instant(closed),
        instant(known),
        known_by,
    )


def _delivery(row: Row) -> Delivery:
    (id_, channel, event, job_id, payload, created, expires, next_at, run_id, incident_id, tries, done, error) = row
    return Delivery(
        channel=channel,
        event=event,
        job_id=job_id,
        payload=mapping(payload),
        created_at=from_micros(created),
        expires_at=from_micros(expires),
        next_at=instant(next_at),
        run_id=run_id,
        incident_id=incident_id,
        attempts=tries,
        delivered_at=instant(done),
        error=error,
        id=id_,
    )


@lru_cache(maxsize=8)
def _list(is_open: bool | None, of_job: bool, after: bool) -> Statement:
    query = select(*incidents.columns)
    if is_open:
        query = query.with_hint(incidents, *indexed_by("ux_incidents_open"))
    if is_open is not None:
        query = query.where(OPEN_INCIDENT if is_open else incidents.c.closed_at.is_not(None))
    if of_job:
        query = query.where(incidents.c.job_id == given("job_id"))
    if after:
        query = query.where(
            tuple_(incidents.c.opened_at, incidents.c.id) < tuple_(given("after_at"), given("after_id"))
        )
    return Statement(query.order_by(*_NEWEST).limit(given("limit")))


class AlertReads(Session):
    """Questions about incidents and deliveries."""

    def incident(self, incident_id: str) -> Incident | None:
        row = self.first(_INCIDENT, id=incident_id)
        return None if row is None else _incident(row)

    def incident_by_prefix(self, prefix: str) -> Sequence[str]:
        return [row[0] for row in self.fetch(_BY_PREFIX, low=prefix, high=prefix + "\U0010ffff")]

    def incidents(
        self, *, is_open: bool | None = None, job_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Incident]:
        after = (None, None) if cursor is None else from_cursor(cursor, "alerts", int, str)
        statement = _list(is_open, job_id is not None, cursor is not None)
        rows = self.fetch(statement, job_id=job_id, after_at=after[0], after_id=after[1], limit=limit + 1)
        following = to_cursor("alerts", rows[limit - 1][3], rows[limit - 1][0]) if len(rows) > limit else None
        return Page(tuple(_incident(row) for row in rows[:limit]), following)

    def open_incidents(self, job_ids: Collection[str]) -> Mapping[tuple[str, Kind], Incident]:
        found = [_incident(row) for row in self.fetch(_OPEN, job_ids=listed(job_ids))]
        return {(incident.job_id, incident.kind): incident for incident in found}

    def unacknowledged(self, told_before: datetime, limit: int) -> Sequence[Incident]:
        return [_incident(row) for row in self.fetch(_UNKNOWN, before=to_micros(told_before), limit=limit)]

    def next_told_at(self) -> datetime | None:
        row = self.first(_OLDEST_TOLD)
        return None if row is None else instant(row[0])

    def orphaned_incidents(self, limit: int) -> Sequence[Incident]:
        return [_incident(row) for row in self.fetch(_ORPHANED, limit=limit)]

    def pending_deliveries(self, limit: int, without: Collection[str] = ()) -> Sequence[Delivery]:
        return [_delivery(row) for row in self.fetch(_PENDING, limit=limit, without=listed(without))]

    def troubled_deliveries(self, since: datetime, limit: int) -> Sequence[Delivery]:
        return [_delivery(row) for row in self.fetch(_TROUBLED, since=to_micros(since), limit=limit)]

    def deliveries_of(self, incident_id: str) -> Sequence[Delivery]:
        return [_delivery(row) for row in self.fetch(_OF_INCIDENT, id=incident_id)]

    def queued_jobs(self) -> Mapping[str, tuple[int, datetime]]:
        return {job_id: (count, from_micros(since)) for job_id, count, since in self.fetch(_QUEUED)}


_PUT_INCIDENT = upsert(incidents)
_ADD_DELIVERY = insert_new(deliveries, ("id",), without=("id",))
_TRIED = Statement(
    update(deliveries)
    .values(
        next_at=bindparam("to_next"),
        attempts=bindparam("to_attempts"),
        delivered_at=bindparam("to_delivered"),
        error=bindparam("to_error"),
    )
    .where(deliveries.c.id == given("of"), or_(PENDING_DELIVERY, given("to_delivered").is_not(None)))
)
_SUPERSEDE = Statement(
    update(deliveries)
    .values(next_at=None, error=bindparam("to_error"))
    .where(PENDING_DELIVERY, deliveries.c.channel == given("of_channel"), deliveries.c.event == given("of_event"))
)


class AlertWrites(WriteSession):
    """Changes to incidents and deliveries."""

    def put_incidents(self, records: Sequence[Incident]) -> None:
        rows = [
            (
                r.id,
                r.job_id,
                r.kind.value,
                to_micros(r.opened_at),
                to_micros(r.last_at),
                r.count,
                clean(r.text),
                to_micros(r.told_at),
                r.run_id,
                micros(r.closed_at),
                micros(r.acknowledged_at),
                clean(r.acknowledged_by),
            )
            for r in records
        ]
        self.change_many(_PUT_INCIDENT, rows)
        self.touch("incidents", [r.id for r in records])

    def insert_deliveries(self, records: Sequence[Delivery]) -> None:
        rows = [
            (
                r.channel,
                r.event,
                r.job_id,
                clean(text(dict(r.payload))),
                to_micros(r.created_at),
                to_micros(r.expires_at),
                micros(r.next_at),
                r.run_id,
                r.incident_id,
                r.attempts,
                micros(r.delivered_at),
                clean(r.error),
            )
            for r in records
        ]
        self.change_many(_ADD_DELIVERY, rows)

    def update_deliveries(self, records: Sequence[Delivery]) -> None:
        for r in records:
            self.change(
                _TRIED,
                of=r.id,
                to_next=micros(r.next_at),
                to_attempts=r.attempts,
                to_delivered=micros(r.delivered_at),
                to_error=clean(r.error),
            )

    def supersede_pings(self, pings: Sequence[tuple[str, str]], error: str) -> None:
        for channel, event in pings:
            self.change(_SUPERSEDE, to_error=error, of_channel=channel, of_event=event)
