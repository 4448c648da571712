"""Schedule entries: list, show, add, edit, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from gnomon.core.errors import usage
from gnomon.core.identity import duplicate_schedule_ids, schedule_ids
from gnomon.core.model import Job
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import JobRecord, Page, ScheduleFilter, ScheduleRecord
from gnomon.core.values import JsonObject, rfc3339

from .context import Desk
from .definitions import restarted, set_entry_firing, upsert
from .elsewhere import anywhere
from .lookup import find_job, find_schedule, refuse_file_owned
from .repeating import refuse_retired
from .views import schedule_view

Seen: TypeAlias = "Callable[[JsonObject], None]"
"""Is given an entry as it is right before a change of it; raises if the caller has not seen it so."""


@anywhere
def list_schedules(desk: Desk, where: ScheduleFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Entries by id, as objects."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = reader.schedules(where, limit, cursor)
        return Page(tuple(schedule_view(e, desk.kinds) for e in page.items), page.next, page.partial)

    return desk.store.read(work)


@anywhere
def show_schedule(desk: Desk, schedule_id: str) -> JsonObject:
    """One entry as an object."""
    return desk.store.read(lambda reader: schedule_view(find_schedule(reader, schedule_id), desk.kinds))


def add_schedule(desk: Desk, job_id: str, value: object) -> JsonObject:
    """Give a job one more entry: anything a `schedule:` takes. It fires from now on; the others keep their ids.

    Raises:
        NotFound: there is no such job. Conflict: its file owns it, or no source has it any more.
        UsageError: the rule is not valid, or the job has an entry of that name.
    """

    def work(tx: Transaction) -> str:
        record = find_job(tx, job_id)
        refuse_file_owned(record, "edited")
        refuse_retired(record)
        spec = desk.kinds.parse(value, default_timezone=record.job.timezone or desk.timezone, job_id=record.job_id)
        others = record.job.schedules
        if len(others) == 1 and others[0].name is None:
            others = (replace(others[0], name=schedule_ids(record.job)[0].removeprefix(record.job_id + ":")),)
        job = replace(record.job, schedules=(*others, spec))
        _check_names(job)
        upsert(tx, desk.planner, job, record.source, desk.clock.now())
        added = schedule_ids(job)[-1]
        desk.audit(tx, "schedule.add", added, None, desk.kinds.dump(spec))
        return added

    return show_schedule(desk, desk.store.write(work))


@anywhere
def edit_schedule(desk: Desk, schedule_id: str, value: object, seen: Seen | None = None) -> JsonObject:
    """Give an entry another rule: anything a `schedule:` takes. Binds fires after its commit.

    Args:
        seen: asked about the entry as it is, in the same transaction.

    Raises:
        Conflict: the job's file owns it.
        UsageError: the rule is not valid.
    """

    def work(tx: Transaction) -> str:
        record, entry = _owned(tx, schedule_id, "edited", seen, desk)
        zone = record.job.timezone or desk.timezone
        spec = desk.kinds.parse(value, default_timezone=zone, job_id=record.job_id)
        name = entry.schedule_id.removeprefix(record.job_id + ":")  # an edit keeps the id, whatever the rule is now
        spec = replace(spec, name=spec.name or entry.spec.name or (name if len(record.job.schedules) > 1 else None))
        specs = list(record.job.schedules)
        position = schedule_ids(record.job).index(entry.schedule_id)
        specs[position] = spec
        job = replace(record.job, schedules=tuple(specs))
        _check_names(job)
        upsert(tx, desk.planner, job, record.source, desk.clock.now())
        desk.audit(tx, "schedule.edit", entry.schedule_id, desk.kinds.dump(entry.spec), desk.kinds.dump(spec))
        return schedule_ids(job)[position]

    return show_schedule(desk, desk.store.write(work))


@anywhere
def pause_schedule(desk: Desk, schedule_id: str) -> JsonObject:
    """It makes no runs until it is resumed. Idempotent."""
    return _set_paused(desk, schedule_id, True)


@anywhere
def resume_schedule(desk: Desk, schedule_id: str) -> JsonObject:
    """It fires again from now on. Idempotent."""
    return _set_paused(desk, schedule_id, False)


@anywhere
def reset_schedule(desk: Desk, schedule_id: str) -> JsonObject:
    """Forget how far an entry is decided: its next fire is the first after now. For after a clock was set wrongly.

    Fires between are neither run nor recorded. One that lies ahead runs at its time, although a clock that was ahead
    had it run before.
    """

    def work(tx: Transaction) -> str:
        now = desk.clock.now()
        entry = find_schedule(tx, schedule_id)
        fresh = restarted(desk.planner, find_job(tx, entry.job_id), entry, now)
        tx.release_fires(entry.schedule_id, entry.job_id, now)
        tx.put_schedules([fresh])
        before, after = ({"next_fire_at": rfc3339(one.cursor)} for one in (entry, fresh))
        desk.audit(tx, "schedule.reset", entry.schedule_id, before, after)
        return entry.schedule_id

    return show_schedule(desk, desk.store.write(work))


def delete_schedule(desk: Desk, schedule_id: str, seen: Seen | None = None) -> None:
    """Remove an entry; the job stays.

    Args:
        seen: asked about the entry as it is, in the same transaction.

    Raises:
        Conflict: the job's file owns it.
    """

    def work(tx: Transaction) -> None:
        record, entry = _owned(tx, schedule_id, "deleted", seen, desk)
        pairs = zip(schedule_ids(record.job), record.job.schedules, strict=True)
        alone = len(record.job.schedules) == 2
        specs = tuple(
            replace(spec, name=spec.name or (known.removeprefix(record.job_id + ":") if alone else None))
            for known, spec in pairs
            if known != entry.schedule_id
        )
        upsert(tx, desk.planner, replace(record.job, schedules=specs), record.source, desk.clock.now())
        desk.audit(tx, "schedule.delete", entry.schedule_id, desk.kinds.dump(entry.spec))

    desk.store.write(work)


def _set_paused(desk: Desk, schedule_id: str, paused: bool) -> JsonObject:
    def work(tx: Transaction) -> str:
        now = desk.clock.now()
        entry = find_schedule(tx, schedule_id)
        record = find_job(tx, entry.job_id)
        if (entry.paused_at is not None) != paused:
            at, by = (now, desk.actor) if paused else (None, None)
            set_entry_firing(tx, desk.planner, record, entry, replace(entry, paused_at=at, paused_by=by), now)
            action = "schedule.pause" if paused else "schedule.resume"
            desk.audit(tx, action, entry.schedule_id, {"paused": not paused}, {"paused": paused})
        return entry.schedule_id

    return show_schedule(desk, desk.store.write(work))


def _check_names(job: Job) -> None:
    if repeated := duplicate_schedule_ids(job):
        message = f"job {job.job_id!r} has another schedule {repeated[0][2]!r}"
        raise usage("duplicate_schedule", message, key="name", hint="give it another name")


def _owned(
    tx: Transaction, schedule_id: str, action: str, seen: Seen | None, desk: Desk
) -> tuple[JobRecord, ScheduleRecord]:
    entry = find_schedule(tx, schedule_id)
    record = find_job(tx, entry.job_id)
    refuse_file_owned(record, action)
    if seen is not None:
        seen(schedule_view(entry, desk.kinds))
    return record, entry
