"""Many at once, each with its own result: what a person named that cannot be done is kept, and says why.

Unlike the `named_…` of `deleting`, which refuse the whole order when one thing of it cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import JobFilter

from . import configurations, jobs
from .context import Desk
from .deleting import Deletion, Kept
from .lookup import find_schedule, refuse_file_owned
from .periods import find_jobs

_PAGE = 1000
_AT_ONCE = 100


def each_job(desk: Desk, job_ids: Iterable[str]) -> Deletion:
    """Of these jobs those that may be deleted."""

    def judge(reader: Reader, job_id: str) -> str:
        record = reader.job(job_id)
        if record is None:
            raise _missing("job", job_id)
        jobs.refuse_undeletable(reader, record)
        return job_id

    return _each(desk, job_ids, judge)


def each_schedule(desk: Desk, schedule_ids: Iterable[str]) -> Deletion:
    """Of these entries (a job's id means its only one) those that may be deleted."""

    def judge(reader: Reader, schedule_id: str) -> str:
        if reader.schedule(schedule_id) is None and not reader.schedules_of([schedule_id]).get(schedule_id):
            raise _missing("schedule", schedule_id)
        entry = find_schedule(reader, schedule_id)
        record = reader.job(entry.job_id)
        if record is not None:
            refuse_file_owned(record, "deleted")
        return entry.schedule_id

    return _each(desk, schedule_ids, judge)


def each_configuration(desk: Desk, names: Iterable[str]) -> Deletion:
    """Of these configurations those that may be deleted."""

    def judge(reader: Reader, name: str) -> str:
        record = reader.configuration(name)
        if record is None:
            raise _missing("configuration", name)
        configurations.refuse_undeletable(reader, record)
        return name

    return _each(desk, names, judge)


def unused_configurations(desk: Desk) -> Deletion:
    """All that no job uses: what files own is kept."""
    return each_configuration(desk, [str(item["name"]) for item in configurations.unused_configurations(desk)])


def delete_configurations(desk: Desk, choice: Deletion) -> Deletion:
    """Delete the chosen ones; what a job uses by now is kept."""
    done = Deletion(kept=list(choice.kept))
    for name in choice.deleted:
        try:
            configurations.delete_configuration(desk, name)
            done.deleted.append(name)
        except Conflict as error:
            done.kept.append(Kept(name, error.problems[0].message))
        except NotFound:  # somebody else was faster
            pass
    return done


def matching_jobs(desk: Desk, where: JobFilter) -> list[str]:
    """Ids of all jobs that match."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = desk.store.read(lambda reader, c=cursor: find_jobs(desk, reader, where, _PAGE, c))  # type: ignore[misc]
        found += [record.job_id for record in page.items]
        cursor = page.next
        if cursor is None:
            return found


def pause_jobs(
    desk: Desk, job_ids: Iterable[str], paused: bool, reason: str | None = None, *, dry_run: bool = False
) -> Deletion:
    """Pause (or resume) these jobs, so many in one transaction.

    Returns:
        Under `deleted` those that were changed (or would be), and which stay as they are.
    """
    done = Deletion()
    ids = list(dict.fromkeys(job_ids))
    for at in range(0, len(ids), _AT_ONCE):
        part = ids[at : at + _AT_ONCE]
        found = (
            desk.store.read(lambda reader, part=part: _pausable(reader, part, paused))  # type: ignore[misc]
            if dry_run
            else desk.store.write(lambda tx, part=part: _pause(desk, tx, part, paused, reason))  # type: ignore[misc]
        )
        done.deleted += found.deleted
        done.kept += found.kept
    return done


def _pausable(reader: Reader, job_ids: Sequence[str], paused: bool) -> Deletion:
    choice = Deletion()
    records = reader.jobs_by_id(job_ids)
    for job_id in job_ids:
        record = records.get(job_id)
        if record is None:
            choice.kept.append(Kept(job_id, f"there is no job {job_id!r}"))
        elif (record.paused_at is not None) == paused:
            choice.kept.append(Kept(job_id, "it is paused already" if paused else "it is not paused"))
        else:
            choice.deleted.append(job_id)
    return choice


def _pause(desk: Desk, tx: Transaction, job_ids: Sequence[str], paused: bool, reason: str | None) -> Deletion:
    choice = _pausable(tx, job_ids, paused)
    records = tx.jobs_by_id(choice.deleted)
    for job_id in choice.deleted:
        jobs.set_paused(desk, tx, records[job_id], paused, reason)
    return choice


def _each(desk: Desk, names: Iterable[str], judge: Callable[[Reader, str], str]) -> Deletion:
    def work(reader: Reader) -> Deletion:
        choice = Deletion()
        chosen: dict[str, None] = {}
        for name in dict.fromkeys(names):
            try:
                chosen[judge(reader, name)] = None
            except (Conflict, NotFound) as error:
                choice.kept.append(Kept(name, error.problems[0].message))
        choice.deleted.extend(chosen)
        return choice

    return desk.store.read(work)


def _missing(what: str, name: str) -> NotFound:
    return NotFound(Problem(f"{what}_not_found", f"there is no {what} {name!r}"))
