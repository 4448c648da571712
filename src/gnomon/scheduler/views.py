"""What the scheduler tells a program about jobs and runs: frozen, typed, with the names of docs/cli.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gnomon.core.attempts import Failure
from gnomon.core.records import AttemptRecord, JobRecord, RunRecord, ScheduleRecord
from gnomon.core.rules import ScheduleKinds
from gnomon.core.states import FINAL, State
from gnomon.core.values import Json


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """One schedule of a job. `next_fire_at`: aware UTC, None while it may not fire."""

    id: str
    rule: str
    timezone: str
    paused: bool
    next_fire_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now. Instants are aware, UTC.

    Attributes:
        task: type and arguments.
        source: who defines it: `python`, `file` or `rest`; source_path: the file.
        definition_version: counts its definitions from 1.
    """

    job_id: str
    description: str
    enabled: bool
    paused: bool
    task: Mapping[str, Json]
    schedules: tuple[ScheduleEntry, ...]
    depends_on: tuple[str, ...]
    labels: Mapping[str, str]
    source: str
    source_path: str | None
    definition_version: int

    @property
    def next_fire_at(self) -> datetime | None:
        """Its next fire by any of its schedules."""
        return min((s.next_fire_at for s in self.schedules if s.next_fire_at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a run; `outcome` None while it goes on."""

    number: int
    outcome: str | None
    error: Failure | None
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    node: str
    worker: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One occurrence of a job. Instants are aware UTC, durations seconds.

    Attributes:
        parent_id, item: of an item of a `for_each` run: that run, and the element of its list.
    """

    id: str
    job_id: str
    state: State
    cause: str
    schedule_id: str | None
    flow_id: str
    fire_at: datetime | None
    due_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    lateness_s: float | None
    duration_s: float | None
    exit_code: int | None
    result: Json
    error: Failure | None
    reason: str | None
    waiting_for: str | None
    note: str | None
    parameters: Mapping[str, Json]
    labels: Mapping[str, str]
    actor: str
    retry_of: str | None
    definition_version: int
    attempts: tuple[Attempt, ...]
    parent_id: str | None = None
    item: Json = None

    @property
    def finished(self) -> bool:
        """It is over, however."""
        return self.state in FINAL

    @property
    def ok(self) -> bool:
        """It succeeded."""
        return self.state is State.SUCCEEDED


def job_of(record: JobRecord, entries: Sequence[ScheduleRecord], kinds: ScheduleKinds) -> Job:
    """The view of a job."""
    job = record.job
    return Job(
        job_id=job.job_id,
        description=job.description,
        enabled=job.enabled,
        paused=record.paused_at is not None,
        task={"type": job.task.type, **dict(job.task.arguments)},
        schedules=tuple(
            ScheduleEntry(
                e.schedule_id,
                kinds.describe(e.spec),
                e.spec.timezone,
                e.paused_at is not None,
                e.cursor if e.due_at is not None else None,
            )
            for e in entries
        ),
        depends_on=tuple(d.job for d in job.depends_on),
        labels=dict(job.labels),
        source=str(record.source.kind),
        source_path=record.source.path,
        definition_version=record.version,
    )


def run_of(run: RunRecord, attempts: Sequence[AttemptRecord]) -> Run:
    """The view of a run."""
    return Run(
        id=run.id,
        job_id=run.job_id,
        state=run.state,
        cause=str(run.cause),
        schedule_id=run.schedule_id,
        flow_id=run.flow_id,
        fire_at=run.fire_at,
        due_at=run.due_at,
        queued_at=run.queued_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        lateness_s=run.lateness_s,
        duration_s=run.duration_s,
        exit_code=run.exit_code,
        result=run.result,
        error=run.error,
        reason=run.reason,
        waiting_for=run.waiting_for,
        note=run.note,
        parameters=dict(run.parameters),
        labels=dict(run.labels),
        actor=run.actor,
        retry_of=run.retry_of,
        definition_version=run.version,
        parent_id=run.parent_id,
        item=run.item,
        attempts=tuple(
            Attempt(
                a.number,
                None if a.outcome is None else str(a.outcome),
                a.error,
                a.started_at,
                a.finished_at,
                a.exit_code,
                a.node_id,
                None if a.handle is None else a.handle.worker,
            )
            for a in attempts
        ),
    )
