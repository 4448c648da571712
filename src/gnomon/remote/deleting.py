"""How a server is asked to choose and to delete; as `table`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gnomon.core.errors import Stale
from gnomon.core.filters import JobFilter, RunFilter, ScheduleFilter
from gnomon.operations import deleting
from gnomon.operations.deleting import Deletion, Kept
from gnomon.operations.filters import JOBS, RUNS

from .client import Client
from .table import answers

_AT_ONCE = 1000
_NEVER = '"none"'
"""The entity tag of nothing: with it a server only says whether something may be deleted."""


@answers(deleting.choose_jobs)
def _(client: Client, where: JobFilter) -> Deletion:
    return _deletion(client.delete_jobs(q=JOBS.write(where), dry_run=True))


@answers(deleting.named_jobs)
def _(client: Client, job_ids: Iterable[str]) -> Deletion:
    ids = list(dict.fromkeys(job_ids))
    for job_id in ids:
        _judge(lambda job_id=job_id: client.delete_job(job_id, if_match=_NEVER))  # type: ignore[misc]
    return Deletion(ids)


@answers(deleting.delete_jobs)
def _(client: Client, choice: Deletion) -> Deletion:
    return _done(choice, lambda part: client.delete_jobs(ids=part))


@answers(deleting.choose_schedules)
def _(client: Client, where: ScheduleFilter) -> Deletion:
    if where.job_id is not None:
        return _deletion(client.delete_schedules(job=where.job_id, dry_run=True))
    return _deletion(client.delete_schedules(all=True, dry_run=True))


@answers(deleting.named_schedules)
def _(client: Client, schedule_ids: Iterable[str]) -> Deletion:
    ids = list(dict.fromkeys(client.get_schedule(schedule_id)["id"] for schedule_id in schedule_ids))
    for one in ids:
        _judge(lambda one=one: client.delete_schedule(one, if_match=_NEVER))  # type: ignore[misc]
    return Deletion(ids)


@answers(deleting.delete_schedules)
def _(client: Client, choice: Deletion) -> Deletion:
    return _done(choice, lambda part: client.delete_schedules(ids=part))


@answers(deleting.choose_runs)
def _(client: Client, where: RunFilter) -> Deletion:
    return _deletion(client.delete_runs(q=RUNS.write(where), dry_run=True))


@answers(deleting.named_runs)
def _(client: Client, run_ids: Iterable[str]) -> Deletion:
    return _deletion(client.delete_runs(ids=list(run_ids), dry_run=True))


@answers(deleting.delete_chosen_runs)
def _(client: Client, choice: Deletion, told: Callable[[int], None] = lambda count: None) -> Deletion:
    def delete(part: Sequence[str]) -> Any:
        done = client.delete_runs(ids=part)
        told(len(part))
        return done

    return _done(choice, delete)


def _deletion(said: Any) -> Deletion:
    kept = [Kept(one["id"], one["reason"]) for one in said["kept"]]
    return Deletion(list(said["deleted"]), kept, said.get("runs", 0))


def _judge(delete: Callable[[], object]) -> None:
    """Whether something may be deleted, asked with a tag that it does not have.

    Raises:
        NotFound, Conflict: it is not there, or must stay.
    """
    try:
        delete()
    except Stale:
        return


def _done(choice: Deletion, delete: Callable[[Sequence[str]], Any]) -> Deletion:
    done = Deletion(kept=list(choice.kept))
    for part in _parts(choice.deleted):
        some = _deletion(delete(part))
        done.deleted += some.deleted
        done.kept += some.kept
        done.runs += some.runs
    return done


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _AT_ONCE):
        yield ids[at : at + _AT_ONCE]
