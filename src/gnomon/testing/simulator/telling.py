"""Alerts: every failure has its incident, every incident is told once to each channel, in order, and all arrives."""

from __future__ import annotations

import json
import random  # noqa: TID251 - the seed decides everything here
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from gnomon.core.alerts import RECOVERED, SETTING, Defaults, Incident, Kind, counts
from gnomon.core.deliveries import Delivery, Report
from gnomon.core.ports import Reader
from gnomon.core.records import RunRecord
from gnomon.core.states import State

from .author import Author
from .parts import Part, Seen, demand

CHANNELS = ("ops", "dev")
_FAILING = 0.25


class SimPost:
    """What people got, through the couriers of all nodes. `well`: nothing fails any more."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"post {seed}")
        self.arrived: list[Delivery] = []
        self.well = False


class SimCourier:
    """A `gnomon.core.ports.Courier` of one node: carries when it is told to; what it holds dies with the node."""

    def __init__(self, post: SimPost) -> None:
        self._post = post
        self._held: list[tuple[Delivery, Callable[[Report], None]]] = []

    def send(self, deliveries: Sequence[Delivery], report: Callable[[Report], None]) -> None:
        """See `Courier`."""
        self._held += [(record, report) for record in deliveries]

    def beat(self, url: str) -> None:
        """See `Courier`."""

    def carry(self) -> None:
        """Some of what is held goes out, and is reported: whether a step keeps that is another question."""
        while self._held and (self._post.well or self._post.random.random() < 0.7):
            record, report = self._held.pop(0)
            if not self._post.well and self._post.random.random() < _FAILING:
                report(Report(record, "refused"))
            else:
                self._post.arrived.append(record)
                report(Report(record))


class Telling(Part):
    """Everybody is told of everything."""

    def __init__(self) -> None:
        self._told = False

    def begin(self, author: Author) -> None:
        general = Defaults(CHANNELS, late_after_s=60.0)
        author.desk.store.write(lambda tx: tx.put_setting(SETTING, json.dumps(general.view())))
        self._told = True

    def after_step(self, seen: Seen) -> None:
        if not self._told:
            return
        for run in seen.runs:
            before = seen.before.get(run.id)
            if run.state is State.FAILED and counts(run) and (before is None or before.state is not State.FAILED):
                known = seen.reader.incidents(job_id=run.job_id, limit=20).items
                demand(any(_covers(i, run) for i in known), f"alerts: nobody is told that {run.id} failed")

    def at_end(self, reader: Reader, now: datetime, post: SimPost) -> None:
        """Everything that was decided has arrived."""
        incidents = reader.incidents(limit=100_000).items
        open_ = Counter((i.job_id, i.kind) for i in incidents if i.closed_at is None)
        demand(all(n == 1 for n in open_.values()), f"alerts: several open incidents of one kind: {open_}")
        first: dict[int, int] = {}
        for place, record in enumerate(post.arrived):
            first.setdefault(record.id, place)
        for incident in incidents:
            self._told_once(incident, reader.deliveries_of(incident.id), first)

    def _told_once(self, incident: Incident, records: Sequence[Delivery], first: dict[int, int]) -> None:
        what = f"incident {incident.id} ({incident.kind} of {incident.job_id})"
        for record in records:
            demand(record.state == "delivered", f"alerts: message {record.id} of {what} is {record.state}")
            demand(record.id in first, f"alerts: message {record.id} of {what} never arrived")
        for channel in CHANNELS:
            mine = [record for record in records if record.channel == channel]
            opening = [r for r in mine if r.event == incident.kind.value]
            urgent = [r for r in opening[1:] if "the job is paused" in str(r.payload["text"])]
            demand(len(opening) - len(urgent) == 1, f"alerts: {what} was told {len(opening)} times to {channel}")
            ends = [r for r in mine if r.event == RECOVERED]
            demand(len(ends) <= (incident.closed_at is not None), f"alerts: {len(ends)} recoveries of {what}")
            order = [first[r.id] for r in mine]
            demand(order == sorted(order), f"alerts: messages of {what} came out of order to {channel}")


def _covers(incident: Incident, run: RunRecord) -> bool:
    return incident.kind is Kind.FAILED and (
        incident.run_id == run.id or run.finished_at is None or incident.last_at >= run.finished_at
    )
