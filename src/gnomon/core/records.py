"""Facts as the store keeps them: frozen rows. Instants are aware UTC; `_s` are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from .attempts import Failure, Handle, Outcome
from .filters import JobFilter as JobFilter
from .filters import RunFilter as RunFilter
from .filters import ScheduleFilter as ScheduleFilter
from .model import Job
from .rules import ScheduleSpec
from .states import State
from .values import Json

T = TypeVar("T")


class Cause(StrEnum):
    """Why a run exists."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"
    DOWNSTREAM = "downstream"
    STARTUP = "startup"


class SkipReason(StrEnum):
    """Why a fire time made no run."""

    PAUSED = "paused"
    DISABLED = "disabled"
    OVERLAP = "overlap"
    CATCH_UP = "catch_up"
    EXCLUDED = "excluded"
    OUTSIDE_WINDOW = "outside_window"


class SourceKind(StrEnum):
    """Who owns a job's definition."""

    FILE = "file"
    PYTHON = "python"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Source:
    """The owner of a definition; `path` of the file, or None."""

    kind: SourceKind
    path: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the store holds it: its current definition and what people did to it.

    `version` counts definitions from 1. `retired_at`: its source no longer has it; history stays.
    `failure_streak`: runs that failed in a row.
    """

    job: Job
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime
    paused_at: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None
    retired_at: datetime | None = None
    failure_streak: int = 0

    @property
    def job_id(self) -> str:
        return self.job.job_id

    @property
    def fires(self) -> bool:
        """Whether its schedules may make runs at all."""
        return self.job.enabled and self.paused_at is None and self.retired_at is None


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule entry and how far it is decided.

    Attributes:
        anchor: when it was first seen (an interval counts from it).
        cursor: its next fire time not yet decided, without jitter; None: no more, or it has none.
        due_at: when the planner must look at it (cursor + jitter); None while it may not fire.
        revision: grows with every change of the row; compare-and-set on it.
    """

    schedule_id: str
    job_id: str
    spec: ScheduleSpec
    position: int
    anchor: datetime
    cursor: datetime | None
    due_at: datetime | None
    revision: int = 1
    paused_at: datetime | None = None
    paused_by: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One occurrence of a job.

    Attributes:
        run_key: unique identity (`core.identity`).
        fire_at: the fire time (without jitter) for scheduled runs, else None.
        due_at: when it should start.
        exclusive: starts only while no other run of its job is running or waiting for a retry.
        pools: slots it takes in each pool while it runs.
        max_active: starts only while fewer runs of its job than this have begun; None: no limit.
        available_at: for retry_wait and scheduled: when it comes to the queue.
        deadline_at: skipped if not started by then.
        attempts, failures, lost: attempts claimed; of these failed; of these lost after they began.
        waiting_for: what a waiting or queued run waits for, in words; None: a free slot.
        reason: why it is skipped, cancelled or failed, in one word (`overlap`, `upstream_failed`, …).
        note: what is unusual about its fire time.
        cancel_requested_at, cancel_actor, cancel_reason: someone wants it stopped.
    """

    id: str
    job_id: str
    version: int
    state: State
    cause: Cause
    run_key: str
    due_at: datetime
    created_at: datetime
    flow_id: str
    actor: str
    schedule_id: str | None = None
    fire_at: datetime | None = None
    priority: int = 0
    queue: str = "default"
    exclusive: bool = True
    pools: Mapping[str, int] = field(default_factory=dict)
    max_active: int | None = None
    available_at: datetime | None = None
    deadline_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    failures: int = 0
    lost: int = 0
    parameters: Mapping[str, Json] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    retry_of: str | None = None
    parent_id: str | None = None
    item: Json = None
    waiting_for: str | None = None
    reason: str | None = None
    note: str | None = None
    exit_code: int | None = None
    result: Json = None
    error: Failure | None = None
    lateness_s: float | None = None
    duration_s: float | None = None
    cancel_requested_at: datetime | None = None
    cancel_actor: str | None = None
    cancel_reason: str | None = None
    configuration: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try of a run. Live while `outcome` is None; `token` fences: only its holder's words count."""

    run_id: str
    number: int
    token: int
    node_id: str
    claimed_at: datetime
    executor: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    handle: Handle | None = None
    exit_code: int | None = None
    error: Failure | None = None
    duration_s: float | None = None
    log_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SkipRecord:
    """The decision that fire times of a schedule make no run: `count` of them from `first_at` to `last_at`."""

    schedule_id: str
    job_id: str
    first_at: datetime
    last_at: datetime
    count: int
    reason: SkipReason
    detail: str
    decided_at: datetime
    id: int = 0


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A scheduler process. `lock_path`: a file it holds locked while it lives, on `host` in boot `boot_id`."""

    node_id: str
    host: str
    pid: int
    boot_id: str
    lock_path: str | None
    started_at: datetime
    lease_until: datetime
    concurrency: int
    version: str
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeaderRecord:
    """Who plans. `epoch` grows with every change of hands."""

    node_id: str
    epoch: int
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What became of a job file: ok, or its problems (JSON objects of `core.errors.Problem`)."""

    path: str
    digest: str
    ok: bool
    seen_at: datetime
    problems: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who changed what, when, from which address. `before`, `after`: JSON, or None. `id`: given by the store."""

    at: datetime
    actor: str
    action: str
    object: str
    before: Json = None
    after: Json = None
    address: str | None = None
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a step of retention removed. `attempts`: of the runs, (run, number); `more`: another step is wanted now."""

    attempts: tuple[tuple[str, int], ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One commit as others follow it: which objects it touched, per kind (`runs`, `jobs`, `schedules`, …)."""

    seq: int
    at: datetime
    ids: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Activity:
    """How many runs of a job are in which active state.

    Attributes:
        items_pending, items_started: of these, items of a `for_each` run: queued; running or between attempts.
        parents: of these, running `for_each` runs (they have no attempt: their items do the work).
        backfill_pending, backfill_started: of these, runs of backfills (no items): they are no overlap.
    """

    scheduled: int = 0
    waiting: int = 0
    queued: int = 0
    running: int = 0
    retry_wait: int = 0
    items_pending: int = 0
    items_started: int = 0
    parents: int = 0
    backfill_pending: int = 0
    backfill_started: int = 0

    @property
    def busy(self) -> bool:
        """An earlier run is queued, running or to be retried (what the overlap policy asks)."""
        return self.pending > 0 or self.started > self.backfill_started

    @property
    def pending(self) -> int:
        """Runs that have not begun, without items and backfills."""
        return self.waiting + self.queued - self.items_pending - self.backfill_pending

    @property
    def started(self) -> int:
        """Runs that have begun and are not over (running, or between attempts), without items."""
        return self.running + self.retry_wait - self.items_started

    @property
    def total(self) -> int:
        """All that are not over."""
        return self.scheduled + self.waiting + self.queued + self.running + self.retry_wait

    @property
    def performing(self) -> int:
        """Runs with an attempt that goes on."""
        return self.running - self.parents


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list; `next` is the cursor of the part after it, or None at the end.

    `partial`: it ended because enough was looked at, not because it is full: go on with `next` for more.
    """

    items: tuple[T, ...]
    next: str | None = None
    partial: bool = False
