"""What people were told of a run, and what does not reach them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gnomon.core.alerts import Incident, Kind
from gnomon.core.deliveries import Delivery
from gnomon.core.ports import Reader
from gnomon.core.records import RunRecord
from gnomon.core.states import State
from gnomon.core.values import JsonObject, rfc3339

from .alerts import incident_view
from .context import Desk
from .elsewhere import anywhere
from .gates import Gate
from .lookup import find_run

DAY = timedelta(hours=24)
_LOOKED_AT = 50
_MANY = 1000


@anywhere
def alerts_of_run(desk: Desk, run_id: str) -> list[JsonObject]:
    """The incidents that a run began or belongs to, newest first, each with what was `told`.

    Raises:
        NotFound, Conflict: no run has this id, or several begin so.
    """

    def read(reader: Reader) -> list[JsonObject]:
        found = _incidents(reader, find_run(reader, run_id))
        return [{**incident_view(incident), "told": [_told_view(one) for one in told]} for incident, told in found]

    return desk.store.read(read)


def told_gates(reader: Reader, run: RunRecord) -> list[Gate]:
    """Whether people know of the trouble that a run is part of: not a gate of the scheduler, but what follows."""
    return [_gate(incident, told) for incident, told in _incidents(reader, run)]


def told_sentence(incident: JsonObject) -> str:
    """An element of `alerts_of_run` in a line, without its id."""
    told = incident["told"]
    assert isinstance(told, list)
    channels = [_channel(str(one["channel"]), str(one["state"]), one["error"]) for one in told]
    return _sentence(str(incident["kind"]), incident["count"], bool(incident["open"]), channels)


def undelivered(desk: Desk) -> list[tuple[str, bool, str]]:
    """Channels that alerts of the last day did not reach: name, whether some were given up, and why in a sentence."""
    now = desk.clock.now()
    by_channel: dict[str, list[Delivery]] = {}
    for record in desk.store.read(lambda r: r.troubled_deliveries(now - DAY, _MANY)):
        by_channel.setdefault(record.channel, []).append(record)
    found = []
    for channel, records in sorted(by_channel.items()):
        lost = [record for record in records if record.next_at is None]
        waiting = len(records) - len(lost)
        parts = [f"{waiting} not delivered yet"] * bool(waiting) + [f"{len(lost)} given up"] * bool(lost)
        newest = (lost or records)[0]
        text = f"{' and '.join(parts)} in the last day: {newest.error} (incident {newest.incident_id})"
        found.append((channel, bool(lost), text))
    return found


def _incidents(reader: Reader, run: RunRecord) -> Iterator[tuple[Incident, list[Delivery]]]:
    for incident in reader.incidents(job_id=run.job_id, limit=_LOOKED_AT).items:
        if _belongs(incident, run):
            newest: dict[str, Delivery] = {}
            for record in reader.deliveries_of(incident.id):
                if record.event == incident.kind.value:
                    newest[record.channel] = record
            yield incident, list(newest.values())


def _belongs(incident: Incident, run: RunRecord) -> bool:
    """Whether a run is a sign of an incident: it began it, or is of the same kind within its time."""
    if incident.run_id == run.id:
        return True
    match incident.kind:
        case Kind.FAILED:
            at = run.finished_at if run.state is State.FAILED else None
        case Kind.LATE:
            at = run.started_at
        case Kind.MISSED:
            at = run.finished_at if run.state is State.SKIPPED and run.reason == "deadline" else None
    return run.parent_id is None and at is not None and incident.opened_at <= at <= incident.last_at


def _gate(incident: Incident, told: list[Delivery]) -> Gate:
    channels = [_channel(one.channel, one.state, one.error) for one in told]
    text = _sentence(incident.kind.value, incident.count, incident.closed_at is None, channels)
    passed = all(one.state == "delivered" for one in told) if told else None
    return Gate("people were told", passed, f"{text}; incident {incident.id}", incident.opened_at)


def _sentence(kind: str, count: object, is_open: bool, channels: list[str]) -> str:
    times = "once" if count == 1 else f"{count} times"
    return f"{kind} {times}, {'still open' if is_open else 'over'}: {', '.join(channels) or 'nobody was to be told'}"


def _channel(name: str, state: str, error: object) -> str:
    if state == "delivered":
        return f"{name} was told"
    word = "given up" if state == "given_up" else "not told yet"
    return f"{name} {word}" + (f" ({error})" if error else "")


def _told_view(record: Delivery) -> JsonObject:
    return {
        "channel": record.channel,
        "state": record.state,
        "error": record.error,
        "delivered_at": rfc3339(record.delivered_at),
    }
