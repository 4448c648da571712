"""Incidents, and the messages that told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from gnomon.core.alerts import Incident
from gnomon.core.deliveries import Delivery
from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Page
from gnomon.core.values import Json, JsonObject, canonical_json, rfc3339

from .context import Desk
from .elsewhere import anywhere
from .lookup import find_job
from .views import run_view

MOST_RESULT = 10_000
"""Bytes of a run's result that go with an alert; a larger one is left out."""


@anywhere
def list_incidents(
    desk: Desk, *, is_open: bool | None = None, job_id: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[JsonObject]:
    """Incidents, newest first, and of each how many messages were `told` (`delivered, pending, given_up`).

    Raises:
        NotFound: there is no such job.
    """

    def read(reader: Reader) -> Page[JsonObject]:
        if job_id is not None:
            find_job(reader, job_id)
        page = reader.incidents(is_open=is_open, job_id=job_id, limit=limit, cursor=cursor)
        return Page(tuple({**incident_view(one), "told": _counts(reader, one)} for one in page.items), page.next)

    return desk.store.read(read)


@anywhere
def show_incident(desk: Desk, incident_id: str) -> JsonObject:
    """One incident, and every message about it.

    Raises:
        NotFound: no incident has this id, or begins so. Conflict: several do.
    """

    def read(reader: Reader) -> JsonObject:
        incident = find_incident(reader, incident_id)
        return _with_deliveries(reader, incident)

    return desk.store.read(read)


@anywhere
def acknowledge_incident(desk: Desk, incident_id: str) -> JsonObject:
    """Somebody takes care of it: no reminders. Again: nothing changes.

    Raises:
        NotFound, Conflict: as `show_incident`.
    """

    def write(tx: Transaction) -> JsonObject:
        incident = find_incident(tx, incident_id)
        if incident.acknowledged_at is None:
            incident = replace(incident, acknowledged_at=desk.clock.now(), acknowledged_by=desk.actor)
            tx.put_incidents([incident])
            before = {"job_id": incident.job_id, "kind": str(incident.kind), "acknowledged_by": None}
            desk.audit(tx, "incident.acknowledge", incident.id, before, {**before, "acknowledged_by": desk.actor})
        return _with_deliveries(tx, incident)

    return desk.store.write(write)


def find_incident(reader: Reader, incident_id: str) -> Incident:
    """The incident of this id, or of the only id that begins so.

    Raises:
        NotFound: there is none. Conflict: several begin so.
    """
    incident = reader.incident(incident_id)
    if incident is None and len(incident_id) >= 4:
        ids = reader.incident_by_prefix(incident_id)
        if len(ids) > 1:
            hint = "give more of the id: " + ", ".join(ids)
            raise Conflict(Problem("incident_ambiguous", f"several incidents begin with {incident_id!r}", hint=hint))
        incident = reader.incident(ids[0]) if ids else None
    if incident is None:
        hint = "`gnomon alerts list` shows them"
        raise NotFound(Problem("incident_not_found", f"there is no incident {incident_id!r}", hint=hint))
    return incident


def incident_view(incident: Incident) -> JsonObject:
    """An incident: `id, job_id, kind, open, opened_at, last_at, count, text, run_id, closed_at, acknowledged_…`."""
    return {
        "id": incident.id,
        "job_id": incident.job_id,
        "kind": str(incident.kind),
        "open": incident.closed_at is None,
        "opened_at": rfc3339(incident.opened_at),
        "last_at": rfc3339(incident.last_at),
        "count": incident.count,
        "text": incident.text,
        "run_id": incident.run_id,
        "closed_at": rfc3339(incident.closed_at),
        "acknowledged_at": rfc3339(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
    }


def delivery_view(record: Delivery) -> JsonObject:
    """A message: `id, channel, event, state, attempts, created_at, delivered_at, next_at, error`."""
    return {
        "id": record.id,
        "channel": record.channel,
        "event": record.event,
        "state": record.state,
        "text": record.payload.get("text"),
        "attempts": record.attempts,
        "created_at": rfc3339(record.created_at),
        "delivered_at": rfc3339(record.delivered_at),
        "next_at": rfc3339(record.next_at),
        "error": record.error,
    }


def message_document(reader: Reader, record: Delivery) -> JsonObject:
    """What programs are sent: `event, reminder, job_id, run, incident, text`."""
    run = None if record.run_id is None else reader.run(record.run_id)
    incident = None if record.incident_id is None else reader.incident(record.incident_id)
    view: dict[str, Json] | None = None
    if run is not None:
        view = dict(cast(dict[str, Json], run_view(run, reader.attempts([run.id]).get(run.id, ()))))
        if len(canonical_json(view.get("result"))) > MOST_RESULT:
            view["result"] = None
    return {
        "event": record.event,
        "reminder": bool(record.payload.get("reminder")),
        "job_id": record.job_id,
        "run": view,
        "incident": None if incident is None else {**incident_view(incident), "count": record.payload.get("count")},
        "text": record.payload.get("text"),
    }


def _counts(reader: Reader, incident: Incident) -> JsonObject:
    states = [record.state for record in reader.deliveries_of(incident.id)]
    return {state: states.count(state) for state in ("delivered", "pending", "given_up")}


def _with_deliveries(reader: Reader, incident: Incident) -> JsonObject:
    messages = [delivery_view(record) for record in reader.deliveries_of(incident.id)]
    return {**incident_view(incident), "deliveries": messages}
