"""Whether the scheduler does its work, judged from facts that everyone on the database can see. Pure.

A node writes its lease anew about every ten seconds, from the loop that starts jobs: a lease that ran out is a loop
that does not step. A loop that steps and yet leaves schedules overdue is caught by the last check.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from .records import LeaderRecord, NodeRecord
from .values import JsonObject, rfc3339

OVERDUE_S = 60.0
"""How long a schedule may be undecided before something is wrong, unless somebody says otherwise."""
STALLED_S = 60.0
"""How long a loop may go without turning: longer than it ever waits (30 s) or tries to write (30 s)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is judged.

    Attributes:
        nodes: scheduler processes that never said they stopped.
        dead: ids of those known to run no more, whatever their lease says.
        overdue: how many schedules should have been decided before `now` minus the allowed delay (it may be "at
            least so many"), with the time and id of the one that waits longest.
        quiet_s: how long ago the loop of this very process last turned; None: asked from outside.
    """

    now: datetime
    nodes: Collection[NodeRecord]
    dead: Collection[str] = ()
    leader: LeaderRecord | None = None
    overdue: int = 0
    overdue_since: datetime | None = None
    overdue_schedule: str | None = None
    quiet_s: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `name` is stable: `database`, `loop`, `leader`, `overdue`, `server`."""

    name: str
    ok: bool
    message: str

    def view(self) -> JsonObject:
        """The JSON object."""
        return {"name": self.name, "ok": self.ok, "message": self.message}


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict. Healthy if every check is."""

    at: datetime
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def line(self) -> str:
        """The verdict in one line: what is wrong, or what shows that nothing is."""
        told = [check.message for check in self.checks if check.ok is self.ok]
        return ("healthy: " if self.ok else "unhealthy: ") + "; ".join(told)

    def view(self) -> JsonObject:
        """The JSON object: `{"ok", "at", "line", "checks": [{"name", "ok", "message"}]}`."""
        checks = [check.view() for check in self.checks]
        return {"ok": self.ok, "at": rfc3339(self.at), "line": self.line, "checks": [*checks]}


def judge(facts: Facts, *, stalled_s: float = STALLED_S) -> Health:
    """The verdict on these facts."""
    alive = [node for node in facts.nodes if node.node_id not in facts.dead]
    fresh = [node for node in alive if node.lease_until > facts.now]
    return Health(facts.now, (_loop(facts, alive, fresh, stalled_s), _leader(facts, fresh), _overdue(facts)))


def _loop(facts: Facts, alive: Collection[NodeRecord], fresh: Collection[NodeRecord], stalled_s: float) -> Check:
    if facts.quiet_s is not None and facts.quiet_s > stalled_s:
        return Check("loop", False, f"the loop of this scheduler has stood still for {facts.quiet_s:.0f} s")
    if fresh:
        word = "scheduler steps" if len(fresh) == 1 else "schedulers step"
        return Check("loop", True, f"{len(fresh)} {word}")
    if not alive:
        return Check("loop", False, "no scheduler runs on this database")
    last = max(node.lease_until for node in alive)
    names = ", ".join(sorted(node.node_id for node in alive))
    return Check("loop", False, f"no scheduler steps: the lease of {names} ran out at {rfc3339(last)}")


def _leader(facts: Facts, fresh: Collection[NodeRecord]) -> Check:
    leader = facts.leader
    if leader is None:
        return Check("leader", False, "none has ever planned")
    if leader.lease_until <= facts.now:
        return Check("leader", False, f"none plans since {rfc3339(leader.lease_until)}")
    if leader.node_id not in {node.node_id for node in fresh}:
        return Check("leader", False, f"the one that plans is gone: {leader.node_id}")
    return Check("leader", True, f"{leader.node_id} plans")


def _overdue(facts: Facts) -> Check:
    if not facts.overdue:
        return Check("overdue", True, "no schedule is overdue")
    late = timedelta(0) if facts.overdue_since is None else facts.now - facts.overdue_since
    word = "schedule is" if facts.overdue == 1 else "schedules are"
    text = f"{facts.overdue} {word} overdue, {facts.overdue_schedule} by {late.total_seconds():.0f} s"
    return Check("overdue", False, text)
