"""The contract between the engine and whatever performs attempts: what goes out, what comes back.

Everything here can be written as JSON: a worker on another machine gets and sends the same.
Each message carries the attempt's token; the store accepts none with an old one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from .values import Json


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class AttemptSpec:
    """One attempt to perform. Secrets are references only.

    Attributes:
        run_id, number: which attempt (number counts from 1).
        token: fencing number, strictly growing over the takeovers of this attempt.
        task_type: canonical name of the task type.
        arguments: the task's arguments, substitutions done (JSON).
        environment: what every task sees: GNOMON_RUN_ID, GNOMON_JOB_ID, GNOMON_ATTEMPT, GNOMON_FENCE,
            GNOMON_FIRE_TIME.
        timeout_s: seconds from its start until it is stopped, or None.
        kill_grace_s: seconds between TERM and KILL.
        log_limit: bytes of output kept.
    """

    run_id: str
    number: int
    token: int
    job_id: str
    task_type: str
    arguments: Mapping[str, Json]
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    kill_grace_s: float = 10.0
    log_limit: int = 10_000_000


@dataclass(frozen=True, slots=True)
class Handle:
    """What `Started` said about where an attempt runs; kept in the store so that a successor can find it.

    `process` is opaque to the engine (an executor's own JSON: pid, start time, boot id, …).
    """

    worker: str
    process: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt did not succeed: stable code, message for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Started:
    """The attempt has begun. `at`: wall-clock instant (UTC)."""

    run_id: str
    number: int
    token: int
    at: datetime
    handle: Handle


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt is over and nothing of it runs any more.

    Attributes:
        started_at, finished_at: wall-clock instants; started_at is None if it never began.
        duration_s: seconds by a clock that does not jump where one could be used.
        exit_code: of a process; -N for signal N; None for other tasks.
        never_started: it provably did not begin and never will (so doing it again is no repeat).
        result: JSON value the task gave, or None.
        log_bytes: bytes of output kept.
    """

    run_id: str
    number: int
    token: int
    outcome: Outcome
    finished_at: datetime
    started_at: datetime | None = None
    duration_s: float | None = None
    exit_code: int | None = None
    error: Failure | None = None
    result: Json = None
    log_bytes: int = 0
    never_started: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The attempt is still alive, as of `at`."""

    run_id: str
    number: int
    token: int
    at: datetime


Event: TypeAlias = "Started | Ended | Heartbeat"
Sink: TypeAlias = Callable[["Event"], None]


@dataclass(frozen=True, slots=True)
class Adoption:
    """An attempt that another process claimed and left; `handle` is None if its start was never heard of.

    `spec.token` is the new owner's token: events must carry it. `owner`: the node that left it.
    """

    spec: AttemptSpec
    handle: Handle | None
    owner: str = ""


class Executor(Protocol):
    """Performs attempts of some task types, outside the caller's thread.

    No method blocks on the work itself, none raises for a bad attempt: what goes wrong with an attempt
    comes back as its `Ended`. Each attempt given to `start` or `adopt` gives exactly one `Ended`, unless
    `detach` is called first. Events are delivered through the sink, from any thread.
    """

    @property
    def name(self) -> str:
        """What attempts and task types call it."""

    def open(self, sink: Sink) -> None:
        """Make ready; events go to `sink` from now on."""

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        """Begin these attempts. Call only after their claim is durable. Order kept, per attempt idempotent."""

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Take over attempts of a dead owner: learn how they ended, or watch them on, or revoke what never began."""

    def cancel(self, run_id: str, number: int) -> None:
        """Stop this attempt: TERM, grace, KILL. Its `Ended` says `cancelled`. Unknown attempts are ignored."""

    def forget(self, run_id: str, number: int) -> None:
        """The end of this attempt is durable: whatever was kept for recovery may go. Idempotent."""

    def leftovers(self, before: datetime) -> Sequence[tuple[str, int]]:
        """Attempts for which something is kept for recovery since before `before`, known to us or not."""

    def detach(self) -> None:
        """Stop watching, leave the work running for a successor, free every resource. Idempotent."""
