"""Many at once: what becomes of each is said; with `dry_run` nothing is changed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.errors import UsageError, usage
from gnomon.core.filters import JobFilter, ScheduleFilter
from gnomon.operations import bulk, deleting
from gnomon.operations.context import Desk
from gnomon.operations.filters import JOBS
from gnomon.operations.jobs import show_job
from gnomon.web.answers import answers, ok
from gnomon.web.asking import Asked, needs
from gnomon.web.models.bulk import (
    EXAMPLE_CHANGED,
    EXAMPLE_DELETED,
    Changed,
    ConfigurationSelection,
    Deletion,
    JobPausing,
    JobSelection,
    ScheduleSelection,
)

from .common import chosen

router = APIRouter()
_DELETED = answers(Deletion, 404, examples=[EXAMPLE_DELETED])
_CHANGED = answers(Changed, examples=[EXAMPLE_CHANGED])


@router.post(
    "/jobs/delete",
    operation_id="delete_jobs",
    summary="Delete jobs by id, type, label or period",
    description="With their history. What files own, and jobs with runs that are not over, are kept and reported.",
    responses=_DELETED,
    tags=["jobs"],
)
def delete_jobs(asked: Annotated[Asked, needs(Permission.DEFINE)], body: JobSelection) -> Response:
    """Those that are named, or all that match."""
    desk = asked.desk
    where = _jobs(desk, body)
    choice = bulk.each_job(desk, body.ids) if where is None else deleting.choose_jobs(desk, where)
    return _deleted(choice if body.dry_run else deleting.delete_jobs(desk, choice), body.dry_run)


@router.post(
    "/jobs/pause",
    operation_id="pause_jobs",
    summary="Pause jobs by id, type, label or period",
    responses=_CHANGED,
    tags=["jobs"],
)
def pause_jobs(asked: Annotated[Asked, needs(Permission.RUN)], body: JobPausing) -> Response:
    """Those that are named, or all that match, whoever owns them."""
    return _paused(asked.desk, body, True, body.reason)


@router.post(
    "/jobs/resume",
    operation_id="resume_jobs",
    summary="Resume jobs by id, type, label or period",
    responses=_CHANGED,
    tags=["jobs"],
)
def resume_jobs(asked: Annotated[Asked, needs(Permission.RUN)], body: JobSelection) -> Response:
    """They fire again from now on."""
    return _paused(asked.desk, body, False)


@router.post(
    "/schedules/delete",
    operation_id="delete_schedules",
    summary="Delete schedule entries: some, those of a job, or all",
    description="Their jobs stay. What files own is kept and reported.",
    responses=_DELETED,
    tags=["schedules"],
)
def delete_schedules(asked: Annotated[Asked, needs(Permission.DEFINE)], body: ScheduleSelection) -> Response:
    """Those that are named, or all."""
    desk = asked.desk
    _one_way(bool(body.ids), body.job is not None, body.all, hint="give ids, or job, or all: true")
    if body.ids:
        choice = bulk.each_schedule(desk, body.ids)
    else:
        if body.job is not None:
            show_job(desk, body.job)
        choice = deleting.choose_schedules(desk, ScheduleFilter(job_id=body.job))
    return _deleted(choice if body.dry_run else deleting.delete_schedules(desk, choice), body.dry_run)


@router.post(
    "/configurations/delete",
    operation_id="delete_configurations",
    summary="Delete configurations: some, or all that no job uses",
    description="What files own, and what jobs use, is kept and reported.",
    responses=_DELETED,
    tags=["configurations"],
)
def delete_configurations(asked: Annotated[Asked, needs(Permission.DEFINE)], body: ConfigurationSelection) -> Response:
    """Those that are named, or all that no job uses."""
    desk = asked.desk
    _one_way(bool(body.names), body.unused, hint="give names, or unused: true")
    choice = bulk.each_configuration(desk, body.names) if body.names else bulk.unused_configurations(desk)
    return _deleted(choice if body.dry_run else bulk.delete_configurations(desk, choice), body.dry_run)


def _jobs(desk: Desk, body: JobSelection) -> JobFilter | None:
    """What to choose jobs by; None: they are named.

    Raises:
        UsageError: neither, or both.
    """
    options: dict[str, Any] = {
        "type": body.type,
        "label": body.label,
        "since": body.due_from,
        "until": body.due_until,
        "retired": body.retired,
    }
    said = {key: value for key, value in options.items() if value not in (None, [], "")}
    matched = bool(said) or bool(body.q and body.q.strip())
    _one_way(bool(body.ids), matched, hint="give ids, or type, label, due_from, due_until, retired, q")
    if body.ids:
        return None
    return chosen(JOBS, desk, said, body.q, {"since": "due_from", "until": "due_until"}, place="")


def _paused(desk: Desk, body: JobSelection, paused: bool, reason: str | None = None) -> Response:
    where = _jobs(desk, body)
    ids = body.ids if where is None else bulk.matching_jobs(desk, where)
    done = bulk.pause_jobs(desk, ids, paused, reason, dry_run=body.dry_run)
    view = done.view()
    return ok({"dry_run": body.dry_run, "changed": view["deleted"], "kept": view["kept"]})


def _deleted(done: deleting.Deletion, dry_run: bool) -> Response:
    return ok({"dry_run": dry_run, **done.view(), "runs": done.runs})


def _one_way(*ways: bool, hint: str) -> None:
    """Things are named, or chosen: one of it."""
    if sum(ways) != 1:
        text = "nothing is named" if not any(ways) else "things are named in several ways"
        raise _nothing_named(text, hint)


def _nothing_named(text: str, hint: str) -> UsageError:
    return usage("nothing_named", text, hint=hint)
