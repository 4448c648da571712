"""Writing definitions: a job is added, changed or retired, its schedule entries follow.

What was due until the commit is decided under the old definition first; what comes after follows the new one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gnomon.core.codec import definition_digest
from gnomon.core.identity import schedule_ids
from gnomon.core.model import Job
from gnomon.core.planning import first_cursor, wake_at
from gnomon.core.ports import Transaction
from gnomon.core.records import JobRecord, ScheduleRecord, Source
from gnomon.core.rules import Rule, ScheduleSpec
from gnomon.core.states import State
from gnomon.engine.acts import Acts
from gnomon.engine.planner import UNREADABLE, Planner, idle_reason, settle, wake_entry
from gnomon.engine.progress import Progress


def upsert(tx: Transaction, planner: Planner, job: Job, source: Source, now: datetime) -> JobRecord:
    """Make `job` the definition under its id. The same definition again changes nothing but its source."""
    old = tx.job(job.job_id)
    if old is None:
        record = JobRecord(job, 1, source, created_at=now, updated_at=now)
        tx.insert_job(record)
        tx.put_schedules([_first_seen(planner, record, spec, i, now) for i, spec in enumerate(job.schedules)])
        return record
    if definition_digest(old.job) == definition_digest(job) and old.retired_at is None:
        if old.source != source:
            tx.update_job(replace(old, source=source, updated_at=now))
        return old
    entries = _settled(tx, planner, job.job_id, now)
    was = replace(old, failure_streak=0)
    record = replace(was, job=job, version=old.version + 1, source=source, updated_at=now, retired_at=None)
    tx.insert_job(record)
    _follow(tx, planner, old, record, entries, now)
    return record


def retire(tx: Transaction, planner: Planner, record: JobRecord, now: datetime) -> None:
    """Its source no longer has it: it never fires again; history stays."""
    entries = _settled(tx, planner, record.job_id, now)
    closed = [_close(tx, planner, record, entry, now) for entry in entries]
    tx.update_job(replace(record, retired_at=now, updated_at=now))
    tx.put_schedules([replace(e, due_at=None) for e in closed])
    below = tx.downstream([record.job_id]).get(record.job_id, ())
    waiting = [run for job_id in below for run in tx.active_runs(job_id) if run.state is State.WAITING]
    Progress(planner.context).step(tx, waiting, now, Acts())  # what waits for it in vain is told so


def set_firing(tx: Transaction, planner: Planner, record: JobRecord, changed: JobRecord, now: datetime) -> None:
    """Pause or resume a job: its entries stop, or go on with what passed meanwhile as a skip."""
    entries = _settled(tx, planner, record.job_id, now)
    tx.update_job(changed)
    _refire(tx, planner, record, changed, [(e, e) for e in entries], now)


def set_entry_firing(
    tx: Transaction, planner: Planner, record: JobRecord, entry: ScheduleRecord, changed: ScheduleRecord, now: datetime
) -> None:
    """Pause or resume one entry."""
    settle(planner, tx, [entry], now)
    fresh = tx.schedule(entry.schedule_id) or entry
    changed = replace(fresh, paused_at=changed.paused_at, paused_by=changed.paused_by)
    _refire(tx, planner, record, record, [(fresh, changed)], now)


def fires(record: JobRecord, entry: ScheduleRecord) -> bool:
    """Whether an entry may make runs now."""
    return record.fires and entry.paused_at is None and entry.spec.enabled


def _settled(tx: Transaction, planner: Planner, job_id: str, now: datetime) -> list[ScheduleRecord]:
    settle(planner, tx, tx.schedules_of([job_id]).get(job_id, ()), now)
    return list(tx.schedules_of([job_id]).get(job_id, ()))


def _first_seen(
    planner: Planner, record: JobRecord, spec: ScheduleSpec, position: int, now: datetime
) -> ScheduleRecord:
    schedule_id = schedule_ids(record.job)[position]
    entry = ScheduleRecord(schedule_id, record.job_id, spec, position, anchor=now, cursor=None, due_at=None)
    rule = planner.context.rules.of(entry)
    return _placed(record, entry, rule, None if rule is None else first_cursor(entry, rule, now), now)


def _placed(
    record: JobRecord, entry: ScheduleRecord, rule: Rule | None, cursor: datetime | None, now: datetime
) -> ScheduleRecord:
    """The entry at `cursor`, awake if it may fire; without an evaluator it begins now, and is tried again soon."""
    if rule is None:
        cursor, wake = now + timedelta(microseconds=1), now + UNREADABLE
        return replace(entry, cursor=cursor, due_at=wake if fires(record, entry) else None)
    return replace(entry, cursor=cursor, due_at=wake_at(entry, rule, cursor) if fires(record, entry) else None)


def _readded(planner: Planner, record: JobRecord, entry: ScheduleRecord, now: datetime) -> ScheduleRecord:
    """An entry of a job that was retired: it goes on from now. One time not decided yet counts as first seen now."""
    rule = planner.context.rules.of(entry)
    if entry.spec.kind == "at" and entry.cursor is not None and entry.cursor <= now:
        return _placed(record, replace(entry, anchor=now), rule, entry.cursor, now)
    following = None if rule is None else rule.next(now)
    return _placed(record, entry, rule, None if following is None else following.at, now)


def restarted(planner: Planner, record: JobRecord, entry: ScheduleRecord, now: datetime) -> ScheduleRecord:
    """The entry with its first fire after now as its next, whatever was decided before, or counted from."""
    entry = replace(entry, anchor=min(entry.anchor, now))
    rule = planner.context.rules.of(entry)
    following = None if rule is None else rule.next(now)
    return _placed(record, entry, rule, None if following is None else following.at, now)


def _follow(
    tx: Transaction,
    planner: Planner,
    old: JobRecord,
    record: JobRecord,
    entries: list[ScheduleRecord],
    now: datetime,
) -> None:
    """Match the stored entries of a job with its new definition, by id."""
    stored = {e.schedule_id: e for e in entries}
    kept: list[tuple[ScheduleRecord, ScheduleRecord]] = []
    fresh: list[ScheduleRecord] = []
    for position, (schedule_id, spec) in enumerate(zip(schedule_ids(record.job), record.job.schedules, strict=True)):
        entry = stored.pop(schedule_id, None)
        if entry is None:
            fresh.append(_first_seen(planner, record, spec, position, now))
        elif _same_times(entry.spec, spec):
            kept.append((entry, replace(entry, spec=spec, position=position)))
        else:
            _close(tx, planner, old, entry, now)
            fresh.append(_changed(planner, old, record, entry, spec, position, now))
    for entry in stored.values():
        _close(tx, planner, old, entry, now)
    tx.delete_schedules(list(stored))
    tx.put_schedules(fresh)
    _refire(tx, planner, old, record, kept, now)


def _changed(
    planner: Planner,
    old: JobRecord,
    record: JobRecord,
    entry: ScheduleRecord,
    spec: ScheduleSpec,
    position: int,
    now: datetime,
) -> ScheduleRecord:
    """The entry under another rule: a new interval counts from now, everything else from its own anchor."""
    moved = replace(entry, spec=spec, position=position)
    if (entry.spec.kind, entry.spec.rule) != (spec.kind, spec.rule):
        moved = replace(moved, anchor=now)
        rule = planner.context.rules.of(moved)
        return _placed(record, moved, rule, None if rule is None else first_cursor(moved, rule, now), now)
    if old.retired_at is not None:
        return _readded(planner, record, moved, now)
    rule = planner.context.rules.of(moved)
    held_back = fires(old, entry) and entry.cursor is not None and entry.cursor <= now  # by its jitter: not decided
    after = entry.cursor - timedelta(microseconds=1) if held_back and entry.cursor is not None else now
    following = None if rule is None else rule.next(after)
    return _placed(record, moved, rule, None if following is None else following.at, now)


def _close(tx: Transaction, planner: Planner, old: JobRecord, entry: ScheduleRecord, now: datetime) -> ScheduleRecord:
    """The rule of an entry ends. What passed under it while it slept is a skip, as it would be at a resume."""
    if old.retired_at is not None or fires(old, entry):
        return entry
    reason, detail = idle_reason(old, entry)
    closed, skips = wake_entry(planner, old, entry, reason, detail, now)
    tx.insert_skips(skips)
    return closed


def _same_times(one: ScheduleSpec, other: ScheduleSpec) -> bool:
    """Whether two specs name the same fire times (they may differ in being enabled, and in parameters)."""
    return replace(one, enabled=True, parameters={}, name=None) == replace(
        other, enabled=True, parameters={}, name=None
    )


def _refire(
    tx: Transaction,
    planner: Planner,
    old: JobRecord,
    new: JobRecord,
    entries: list[tuple[ScheduleRecord, ScheduleRecord]],
    now: datetime,
) -> None:
    """Entries whose times are unchanged, before and after: put to sleep, or woken with a skip for what passed."""
    written = []
    for before, after in entries:
        was, is_now = fires(old, before), fires(new, after)
        if old.retired_at is not None:
            after = _readded(planner, new, after, now)
        elif is_now and not was:
            reason, detail = idle_reason(old, before)
            after, skips = wake_entry(planner, new, after, reason, detail, now)
            tx.insert_skips(skips)
        elif not is_now:
            after = replace(after, due_at=None)
        written.append(after)
    tx.put_schedules(written)
