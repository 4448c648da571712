"""Deleting what a person chose: jobs, runs, schedule entries. What must stay is kept, and says why.

Choosing comes first and changes nothing (a dry run is just that); deleting takes what was chosen and looks again,
in small transactions, so that whoever wants to write meanwhile never waits for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import JobFilter, JobRecord, RunFilter, RunRecord, ScheduleFilter, SourceKind
from gnomon.core.states import FINAL
from gnomon.core.values import JsonObject

from .context import Desk
from .elsewhere import anywhere
from .filters import task_types as types_named
from .jobs import delete_job, logs_of, refuse_undeletable
from .lookup import find_job, find_run, find_schedule, refuse_file_owned
from .periods import find_jobs
from .said import runs_said
from .schedules import delete_schedule

RUNS_AT_ONCE = 500
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """What is not deleted, and the reason."""

    id: str
    reason: str


@dataclass(slots=True)
class Deletion:
    """Ids that are deleted (or, of a choice, would be), and what is kept. `runs`: gone with their jobs."""

    deleted: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    runs: int = 0

    def view(self) -> JsonObject:
        """As JSON: `{"deleted": [ids], "kept": [{"id", "reason"}]}`."""
        return {"deleted": list(self.deleted), "kept": [{"id": k.id, "reason": k.reason} for k in self.kept]}


# ---- jobs ------------------------------------------------------------------------------------------


@anywhere
def choose_jobs(desk: Desk, where: JobFilter) -> Deletion:
    """Jobs that match and may go."""
    choice = Deletion()

    def work(reader: Reader, cursor: str | None) -> str | None:
        page = find_jobs(desk, reader, where, _PAGE, cursor)
        activity = reader.activity([record.job_id for record in page.items])
        for record in page.items:
            counts = activity.get(record.job_id)
            active = 0 if counts is None else counts.total
            _sort(choice, record.job_id, _owned(record) or (f"{active} runs of it are not over" if active else None))
        return page.next

    _all_pages(desk, work)
    return choice


@anywhere
def named_jobs(desk: Desk, job_ids: Iterable[str]) -> Deletion:
    """These jobs, all of which may go.

    Raises:
        NotFound: naming the nearest id. Conflict: a file owns one, or it has work that is not over.
    """

    def work(reader: Reader) -> Deletion:
        records = [find_job(reader, job_id) for job_id in dict.fromkeys(job_ids)]
        for record in records:
            refuse_undeletable(reader, record)
        return Deletion([record.job_id for record in records])

    return desk.store.read(work)


@anywhere
def delete_jobs(desk: Desk, choice: Deletion) -> Deletion:
    """Delete the chosen jobs with their history; what may not go any more is kept."""
    done = Deletion(kept=list(choice.kept))
    for job_id in choice.deleted:
        _attempt(done, job_id, lambda job_id=job_id: delete_job(desk, job_id))  # type: ignore[misc]
    return done


# ---- schedule entries ------------------------------------------------------------------------------


@anywhere
def choose_schedules(desk: Desk, where: ScheduleFilter) -> Deletion:
    """Entries that match and may go: a file keeps its own."""
    choice = Deletion()

    def work(reader: Reader, cursor: str | None) -> str | None:
        page = reader.schedules(where, _PAGE, cursor)
        jobs = reader.jobs_by_id({entry.job_id for entry in page.items})
        for entry in page.items:
            record = jobs.get(entry.job_id)
            _sort(choice, entry.schedule_id, None if record is None else _owned(record))
        return page.next

    _all_pages(desk, work)
    return choice


@anywhere
def named_schedules(desk: Desk, schedule_ids: Iterable[str]) -> Deletion:
    """These entries (a job's id means its only one), all of which may go.

    Raises:
        NotFound: naming the nearest id. Conflict: a file owns one.
    """

    def work(reader: Reader) -> Deletion:
        entries = [find_schedule(reader, schedule_id) for schedule_id in schedule_ids]
        for entry in entries:
            refuse_file_owned(find_job(reader, entry.job_id), "deleted")
        return Deletion(list(dict.fromkeys(entry.schedule_id for entry in entries)))

    return desk.store.read(work)


@anywhere
def delete_schedules(desk: Desk, choice: Deletion) -> Deletion:
    """Delete the chosen entries; their jobs stay."""
    done = Deletion(kept=list(choice.kept))
    for schedule_id in choice.deleted:
        _attempt(done, schedule_id, lambda s=schedule_id: delete_schedule(desk, s))  # type: ignore[misc]
    return done


# ---- runs ------------------------------------------------------------------------------------------


@anywhere
def choose_runs(desk: Desk, where: RunFilter) -> Deletion:
    """Runs that match: finished ones may go, the others are kept."""
    choice = Deletion()

    def work(reader: Reader, cursor: str | None) -> str | None:
        page = reader.runs(where, _PAGE, cursor)
        for run in page.items:
            _sort(choice, run.id, _unfinished(run))
        return page.next

    _all_pages(desk, work)
    return choice


@anywhere
def named_runs(desk: Desk, run_ids: Iterable[str]) -> Deletion:
    """These runs, all of them over; a unique beginning of an id will do.

    Raises:
        NotFound: there is none. Conflict: several begin so, or one is not over.
    """

    def work(reader: Reader) -> Deletion:
        runs = [find_run(reader, run_id) for run_id in run_ids]
        active = [run.id for run in runs if run.state not in FINAL]
        if active:
            text = f"runs {', '.join(active)} are not over"
            raise Conflict(Problem("run_active", text, hint="running work is never deleted"))
        return Deletion(list(dict.fromkeys(run.id for run in runs)))

    return desk.store.read(work)


@anywhere
def delete_chosen_runs(desk: Desk, choice: Deletion, told: Callable[[int], None] = lambda count: None) -> Deletion:
    """Delete the chosen runs with their output, so many at once; what is gone already is left out.

    Args:
        told: called with the number of runs looked at after each step.
    """
    done = Deletion(kept=list(choice.kept))
    for ids in _parts(choice.deleted, RUNS_AT_ONCE):
        gone, kept, logs = desk.store.write(lambda tx, ids=ids: _remove(desk, tx, ids))  # type: ignore[misc]
        for run_id, number in logs:
            desk.logs.delete(run_id, number)
        done.deleted += gone
        done.kept += kept
        told(len(ids))
    return done


def _remove(desk: Desk, tx: Transaction, ids: Sequence[str]) -> tuple[list[str], list[Kept], list[tuple[str, int]]]:
    runs = tx.runs_by_id(ids)
    kept = [Kept(i, reason) for i in ids if i in runs and (reason := _unfinished(runs[i])) is not None]
    busy = [i for i, items in tx.item_counts(ids).items() if not FINAL.issuperset(items)]
    kept += [Kept(i, "an item of it is not over: running or waiting work is never deleted") for i in busy]
    standing = tx.standing_flows({runs[i].flow_id for i in ids if i in runs})
    needed = "runs of its flow are not over, and may need its result"
    kept += [Kept(i, needed) for i in ids if i in runs and runs[i].flow_id in standing and runs[i].state in FINAL]
    held = {item.id for item in kept}
    gone = [i for i in ids if i in runs and i not in held]
    logs = logs_of(tx, gone)
    tx.delete_runs(gone)
    if gone:
        said = runs_said([runs[i] for i in gone])
        more = f" and {len(gone) - 20} more" if len(gone) > 20 else ""
        desk.audit(tx, "run.delete", ", ".join(gone[:20]) + more, said)
    return gone, kept, logs


# ---- help ------------------------------------------------------------------------------------------


def _unfinished(run: RunRecord) -> str | None:
    if run.parent_id is not None:
        return f"it is an item of run {run.parent_id}: it goes with that"
    return None if run.state in FINAL else f"it is {run.state}: running or waiting work is never deleted"


def _owned(record: JobRecord) -> str | None:
    if record.source.kind is SourceKind.FILE and record.retired_at is None:
        return f"job {record.job_id!r} comes from {record.source.path}: it cannot be deleted here"
    return None


def _sort(choice: Deletion, name: str, reason: str | None) -> None:
    if reason is None:
        choice.deleted.append(name)
    else:
        choice.kept.append(Kept(name, reason))


def _attempt(done: Deletion, name: str, delete: Callable[[], int | None]) -> None:
    try:
        done.runs += delete() or 0
        done.deleted.append(name)
    except Conflict as error:
        done.kept.append(Kept(name, error.problems[0].message))
    except NotFound:  # somebody else was faster
        pass


def _all_pages(desk: Desk, work: Callable[[Reader, str | None], str | None]) -> None:
    cursor: str | None = None
    while True:
        cursor = desk.store.read(lambda r, c=cursor: work(r, c))  # type: ignore[misc]
        if cursor is None:
            return


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), size):
        yield ids[at : at + size]


def task_types(desk: Desk, names: Iterable[str]) -> tuple[str, ...]:
    """Canonical names of the task types that these words mean: a name, an alias, or a group (`db`: sql and mongo).

    Raises:
        UsageError: nothing is called so; names what is.
    """
    return types_named(desk.task_types, names)
