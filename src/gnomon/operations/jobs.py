"""Jobs: list, show, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from gnomon.core.errors import Conflict, Problem, UsageError
from gnomon.core.model import Job
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import JobFilter, JobRecord, Page, RunFilter, RunRecord, Source, SourceKind
from gnomon.core.values import JsonObject
from gnomon.jobfiles.graph import check_graph

from .building import build_job
from .configurations import settle
from .context import Desk
from .definitions import retire, set_firing, upsert
from .elsewhere import anywhere
from .files import active_jobs
from .lookup import find_job, refuse_file_owned
from .periods import find_jobs
from .said import job_change, job_said
from .views import job_view

_DELETE_BATCH = 500


@anywhere
def list_jobs(desk: Desk, where: JobFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Jobs by id, as objects. By period: those with a run due in it, or a planned fire as far as it lies ahead."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = find_jobs(desk, reader, where, limit, cursor)
        entries = reader.schedules_of({j.job_id for j in page.items})
        views = tuple(job_view(j, entries.get(j.job_id, ()), desk.kinds) for j in page.items)
        return Page(views, page.next, page.partial)

    return desk.store.read(work)


@anywhere
def show_job(desk: Desk, job_id: str) -> JsonObject:
    """One job as an object."""

    def work(reader: Reader) -> JsonObject:
        record = find_job(reader, job_id)
        return job_view(record, reader.schedules_of([record.job_id]).get(record.job_id, ()), desk.kinds)

    return desk.store.read(work)


Seen: TypeAlias = "Callable[[JsonObject | None], None]"
"""Is given an object as it is right before a change of it; raises if the caller has not seen it so."""


@anywhere
def define_job(
    desk: Desk, document: Mapping[str, object], seen: Seen | None = None, *, new: bool = False
) -> JsonObject:
    """Add or change a job over REST or from the dashboard: `document` holds the keys of a job file.

    Args:
        new: refuse to change one that is there.

    Raises:
        UsageError: every mistake, with its key.
        Conflict: another source owns the id, or it is taken.
    """
    job = build_job(document, desk.kinds, desk.task_types, desk.timezone)
    check_dependencies(desk, job)

    def check(view: JsonObject | None) -> None:
        if new and view is not None and view["retired_at"] is None:
            hint = "change it, or choose another id"
            raise Conflict(Problem("job_exists", f"there is a job {job.job_id!r} already", "job_id", hint))
        if seen is not None:
            seen(view)

    return save_job(desk, job, Source(SourceKind.REST), check)


def save_job(desk: Desk, job: Job, source: Source, seen: Seen | None = None) -> JsonObject:
    """Add or change a job that no file owns.

    Args:
        seen: asked about the job as it is (None: there is none), in the same transaction.

    Raises:
        Conflict: another source owns the id.
    """

    def work(tx: Transaction) -> None:
        old = tx.job(job.job_id)
        if seen is not None:
            entries = tx.schedules_of([job.job_id]).get(job.job_id, ())
            seen(None if old is None else job_view(old, entries, desk.kinds))
        if old is not None and old.retired_at is None and old.source.kind != source.kind:
            refuse_file_owned(old, "changed")
            raise Conflict(Problem("owned_elsewhere", f"job {job.job_id!r} belongs to {old.source.kind}"))
        fitting = settle(tx, job, desk.task_types)
        saved = upsert(tx, desk.planner, fitting, source, desk.clock.now())
        if saved != old:
            desk.audit(tx, "job.save", job.job_id, *job_change(old, saved, desk.kinds))

    desk.store.write(work)
    return show_job(desk, job.job_id)


def retire_job(desk: Desk, job_id: str) -> None:
    """It fires no more; its history stays. Idempotent.

    Raises:
        Conflict: a file owns it.
    """

    def work(tx: Transaction) -> None:
        record = find_job(tx, job_id)
        refuse_file_owned(record, "removed")
        if record.retired_at is None:
            retire(tx, desk.planner, record, desk.clock.now())
            desk.audit(tx, "job.remove", job_id, job_said(record, desk.kinds))

    desk.store.write(work)


@anywhere
def pause_job(desk: Desk, job_id: str, reason: str | None = None) -> JsonObject:
    """It makes no scheduled runs until it is resumed; fires that pass meanwhile are skips. Idempotent."""
    desk.store.write(lambda tx: set_paused(desk, tx, find_job(tx, job_id), True, reason))
    return show_job(desk, job_id)


@anywhere
def resume_job(desk: Desk, job_id: str) -> JsonObject:
    """It fires again from now on. Idempotent."""
    desk.store.write(lambda tx: set_paused(desk, tx, find_job(tx, job_id), False))
    return show_job(desk, job_id)


def set_paused(desk: Desk, tx: Transaction, record: JobRecord, paused: bool, reason: str | None = None) -> bool:
    """Pause or resume a job; returns False if it is so already."""
    if (record.paused_at is not None) == paused:
        return False
    now = desk.clock.now()
    if paused:
        changed = replace(record, paused_at=now, paused_by=desk.actor, pause_reason=reason)
    else:
        changed = replace(record, paused_at=None, paused_by=None, pause_reason=None, failure_streak=0)
    set_firing(tx, desk.planner, record, changed, now)
    before, after = ({"paused": r.paused_at is not None, "reason": r.pause_reason} for r in (record, changed))
    desk.audit(tx, "job.pause" if paused else "job.resume", record.job_id, before, after)
    return True


def delete_job(desk: Desk, job_id: str, seen: Seen | None = None) -> int:
    """Remove a job with its history; returns how many runs went with it.

    Args:
        seen: asked about the job as it is, in the transaction that begins it.

    Raises:
        Conflict: a file owns it, a run of it is active, or one of another job that may need a result of it.
    """

    def work(tx: Transaction) -> tuple[int, bool]:
        record = find_job(tx, job_id)
        refuse_undeletable(tx, record)
        if seen is not None and total == 0:
            seen(job_view(record, tx.schedules_of([job_id]).get(job_id, ()), desk.kinds))
        if record.retired_at is None:  # from here on nothing fires, however many steps it takes
            retire(tx, desk.planner, record, desk.clock.now())
            refuse_undeletable(tx, record)
        page = tx.runs(RunFilter(job_id=job_id), limit=_DELETE_BATCH)
        _refuse_needed(tx, job_id, page.items)
        ids = [run.id for run in page.items]
        logs = logs_of(tx, ids)
        tx.delete_runs(ids)
        done = page.next is None
        if done:
            tx.delete_job(job_id)
            desk.audit(tx, "job.delete", job_id, job_said(record, desk.kinds))
        gone.extend(logs)
        return len(ids), done

    total, done = 0, False
    while not done:
        gone: list[tuple[str, int]] = []
        count, done = desk.store.write(work)
        total += count
        for run_id, number in gone:
            desk.logs.delete(run_id, number)
    return total


def _refuse_needed(reader: Reader, job_id: str, runs: Sequence[RunRecord]) -> None:
    standing = sorted(reader.standing_flows({run.flow_id for run in runs}))
    if standing:
        said = f"{len(standing)} flows with runs of job {job_id!r} are not over (first: {standing[0]})"
        raise Conflict(Problem("job_active", said, hint="cancel them or wait: they may need a result of it"))


def logs_of(reader: Reader, run_ids: Sequence[str]) -> list[tuple[str, int]]:
    """The attempts of these runs and of their items: what has output."""
    parents = reader.item_counts(run_ids) if run_ids else {}
    ids = [*run_ids, *(item.id for parent in parents for item in reader.items(parent))]
    return [(a.run_id, a.number) for some in reader.attempts(ids).values() for a in some] if ids else []


def check_dependencies(desk: Desk, job: Job) -> None:
    """What a job depends on must be there, and not lead back to it.

    Raises:
        UsageError: names what is missing, or the way round.
    """
    if not job.depends_on:
        return
    active = desk.store.read(active_jobs)
    edges = {job_id: [d.job for d in record.job.depends_on] for job_id, record in active.items()}
    faults = check_graph({**edges, job.job_id: [d.job for d in job.depends_on]})
    problems = [Problem(f.code, f.message, "depends_on", f.hint) for f in faults if job.job_id in f.jobs]
    if problems:
        raise UsageError(*problems)


def refuse_undeletable(reader: Reader, record: JobRecord) -> None:
    """A job that a file owns, or with work that is not over, stays.

    Raises:
        Conflict: naming the file, or the run.
    """
    refuse_file_owned(record, "deleted")
    active = reader.active_runs(record.job_id)
    if active:
        raise Conflict(
            Problem(
                "job_active",
                f"job {record.job_id!r} has {len(active)} runs that are not over (first: {active[0].id})",
                hint="cancel them or wait: running work is never deleted",
            )
        )
