"""How things stand at this moment, for metrics: a few indexed look-ups, whatever the length of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gnomon.core.health import Health
from gnomon.core.ports import Reader
from gnomon.core.states import ACTIVE

from .context import Desk
from .health import Itself, health, overdue


@dataclass(frozen=True, slots=True)
class Gauges:
    """The state of the database now.

    Attributes:
        active: runs that are not over, by state.
        queued_s: how long the oldest queued run that never began could have begun.
        live: attempts that go on, by node. slots: how many each node performs at once.
        leader: the node that plans. overdue: schedules that should have been decided a minute ago.
        incidents: open ones that nobody acknowledged. health: the verdict of `gnomon health`.
    """

    active: Mapping[str, int]
    queued_s: float
    live: Mapping[str, int]
    slots: Mapping[str, int]
    leader: str | None
    overdue: int
    incidents: int
    health: Health


def gauges(desk: Desk, own: Itself | None = None) -> Gauges:
    """Ask for all of them on one snapshot. `own`: the scheduler process that asks.

    Raises:
        Unavailable: the database cannot be read.
    """
    verdict = health(desk, own=own)

    def work(reader: Reader) -> Gauges:
        now = desk.clock.now()
        waiting = reader.queued_jobs().values()
        oldest = min((since for _, since in waiting), default=now)
        nodes = [node for node in reader.nodes() if node.stopped_at is None and node.lease_until > now]
        leader = reader.leader()
        counts = reader.active_counts()
        return Gauges(
            {str(state): counts.get(state, 0) for state in sorted(ACTIVE)},
            max((now - oldest).total_seconds(), 0.0),
            {node.node_id: reader.live_count(node.node_id) for node in nodes},
            {node.node_id: node.concurrency for node in nodes},
            leader.node_id if leader is not None and leader.lease_until > now else None,
            len(overdue(reader, now)[0]),
            len(reader.unacknowledged(now, 1000)),
            verdict,
        )

    return desk.store.read(work)
