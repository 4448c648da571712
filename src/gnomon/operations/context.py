"""What every operation works on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from gnomon.core.ports import Clock, Logs, Store, Transaction
from gnomon.core.records import AuditRecord
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import Json
from gnomon.engine.context import Context
from gnomon.engine.planner import Planner
from gnomon.engine.progress import Progress

from .sightings import Sightings

T = TypeVar("T")


class Elsewhere(Protocol):
    """Does operations in another place, given how they were called."""

    def ask(self, operation: Callable[..., T], /, *args: object, **named: object) -> T:
        """What the operation answers there."""


@dataclass(slots=True)
class Desk:
    """Store, registries and decisions; `actor` is who asks (`cli:alice`, `rest:token-name`).

    `timezone`: of schedules that name none. `channels`: names of those that alerts may go to; None: not known.
    `address`: where the one who asks is, if they came over the network. `directory`: of the database's companions.
    `sightings`: takes note of tokens that are used. `elsewhere`: does all of it; this desk is only its counter.
    """

    store: Store
    clock: Clock
    logs: Logs
    engine: Context
    actor: str
    timezone: str = "UTC"
    channels: Collection[str] | None = None
    address: str | None = None
    directory: Path | None = None
    sightings: Sightings | None = None
    elsewhere: Elsewhere | None = None
    planner: Planner = field(init=False)
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.planner = Planner(self.engine)
        self.progress = Progress(self.engine)

    @property
    def kinds(self) -> ScheduleKinds:
        return self.engine.kinds

    @property
    def task_types(self) -> TaskTypes:
        return self.engine.task_types

    def audit(
        self,
        tx: Transaction,
        action: str,
        what: str,
        before: Json = None,
        after: Json = None,
        *,
        actor: str | None = None,
    ) -> None:
        """Note a change, in the transaction that makes it."""
        who = actor or self.actor
        tx.add_audit([AuditRecord(self.clock.now(), who, action, what, before, after, self.address)])
