"""What a simulation is put together from beside its base: more work to do, with the checks that go with it.

A new feature of the scheduler adds a file with a `Part`, and a line in `PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gnomon.core.model import Job
from gnomon.core.ports import Reader
from gnomon.core.records import AttemptRecord, RunRecord

if TYPE_CHECKING:
    from .author import Author
    from .telling import SimPost


class Violation(AssertionError):
    """An invariant does not hold."""


def demand(holds: bool, message: str) -> None:
    """Raises Violation with `message` unless it holds."""
    if not holds:
        raise Violation(message)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything after a step. `before`: runs as they were a step earlier. `job_of`: what a run was made with."""

    reader: Reader
    runs: Sequence[RunRecord]
    attempts: Mapping[str, tuple[AttemptRecord, ...]]
    before: Mapping[str, RunRecord]
    job_of: Callable[[RunRecord], Job]

    def fresh(self) -> list[RunRecord]:
        """Runs that were made in this step."""
        return [run for run in self.runs if run.id not in self.before]

    def claims(self) -> list[tuple[RunRecord, AttemptRecord]]:
        """Attempts that were claimed in this step."""
        return [
            (run, attempt)
            for run in self.runs
            for attempt in self.attempts.get(run.id, ())
            if attempt.number > (self.before[run.id].attempts if run.id in self.before else 0)
        ]


class Part:
    """More work for a simulation, and what must hold of it. Everything is optional."""

    def begin(self, author: Author) -> None:
        """Add jobs (only in a wide simulation)."""

    def after_step(self, seen: Seen) -> None:
        """Raise `Violation` at what must not be."""

    def at_end(self, reader: Reader, now: datetime, post: SimPost) -> None:
        """Raise `Violation` at what must not be when all faults are over. `post`: what people were told."""

    def may_wait(self, run: RunRecord, now: datetime) -> bool:
        """Whether this run need not be over when all faults are (it waits for something that may still come)."""
        return False


def all_parts() -> list[Part]:
    """A fresh one of each: they remember what they saw."""
    from .limits import Limits
    from .overlaps import Overlaps
    from .telling import Telling
    from .windows import Windows

    return [Limits(), Overlaps(), Windows(), Telling()]
