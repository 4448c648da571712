"""What is asked of the database: jobs and runs as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gnomon.core.errors import NotFound, Problem, usage
from gnomon.core.ports import Reader
from gnomon.core.records import JobFilter, RunFilter, RunRecord
from gnomon.core.states import State
from gnomon.core.values import parse_rfc3339
from gnomon.operations.context import Desk
from gnomon.operations.deleting import task_types
from gnomon.operations.lookup import find_job, find_run
from gnomon.operations.periods import find_jobs

from .views import Job, Run, job_of, run_of

ALL = 1_000_000
_ALL_JOBS = JobFilter()


def read_job(desk: Desk, job_id: str, *, retired: bool = False) -> Job | None:
    """The job; None if there is none, or if it was removed (unless `retired`)."""

    def work(reader: Reader) -> Job | None:
        record = reader.job(job_id)
        if record is None or (record.retired_at is not None and not retired):
            return None
        return job_of(record, reader.schedules_of([job_id]).get(job_id, ()), desk.kinds)

    return desk.store.read(work)


def must_be_there(desk: Desk, job_id: str) -> None:
    """Raises NotFound unless there is such a job that was not removed."""

    def work(reader: Reader) -> None:
        if find_job(reader, job_id).retired_at is not None:
            raise NotFound(Problem("job_not_found", f"the job {job_id!r} was removed", hint="add it again"))

    desk.store.read(work)


def read_jobs(desk: Desk, where: JobFilter = _ALL_JOBS) -> list[Job]:
    """Jobs that were not removed, by id."""

    def work(reader: Reader) -> list[Job]:
        page = find_jobs(desk, reader, where, ALL)
        entries = reader.schedules_of({record.job_id for record in page.items})
        return [job_of(r, entries.get(r.job_id, ()), desk.kinds) for r in page.items]

    return desk.store.read(work)


def read_run(desk: Desk, run_id: str) -> Run:
    """The run. Raises NotFound."""

    def work(reader: Reader) -> Run:
        run = find_run(reader, run_id)
        return run_of(run, reader.attempts([run.id]).get(run.id, ()))

    return desk.store.read(work)


def read_runs(
    desk: Desk,
    job_id: str | None,
    state: State | str | Sequence[State | str] | None,
    since: datetime | str | None,
    limit: int,
    until: datetime | str | None = None,
    type: str | Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[Run]:
    """Runs that match, newest first. Raises UsageError for what is no state, no instant or no task type."""
    where = RunFilter(
        job_id=job_id,
        states=states_of(state),
        since=instant(since, "since"),
        until=instant(until, "until"),
        task_types=task_types(desk, () if type is None else (type,) if isinstance(type, str) else type),
        labels=dict(labels or {}),
    )
    return desk.store.read(lambda reader: _views(reader, reader.runs(where, limit=limit).items))


def read_items(desk: Desk, run_id: str) -> list[Run]:
    """The items of a `for_each` run, in the order of its list. Raises NotFound."""
    return desk.store.read(lambda reader: _views(reader, reader.items(find_run(reader, run_id).id)))


def _views(reader: Reader, runs: Sequence[RunRecord]) -> list[Run]:
    attempts = reader.attempts({run.id for run in runs}) if runs else {}
    return [run_of(run, attempts.get(run.id, ())) for run in runs]


def instant(moment: datetime | str | None, key: str) -> datetime | None:
    """An aware datetime, or ISO 8601 text with offset; a time without a zone names no instant.

    Raises:
        UsageError: it has none, or is no time.
    """
    if isinstance(moment, str):
        try:
            return parse_rfc3339(moment)
        except ValueError:
            hint = "write 2030-01-01T09:00:00Z, or give an aware datetime"
            raise usage("time_invalid", f"{moment[:60]!r} is no instant", key=key, hint=hint) from None
    if moment is not None and moment.tzinfo is None:
        hint = "give it a zone: datetime(2030, 1, 1, tzinfo=UTC)"
        raise usage("time_invalid", f"{moment!r} has no time zone", key=key, hint=hint)
    return moment


def states_of(state: State | str | Sequence[State | str] | None) -> tuple[State, ...]:
    """One state or several, by name. Raises UsageError for what is none."""
    wanted = () if state is None else ((state,) if isinstance(state, str) else tuple(state))
    return tuple(_state(name) for name in wanted)


def _state(name: State | str) -> State:
    try:
        return State(name)
    except ValueError:
        raise usage("state_unknown", f"{name!r} is no state", key="state", hint=", ".join(State)) from None
