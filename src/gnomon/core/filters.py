"""Which entries of a list: one frozen record for each list. Every field that is set must match.

`words` match ids by a part of them, whatever the case; all of them must. Of fields with `not_` no entry may match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .states import State

if TYPE_CHECKING:
    from .records import Cause, SkipReason, SourceKind


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, each with its own end or without it; None: no end on that side."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False


ANY = Range()


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs. `due_from`/`due_until`: has a run due in that period. `configuration`: its task builds on it."""

    job_ids: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    source: SourceKind | None = None
    paused: bool | None = None
    enabled: bool | None = None
    retired: bool | None = False
    due_from: datetime | None = None
    due_until: datetime | None = None
    configuration: str | None = None
    words: tuple[str, ...] = ()
    not_job_ids: tuple[str, ...] = ()
    not_task_types: tuple[str, ...] = ()
    not_labels: tuple[tuple[str, str], ...] = ()
    not_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which schedule entries. `job_ids`: several jobs; without `job_id`."""

    job_id: str | None = None
    paused: bool | None = None
    job_ids: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    not_job_ids: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; newest due first. `since`/`until` bound due_at: [since, until).

    Attributes:
        job_id: of this job. `job_ids`: of any of these; without `job_id`.
        words: parts of the job's id.
        timed_out: beside `states`, those that failed because of their timeout.
        task_types: of the task of the definition they were made with.
        errors: the code or the message of their error has one of these in it, whatever the case.
        signature: of their error (`core.signatures`).
        duration_s, lateness_s: runs that have none do not match.
        configuration: name, and version or None for any.
        actor: exactly, or what stands before its colon (`cli` for `cli:alice`).
        parent_id: the items of that run; without it, runs that are no items.
    """

    job_id: str | None = None
    states: tuple[State, ...] = ()
    task_types: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    flow_id: str | None = None
    schedule_id: str | None = None
    causes: tuple[Cause, ...] = ()
    parent_id: str | None = None
    job_ids: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    timed_out: bool = False
    errors: tuple[str, ...] = ()
    signature: str | None = None
    duration_s: Range = ANY
    lateness_s: Range = ANY
    configuration: tuple[str, int | None] | None = None
    actor: str | None = None
    not_job_ids: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
    not_task_types: tuple[str, ...] = ()
    not_labels: tuple[tuple[str, str], ...] = ()
    not_errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Which flows of more than one run. `job_id`: one that runs after others in it.

    `since`/`until` bound the due time of the run it began with: [since, until). `words`: parts of that run's job id.
    """

    job_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationFilter:
    """Which configurations. `words`: parts of the name. `used`: some job (not a retired one) builds on it."""

    types: tuple[str, ...] = ()
    used: bool | None = None
    source: SourceKind | None = None
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkipFilter:
    """Which skips; newest `last_at` first. `since`/`until`: the stretch touches [since, until)."""

    job_id: str | None = None
    schedule_id: str | None = None
    reasons: tuple[SkipReason, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries of the audit; newest first.

    Attributes:
        actor: exactly, or what stands before its colon.
        actions: exactly, or what stands before the dot (`job` for `job.save`).
        object: exactly; `words`: parts of it.
    """

    actor: str | None = None
    actions: tuple[str, ...] = ()
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
