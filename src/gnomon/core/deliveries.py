"""Messages on their way: what one is, when it is tried again, and when a channel that fails is left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .values import JsonObject

_SHORTEST_S, _LONGEST_S = 1.0, 600.0
LONGEST_PAUSE = timedelta(seconds=_LONGEST_S)
LONGEST_REST_S = 60.0
"""How long a channel that failed is left alone at most, whatever waits for it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one channel.

    Attributes:
        channel: its name; of a ping `ping:` and the job.
        event: an alert's `failed`, `late`, `missed`, `recovered`; a ping's `start`, `success`, `fail`.
        payload: what was decided: text, and what the sender needs.
        expires_at: given up then.
        next_at: when to try (again); None: delivered or given up.
        error: of the last try that failed.
        id: 0 until the store has numbered it; grows.
    """

    channel: str
    event: str
    job_id: str
    payload: JsonObject
    created_at: datetime
    expires_at: datetime
    next_at: datetime | None
    run_id: str | None = None
    incident_id: str | None = None
    attempts: int = 0
    delivered_at: datetime | None = None
    error: str | None = None
    id: int = 0

    @property
    def key(self) -> str:
        """The same for every try: receivers can tell a repetition by it."""
        return f"gnomon-{self.incident_id or self.run_id or 'message'}-{self.event}-{self.id}"

    @property
    def is_ping(self) -> bool:
        return self.channel.startswith("ping:")

    @property
    def state(self) -> str:
        """`delivered`, `pending` or `given_up`."""
        return "delivered" if self.delivered_at else "given_up" if self.next_at is None else "pending"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one try to send. `error` None: it arrived. `permanent`: trying again is of no use.

    `tried`: False if its channel was found dead with another message just before.
    """

    delivery: Delivery
    error: str | None = None
    permanent: bool = False
    tried: bool = True


def after_try(report: Report, now: datetime) -> Delivery:
    """The delivery after a try: delivered, to be tried later (delays double up to ten minutes), or given up.

    One that was not tried stays as it is, until it is too old.
    """
    if not report.tried:
        old = now >= report.delivery.expires_at
        return replace(report.delivery, error=report.error, next_at=None) if old else report.delivery
    tries = report.delivery.attempts + 1
    record = replace(report.delivery, attempts=tries, error=report.error)
    if report.error is None:
        return replace(record, delivered_at=now, next_at=None)
    again = now + timedelta(seconds=_pause_s(tries, _LONGEST_S))
    return replace(record, next_at=None if report.permanent or again >= record.expires_at else again)


@dataclass(frozen=True, slots=True)
class Rest:
    """A channel that failed so often in a row gets nothing before `until`."""

    failures: int
    until: datetime


def rests(before: Mapping[str, Rest], reports: Sequence[Report], now: datetime) -> dict[str, Rest]:
    """The channels that rest after these tries, so that a dead one is asked now and then and not by each message.

    Pings are left out: each address has its own pace.
    """
    after = dict(before)
    for report in reports:
        channel = report.delivery.channel
        if report.delivery.is_ping or not report.tried or report.permanent:
            continue
        if report.error is None:
            after.pop(channel, None)
        else:
            failures = after[channel].failures + 1 if channel in after else 1
            after[channel] = Rest(failures, now + timedelta(seconds=_pause_s(failures, LONGEST_REST_S)))
    return after


def _pause_s(failures: int, longest_s: float) -> float:
    return min(longest_s, _SHORTEST_S * 2.0 ** min(failures - 1, 20))
