"""Hands messages that are due to the courier, and keeps what became of them. At least once, never in a job's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gnomon.core.deliveries import LONGEST_REST_S, Delivery, Report, Rest, after_try, rests
from gnomon.core.ports import Courier, Transaction

from .acts import Acts, Line

logger = logging.getLogger("gnomon")
AT_ONCE = 200
"""Messages that are handed over in one step."""
REST = timedelta(seconds=LONGEST_REST_S)
STALE = "too old to be of use"


@dataclass(slots=True)
class Notifier:
    """The way out of messages on one node. Only the leader begins to send; every node keeps what it learnt.

    Attributes:
        courier: None: nobody carries messages (they stay in the store).
        heartbeat: URL to ping every `heartbeat_s` while steps succeed.
    """

    wake: Callable[[], None]
    courier: Courier | None = None
    heartbeat: str | None = None
    heartbeat_s: float = 60.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: dict[int, str] = field(default_factory=dict)
    _rests: dict[str, Rest] = field(default_factory=dict)
    _reports: list[Report] = field(default_factory=list)
    _beat_at: datetime | None = None

    def step(self, tx: Transaction, now: datetime, leads: bool, acts: Acts) -> None:
        """In the transaction of a step: keep reports, choose what to send once it is durable."""
        if self.courier is None:
            return
        with self._lock:
            acts.reports = list(self._reports)
        tried = [(report.delivery, after_try(report, now)) for report in acts.reports]
        known = [after for before, after in tried if after is not before]
        if known:
            tx.update_deliveries(known)
        acts.log += [_line(record) for record in known if record.error is not None]
        acts.rests = rests(self._rests, acts.reports, now)
        if leads:
            self._choose(tx, now, acts)

    def _choose(self, tx: Transaction, now: datetime, acts: Acts) -> None:
        """What to send: to each channel one batch at a time, and none while it rests."""
        reported = {report.delivery.id for report in acts.reports}
        resting = {name: rest.until for name, rest in acts.rests.items() if now < rest.until <= now + REST}
        busy = {channel for number, channel in self._under_way.items() if number not in reported}
        pending = tx.pending_deliveries(AT_ONCE, busy | resting.keys())
        stale = [record for record in pending if record.is_ping and record.expires_at <= now]
        if stale:
            tx.update_deliveries([replace(record, next_at=None, error=STALE) for record in stale])
        due = [record for record in pending if record.next_at is not None and record.next_at <= now]
        acts.send = [record for record in due if record not in stale]
        for at in resting.values():
            acts.wake(at)
        if stale or len(due) == AT_ONCE:
            acts.wake(now)
        elif len(due) < len(pending):
            acts.wake(pending[len(due)].next_at)

    def act(self, now: datetime, leads: bool, acts: Acts) -> None:
        """After the commit: send."""
        if self.courier is None:
            return
        with self._lock:
            del self._reports[: len(acts.reports)]
            for report in acts.reports:
                self._under_way.pop(report.delivery.id, None)
            self._under_way |= {record.id: record.channel for record in acts.send}
        self._rests = acts.rests
        if acts.send:
            self.courier.send(acts.send, self._take)
        if self._reports:
            acts.wake(now)
        if leads and self.heartbeat is not None:
            self._beat(self.courier, self.heartbeat, now, acts)

    def _beat(self, courier: Courier, url: str, now: datetime, acts: Acts) -> None:
        every = timedelta(seconds=self.heartbeat_s)
        if self._beat_at is None or not self._beat_at - every <= now < self._beat_at:
            courier.beat(url)
            self._beat_at = now + every
        acts.wake(self._beat_at)

    def _take(self, report: Report) -> None:
        with self._lock:
            self._reports.append(report)
        self.wake()


def _line(record: Delivery) -> Line:
    if record.next_at is None:
        text = f"{record.channel}: {record.event} of {record.job_id} is given up: {record.error}"
        return Line(logging.ERROR, text, {"job_id": record.job_id})
    text = f"{record.channel}: {record.event} of {record.job_id} did not arrive, trying again: {record.error}"
    return Line(logging.WARNING if record.attempts == 1 else logging.DEBUG, text, {"job_id": record.job_id})
