"""Finding what a person named, or saying kindly that it is not there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.ports import Reader
from gnomon.core.records import JobFilter, JobRecord, RunRecord, ScheduleFilter, ScheduleRecord, SourceKind

_NEAREST_OF = 2000


def find_job(reader: Reader, job_id: str) -> JobRecord:
    """The job, retired or not.

    Raises:
        NotFound: naming the nearest id.
    """
    record = reader.job(job_id)
    if record is None:
        ids = [j.job_id for j in reader.jobs(JobFilter(retired=None), limit=_NEAREST_OF).items]
        raise NotFound(Problem("job_not_found", f"there is no job {job_id!r}", hint=_hint(job_id, ids, "jobs")))
    return record


def find_schedule(reader: Reader, schedule_id: str) -> ScheduleRecord:
    """The schedule entry; a job's id means its only entry.

    Raises:
        NotFound: naming the nearest id.
    """
    entry = reader.schedule(schedule_id)
    if entry is not None:
        return entry
    of_job = reader.schedules_of([schedule_id]).get(schedule_id, ())
    if len(of_job) == 1:
        return of_job[0]
    if of_job:
        names = ", ".join(e.schedule_id for e in of_job)
        raise Conflict(Problem("schedule_ambiguous", f"job {schedule_id!r} has several schedules", hint=names))
    ids = [e.schedule_id for e in reader.schedules(ScheduleFilter(), limit=_NEAREST_OF).items]
    raise NotFound(
        Problem(
            "schedule_not_found", f"there is no schedule {schedule_id!r}", hint=_hint(schedule_id, ids, "schedules")
        )
    )


def find_run(reader: Reader, run_id: str) -> RunRecord:
    """The run of this id, or of the only id that begins so.

    Raises:
        NotFound: no such run.
        Conflict: several begin so.
    """
    run = reader.run(run_id)
    if run is not None:
        return run
    ids = reader.run_by_prefix(run_id) if len(run_id) >= 4 else ()
    if len(ids) > 1:
        raise Conflict(
            Problem(
                "run_ambiguous", f"several runs begin with {run_id!r}", hint="give more of the id: " + ", ".join(ids)
            )
        )
    run = reader.run(ids[0]) if ids else None
    if run is None:
        raise NotFound(Problem("run_not_found", f"there is no run {run_id!r}", hint="`gnomon runs list` shows them"))
    return run


def refuse_file_owned(record: JobRecord, action: str) -> None:
    """Jobs from files change in their files.

    Raises:
        Conflict: naming the file.
    """
    if record.source.kind is SourceKind.FILE and record.retired_at is None:
        raise Conflict(
            Problem(
                "owned_by_file",
                f"job {record.job_id!r} comes from {record.source.path}: it cannot be {action} here",
                hint=f"change {record.source.path}; run, pause and resume work here",
            )
        )


def _hint(name: str, known: Sequence[str], what: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"`gnomon {what} list` shows them"
