"""The half of `Scheduler` that asks: for runs, and about jobs and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from gnomon.core.records import JobFilter
from gnomon.core.states import State
from gnomon.core.values import Json, JsonObject
from gnomon.operations import fires as fires_operations
from gnomon.operations import runs as run_operations
from gnomon.operations import why as why_operations
from gnomon.operations.deleting import task_types
from gnomon.operations.moments import Moment

from .reading import instant, must_be_there, read_items, read_job, read_jobs, read_run, read_runs
from .schedules import Schedule
from .session import Session, pauses
from .views import Job, Run, ScheduleEntry


class Asking:
    """What can be asked of a scheduler, started or not."""

    _session: Session

    def get_job(self, id: str) -> Job | None:
        """The job, or None if there is none of this id, or it was removed.

        >>> scheduler.get_job("nobody") is None
        True
        """
        return read_job(self._session.desk, id)

    def jobs(
        self,
        *,
        type: str | Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        due_from: datetime | str | None = None,
        due_until: datetime | str | None = None,
    ) -> list[Job]:
        """Jobs, by id; those of job files and of other processes on the database included.

        Args:
            type: of these task types; `"db"` means `sql` and `mongo`.
            labels: with these labels.
            due_from, due_until: with a run due in this period (aware; its end is no part of it), or a planned fire.

        Raises:
            UsageError: there is no such task type; a time has no zone.

        >>> [job.job_id for job in scheduler.jobs()]
        ['hello']
        """
        desk = self._session.desk
        words = () if type is None else (type,) if isinstance(type, str) else type
        where = JobFilter(
            task_types=task_types(desk, words),
            labels=dict(labels or {}),
            due_from=instant(due_from, "due_from"),
            due_until=instant(due_until, "due_until"),
        )
        return read_jobs(desk, where)

    def schedules(self, job_id: str | None = None) -> list[ScheduleEntry]:
        """Schedule entries, by the ids of their jobs.

        Args:
            job_id: of this job only.

        Raises:
            NotFound: there is no such job.

        >>> [entry.id for entry in scheduler.schedules()]
        ['hello:default']
        """
        if job_id is not None:
            must_be_there(self._session.desk, job_id)
        jobs = read_jobs(self._session.desk, JobFilter(job_ids=() if job_id is None else (job_id,)))
        return [entry for job in jobs for entry in job.schedules]

    # ---- runs ----------------------------------------------------------------------------------

    def run(self, id: str, /, **params: Json) -> Run:
        """Ask for a run now; returns it as it is queued. While a run of the job is active, it waits for its turn.

        Args:
            params: values for the parameters that the job declares; JSON.

        Raises:
            NotFound: there is no such job. UsageError: a parameter that is not declared, or of another type.
            Conflict: the job was removed.

        >>> scheduler.run("hello").cause
        'manual'
        """
        view = run_operations.start_run(self._session.desk, id, params)
        self._session.wake()
        return read_run(self._session.desk, str(view["id"]))

    def wait(self, run: Run | str, timeout: float | None = None) -> Run:
        """Wait until a run is over, however it ends; returns it as it ended.

        Args:
            run: the run or its id.
            timeout: seconds; None: as long as it takes. In async code: `await asyncio.to_thread(scheduler.wait, run)`.

        Raises:
            TimeoutError: it was not over in time; it goes on. NotFound: there is no such run.

        >>> scheduler.start()
        >>> scheduler.wait(scheduler.run("hello"), timeout=30).ok
        True
        """
        run_id = run.id if isinstance(run, Run) else run
        found = read_run(self._session.desk, run_id)
        for pause in pauses(timeout):
            if found.finished:
                return found
            self._session.nap(pause)
            found = read_run(self._session.desk, run_id)
        if found.finished:
            return found
        raise TimeoutError(f"run {found.id} of {found.job_id} is {found.state} after {timeout} s")

    def get_run(self, run_id: str) -> Run:
        """A run as it is now.

        Raises:
            NotFound: there is no such run.

        >>> run = scheduler.run("hello")
        >>> scheduler.get_run(run.id).job_id
        'hello'
        """
        return read_run(self._session.desk, run_id)

    def runs(
        self,
        job_id: str | None = None,
        state: State | str | Sequence[State | str] | None = None,
        since: datetime | str | None = None,
        limit: int = 50,
        until: datetime | str | None = None,
        *,
        type: str | Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[Run]:
        """Runs, newest first. A run with items (`for_each`) is one; `items` has those.

        Args:
            job_id: of this job only.
            state: one state or several (`"failed"`, `["queued", "running"]`).
            since: due at or after this instant (aware).
            limit: at most so many.
            until: due before this instant (aware).
            type: of jobs with these task types; `"db"` means `sql` and `mongo`.
            labels: with these labels.

        Raises:
            UsageError: there is no such state or task type; a time has no zone.

        >>> scheduler.runs("hello", state="failed")
        []
        """
        return read_runs(self._session.desk, job_id, state, since, limit, until, type, labels)

    def items(self, run_id: str) -> list[Run]:
        """The items of a `for_each` run, in the order of its list; none of any other run.

        Raises:
            NotFound: there is no such run.

        >>> scheduler.items(scheduler.run("hello").id)
        []
        """
        return read_items(self._session.desk, run_id)

    def cancel(self, run_id: str) -> None:
        """Stop a run: at once if it has not begun, else as far as its place allows.

        A worker process or a command is stopped with all it started, an `async` function is cancelled; a function in
        a thread cannot be stopped: its run ends when the function does.

        Raises:
            NotFound: there is no such run. Conflict: it is over.

        >>> run = scheduler.run("hello")
        >>> scheduler.cancel(run.id)
        >>> str(scheduler.get_run(run.id).state)
        'cancelled'
        """
        run_operations.cancel_run(self._session.desk, run_id)
        self._session.wake()

    def log(self, run_id: str) -> str:
        """What the last attempt of a run printed (in a worker process, or a command) or logged (in a thread).

        Raises:
            NotFound: there is no such run.

        >>> scheduler.log(scheduler.run("hello").id)
        ''
        """
        return run_operations.read_log(self._session.desk, run_id, limit=1 << 30)[0].decode("utf-8", "replace")

    # ---- questions -----------------------------------------------------------------------------

    def why(self, id: str, time: datetime | str | None = None) -> JsonObject:
        """Why the job ran, did not run, or waits: `{"verdict", "outcome", "run_id", "gates"}`.

        Args:
            time: the instant to explain (aware), to the second; default: the newest decision.

        Raises:
            NotFound: there is no such job.

        >>> scheduler.why("hello")["outcome"]
        'future'
        """
        when = instant(time, "time")
        moment = None if when is None else Moment(when, timedelta(seconds=1))
        return why_operations.why(self._session.desk, id, moment).view()

    def next_fires(
        self, what: str | Schedule, *, timezone: str | None = None, after: datetime | str | None = None, count: int = 5
    ) -> JsonObject:
        """The next fires of a job, or of a schedule that is not saved: `{"fires": [{"at", "local", "note"}], …}`.

        Args:
            what: the id of a job, or anything a job file's `schedule:` takes.
            timezone: of a schedule that names none; default: the scheduler's.
            after: an aware datetime; default: now.
            count: 1 to 100,000.

        Raises:
            UsageError: neither a job nor a schedule; says which field is wrong.

        >>> len(scheduler.next_fires("hello", count=3)["fires"])
        3
        """
        start = instant(after, "after")
        return fires_operations.next_fires(self._session.desk, what, timezone=timezone, after=start, count=count)
