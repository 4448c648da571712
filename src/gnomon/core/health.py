"""Whether the scheduler does its work, judged from what the database shows and what its processes know of themselves.
Pure.

A node writes its lease anew about every ten seconds, from the loop that starts jobs: a lease that ran out is a loop
that does not step. What a process knows and the database does not (steps that fail, threads that hang) it tells beside
its lock. Machines restart what is failing; so only that is failing which a restart or a person must end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from .records import LeaderRecord, NodeRecord
from .values import JsonObject, parse_rfc3339, rfc3339

OVERDUE_S = 60.0
"""How long a schedule may be undecided before something is wrong, unless somebody says otherwise."""
STALLED_S = 60.0
"""How long a loop may go without turning: longer than it ever waits (30 s) or tries to write (30 s)."""
SLOW_S = 10.0
"""How long a thread of an executor may be at one thing before that is told."""
MOVING = timedelta(minutes=10)
"""How long all slots may be taken by the same attempts while others wait, before that is told."""
MOST_TEXT = 300
"""Characters of what a process tells of one check."""


class Level(StrEnum):
    """How bad it is: `degraded` is named and goes on, `failing` ends only by a restart or by a person."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"

    @property
    def rank(self) -> int:
        """0 to 2."""
        return tuple(Level).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `name` is stable (all are in docs/monitoring.md); `since`: of what is wrong, if known."""

    name: str
    level: Level
    message: str
    since: datetime | None = None

    @property
    def ok(self) -> bool:
        return self.level is Level.OK

    def view(self) -> JsonObject:
        """The JSON object."""
        since = None if self.since is None else rfc3339(self.since)
        return {"name": self.name, "ok": self.ok, "level": str(self.level), "message": self.message, "since": since}


def check_of(view: Mapping[str, Any]) -> Check:
    """The check of its JSON object. Raises KeyError, TypeError or ValueError for anything else."""
    since = view.get("since")
    level = Level(view["level"]) if "level" in view else Level.OK if view["ok"] is True else Level.FAILING
    return Check(str(view["name"]), level, str(view["message"]), None if since is None else parse_rfc3339(str(since)))


@runtime_checkable
class Telling(Protocol):
    """A part of a scheduler process that knows how it is itself."""

    def checks(self) -> Iterable[Check]:
        """What is wrong with it now; nothing if nothing is. At once, from any thread."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is judged.

    Attributes:
        nodes: scheduler processes that never said they stopped.
        dead: ids of those known to run no more, whatever their lease says.
        told: what is wrong with nodes, as they tell themselves.
        elsewhere: nodes at work on a file that had the name of this database before.
        own: the node of the process that asks, if it is one.
        overdue: how many schedules should have been decided before `now` minus the allowed delay (it may be "at
            least so many"), with the time and id of the one that waits longest.
        full_since: when an attempt was claimed last, if no scheduler has a free slot.
        queued: how many runs could have begun, the oldest at queued_since.
        standing: how many schedules stand still, since their rules cannot be evaluated. faults: why, of some of them.
    """

    now: datetime
    nodes: Collection[NodeRecord]
    dead: Collection[str] = ()
    leader: LeaderRecord | None = None
    told: Mapping[str, Sequence[Check]] = field(default_factory=dict)
    elsewhere: Sequence[str] = ()
    own: str | None = None
    overdue: int = 0
    overdue_since: datetime | None = None
    overdue_schedule: str | None = None
    full_since: datetime | None = None
    queued: int = 0
    queued_since: datetime | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    standing: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict: as bad as the worst check."""

    at: datetime
    checks: tuple[Check, ...]

    @property
    def level(self) -> Level:
        return max((check.level for check in self.checks), key=lambda level: level.rank, default=Level.OK)

    @property
    def ok(self) -> bool:
        return self.level is Level.OK

    @property
    def line(self) -> str:
        """The verdict in one line: what is wrong, the worst first, or what shows that nothing is."""
        told = sorted((c for c in self.checks if c.ok is self.ok), key=lambda check: -check.level.rank)
        return ("healthy: " if self.ok else f"{self.level}: ") + "; ".join(check.message for check in told)

    def view(self) -> JsonObject:
        """The JSON object: `{"ok", "level", "at", "line", "checks": [{"name", "ok", "level", "message", "since"}]}`."""
        checks = [check.view() for check in self.checks]
        return {
            "ok": self.ok, "level": str(self.level), "at": rfc3339(self.at), "line": self.line, "checks": [*checks],
        }  # fmt: skip


def judge(facts: Facts) -> Health:
    """The verdict on these facts. A new thing to look at in the database is one more function here."""
    alive = [node for node in facts.nodes if node.node_id not in facts.dead]
    fresh = [node for node in alive if node.lease_until > facts.now]
    checks = (
        *_elsewhere(facts),
        _loop(facts, alive, fresh),
        _leader(facts, fresh),
        _overdue(facts),
        *_standing(facts),
        *_full(facts),
        *_told(facts, fresh),
    )
    return Health(facts.now, checks)


def _elsewhere(facts: Facts) -> Iterator[Check]:
    if facts.elsewhere:
        names = ", ".join(facts.elsewhere)
        yield Check("database", Level.FAILING, f"database_replaced: {names} works on another file of this name")


def _loop(facts: Facts, alive: Collection[NodeRecord], fresh: Collection[NodeRecord]) -> Check:
    if fresh:
        word = "scheduler steps" if len(fresh) == 1 else "schedulers step"
        return Check("loop", Level.OK, f"{len(fresh)} {word}")
    if not alive:
        return Check("loop", Level.FAILING, "no scheduler runs on this database")
    last = max(node.lease_until for node in alive)
    names = ", ".join(sorted(node.node_id for node in alive))
    return Check("loop", Level.FAILING, f"no scheduler steps: the lease of {names} ran out at {rfc3339(last)}", last)


def _leader(facts: Facts, fresh: Collection[NodeRecord]) -> Check:
    leader = facts.leader
    if leader is None:
        return Check("leader", Level.FAILING, "none has ever planned")
    if leader.lease_until <= facts.now:
        until = leader.lease_until
        return Check("leader", Level.FAILING, f"none plans since {rfc3339(until)}", until)
    if leader.node_id not in {node.node_id for node in fresh}:
        return Check("leader", Level.FAILING, f"the one that plans is gone: {leader.node_id}")
    return Check("leader", Level.OK, f"{leader.node_id} plans")


def _overdue(facts: Facts) -> Check:
    if not facts.overdue:
        return Check("overdue", Level.OK, "no schedule is overdue")
    late = timedelta(0) if facts.overdue_since is None else facts.now - facts.overdue_since
    word = "schedule is" if facts.overdue == 1 else "schedules are"
    text = f"{facts.overdue} {word} overdue, {facts.overdue_schedule} by {late.total_seconds():.0f} s"
    return Check("overdue", Level.DEGRADED, text, facts.overdue_since)


def _standing(facts: Facts) -> list[Check]:
    """Schedules that nobody can evaluate; the first of them with its reason."""
    if not facts.standing:
        return []
    word = "schedule stands" if facts.standing == 1 else "schedules stand"
    named = "; ".join(f"{schedule_id}: {why}" for schedule_id, why in facts.faults.items())
    return [Check("schedule_stands", Level.DEGRADED, f"{facts.standing} {word} still: {named}")]


def _full(facts: Facts) -> list[Check]:
    """Slots that do not move while work waits: long work, or something that keeps them."""
    since, waiting = facts.full_since, facts.queued_since
    if not facts.queued or since is None or waiting is None or facts.now - max(since, waiting) < MOVING:
        return []
    minutes = int((facts.now - since).total_seconds() // 60)
    word = "run waits" if facts.queued == 1 else "runs wait"
    text = f"every slot is taken and nothing has begun for {minutes} minutes; {facts.queued} {word}"
    return [Check("slots_stand", Level.DEGRADED, text, since)]


def _told(facts: Facts, fresh: Collection[NodeRecord]) -> list[Check]:
    """What nodes say is wrong with them. One that fails beside another that works is no reason to restart the other."""
    bad = {node_id for node_id, told in facts.told.items() if any(c.level is Level.FAILING for c in told)}
    works = any(node.node_id not in bad for node in fresh)
    found = []
    for node_id, told in sorted(facts.told.items()):
        spared = works and facts.own != node_id
        for check in told:
            level = Level.DEGRADED if spared and check.level is Level.FAILING else check.level
            text = check.message if len(fresh) < 2 else f"{node_id}: {check.message}"
            found.append(replace(check, level=level, message=text))
    return found
