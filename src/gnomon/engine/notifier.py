"""Hands messages that are due to the courier, and keeps what became of them. At least once, never in a job's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gnomon.core.alerts import Delivery, Report, after_try
from gnomon.core.ports import Courier, Transaction

from .acts import Acts

logger = logging.getLogger("gnomon")
AT_ONCE = 200
"""Messages on their way at one time."""


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
    _under_way: set[int] = field(default_factory=set)
    _reports: list[Report] = field(default_factory=list)
    _beat_at: datetime | None = None

    def step(self, tx: Transaction, now: datetime, leads: bool, acts: Acts) -> None:
        """In the transaction of a step: keep reports, choose what to send once it is durable."""
        if self.courier is None:
            return
        with self._lock:
            acts.reports = list(self._reports)
        known = [after_try(report, now) for report in acts.reports]
        if known:
            tx.update_deliveries(known)
        for record in known:
            if record.error is not None:
                acts.log.append(_line(record))
        if not leads:
            return
        pending = tx.pending_deliveries(AT_ONCE + len(self._under_way))
        for record in pending:
            if record.next_at is not None and record.next_at > now:
                acts.wake(record.next_at)
                break
        done = {record.id for record in known}
        first = _first_pings(pending)
        acts.send = [
            record
            for record in pending
            if record.next_at is not None
            and record.next_at <= now
            and (record.id not in self._under_way or record.id in done)
            and (not record.is_ping or first[record.channel] == record.id)
        ]

    def act(self, now: datetime, leads: bool, acts: Acts) -> None:
        """After the commit: send."""
        if self.courier is None:
            return
        with self._lock:
            del self._reports[: len(acts.reports)]
            self._under_way -= {report.delivery.id for report in acts.reports}
            self._under_way |= {record.id for record in acts.send}
        if acts.send:
            self.courier.send(acts.send, self._take)
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


def _first_pings(pending: Sequence[Delivery]) -> dict[str, int]:
    """The oldest ping of each job: `start` must not arrive behind `success`."""
    first: dict[str, int] = {}
    for record in pending:
        first[record.channel] = min(record.id, first.get(record.channel, record.id))
    return first


def _line(record: Delivery) -> tuple[int, str]:
    if record.next_at is None:
        return logging.ERROR, f"{record.channel}: {record.event} of {record.job_id} is given up: {record.error}"
    text = f"{record.channel}: {record.event} of {record.job_id} did not arrive, trying again: {record.error}"
    return logging.WARNING if record.attempts == 1 else logging.DEBUG, text
