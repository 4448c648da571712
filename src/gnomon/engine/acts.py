"""What a step wants done once its transaction is durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from gnomon.core.attempts import Adoption, AttemptSpec, Ended
from gnomon.core.deliveries import Delivery, Report, Rest
from gnomon.core.records import RunRecord, SkipRecord


class Line(NamedTuple):
    """A line of the service log. `about`: the ids in it, for logs that programs read."""

    level: int
    text: str
    about: Mapping[str, object] = MappingProxyType({})


@dataclass(slots=True)
class Acts:
    """Collected while deciding, carried out after the commit; thrown away if the commit fails.

    Attributes:
        start, adopt: per executor name.
        cancel, forget: (executor name, run id, attempt number).
        stillborn: ends of attempts that could not even be described to an executor.
        log: lines for the service log.
        over: runs that ended in this step, items among them. skipped: fires that made no run.
        paused: why jobs were paused in this step, by job.
        send: messages that are due. reports: what became of earlier ones, now kept.
        started_up: the runs of a node's start were made.
        wake_at: when the next step is needed at the latest.
    """

    start: list[tuple[str, AttemptSpec]] = field(default_factory=list)
    adopt: list[tuple[str, Adoption]] = field(default_factory=list)
    cancel: list[tuple[str, str, int]] = field(default_factory=list)
    forget: list[tuple[str, str, int]] = field(default_factory=list)
    stillborn: list[Ended] = field(default_factory=list)
    log: list[Line] = field(default_factory=list)
    over: list[RunRecord] = field(default_factory=list)
    skipped: list[SkipRecord] = field(default_factory=list)
    paused: dict[str, str] = field(default_factory=dict)
    send: list[Delivery] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    rests: dict[str, Rest] = field(default_factory=dict)
    started_up: bool = False
    wake_at: datetime | None = None

    def wake(self, at: datetime | None) -> None:
        """Ask for a step at `at`, or earlier."""
        if at is not None and (self.wake_at is None or at < self.wake_at):
            self.wake_at = at
