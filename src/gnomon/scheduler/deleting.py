"""The part of `Scheduler` that deletes: jobs, runs, schedule entries, by id or by what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gnomon.core.errors import usage
from gnomon.core.model import Job as Definition
from gnomon.core.records import JobFilter, RunFilter, ScheduleFilter
from gnomon.core.states import State
from gnomon.core.values import JsonObject
from gnomon.operations import deleting

from .reading import instant, states_of
from .session import Session

Words = str | Sequence[str] | None


class Deleting:
    """What can be deleted. What a job file owns, and what is not over, is kept."""

    _session: Session
    _own: dict[str, Definition]

    def delete_jobs(
        self,
        *ids: str,
        type: Words = None,
        labels: Mapping[str, str] | None = None,
        due_from: datetime | str | None = None,
        due_until: datetime | str | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete jobs with all their runs: those named, or all that match. `remove_job` keeps the history instead.

        Args:
            ids: of jobs; if one of them may not be deleted, none is.
            type: of these task types; `"db"` means `sql` and `mongo`.
            labels: with these labels.
            due_from, due_until: with a run due in this period (aware; its end is no part of it), or a planned fire.
            dry_run: only tell.

        Returns:
            `{"deleted": [ids], "kept": [{"id", "reason"}]}`.

        Raises:
            UsageError: neither ids nor a condition, or both. NotFound: there is no such job.
            Conflict: a job file owns one that was named, or work of it is not over.

        >>> scheduler.delete_jobs(type="python", dry_run=True)
        {'deleted': ['hello'], 'kept': []}
        """
        _one_way(ids, [type, labels, due_from, due_until], "jobs")
        desk = self._session.desk
        where = JobFilter(
            task_types=deleting.task_types(desk, _words(type)),
            labels=dict(labels or {}),
            due_from=instant(due_from, "due_from"),
            due_until=instant(due_until, "due_until"),
        )
        choice = deleting.named_jobs(desk, ids) if ids else deleting.choose_jobs(desk, where)
        if dry_run:
            return choice.view()
        done = deleting.delete_jobs(desk, choice)
        for job_id in done.deleted:
            self._own.pop(job_id, None)
        return done.view()

    def delete_runs(
        self,
        *ids: str,
        job_id: str | None = None,
        state: State | str | Sequence[State | str] | None = None,
        type: Words = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete finished runs with their output: those named, or all that match.

        Args:
            ids: of runs; if one of them is not over, none is deleted.
            job_id: of this job.
            state: one state or several.
            type: of jobs with these task types; `"db"` means `sql` and `mongo`.
            labels: with these labels.
            since, until: due in this period (aware; its end is no part of it).
            dry_run: only tell.

        Returns:
            `{"deleted": [ids], "kept": [{"id", "reason"}]}`.

        Raises:
            UsageError: neither ids nor a condition, or both. NotFound: there is no such run.
            Conflict: one that was named is not over.

        >>> scheduler.delete_runs(state="failed", until="2030-01-01T00:00:00Z")
        {'deleted': [], 'kept': []}
        """
        _one_way(ids, [job_id, state, type, labels, since, until], "runs")
        desk = self._session.desk
        where = RunFilter(
            job_id=job_id,
            states=states_of(state),
            task_types=deleting.task_types(desk, _words(type)),
            labels=dict(labels or {}),
            since=instant(since, "since"),
            until=instant(until, "until"),
        )
        choice = deleting.named_runs(desk, ids) if ids else deleting.choose_runs(desk, where)
        return choice.view() if dry_run else deleting.delete_chosen_runs(desk, choice).view()

    def delete_schedules(
        self, *ids: str, job_id: str | None = None, all: bool = False, dry_run: bool = False
    ) -> JsonObject:
        """Delete schedule entries; their jobs stay.

        Args:
            ids: of entries; a job's id means its only one.
            job_id: all entries of this job.
            all: every entry there is; those that job files own are kept.
            dry_run: only tell.

        Returns:
            `{"deleted": [ids], "kept": [{"id", "reason"}]}`.

        Raises:
            UsageError: nothing was named, or ids and a condition. NotFound: there is no such entry.
            Conflict: a job file owns one that was named.

        >>> scheduler.delete_schedules("hello")
        {'deleted': ['hello:default'], 'kept': []}
        """
        _one_way(ids, [job_id, all], "schedule entries")
        desk = self._session.desk
        if ids:
            choice = deleting.named_schedules(desk, ids)
        else:
            choice = deleting.choose_schedules(desk, ScheduleFilter(job_id=job_id))
        return choice.view() if dry_run else deleting.delete_schedules(desk, choice).view()


def _words(given: Words) -> Sequence[str]:
    return () if given is None else (given,) if isinstance(given, str) else given


def _one_way(ids: Sequence[str], conditions: Sequence[object], what: str) -> None:
    if bool(ids) == any(conditions):
        raise usage("nothing_named", f"name {what}, or say which by conditions, not both", key="ids")
