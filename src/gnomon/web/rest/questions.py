"""When, why, what was decided, what is wrong with a file, what a job was."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from gnomon.core.access import Permission, may
from gnomon.core.errors import Forbidden, Problem
from gnomon.operations import checking, fires, skips, versions
from gnomon.operations.filters import SKIPS
from gnomon.operations.moments import parse_when
from gnomon.operations.why import job_zone, why, why_run
from gnomon.web.answers import answers, ok, page
from gnomon.web.asking import Asked, needs
from gnomon.web.models.page import page_of
from gnomon.web.models.questions import (
    EXAMPLE_SKIP,
    EXAMPLE_VALIDATION,
    EXAMPLE_VERSION,
    EXAMPLE_WHY,
    JobDefinition,
    JobDefinitions,
    SkipPage,
    ValidateBody,
    Validation,
    Why,
)
from gnomon.web.models.schedules import EXAMPLE_FIRES, Fires, NextBody

from .common import After, Asking, Count, Cursor, JobId, Limit, RunId, chosen, moment, under

router = APIRouter()
_Reasons = Annotated[list[str], Query(description="For these reasons: `paused`, `overlap`, `catch_up`, …")]
_Since = Annotated[str | None, Query(max_length=100, description="Stretches that touch the time from here on.")]
_Until = Annotated[str | None, Query(max_length=100, description="… and before this time.")]
_WHY = answers(Why, 404, 409, examples=[EXAMPLE_WHY])
_FIRES = answers(Fires, 404, examples=[EXAMPLE_FIRES])


@router.post(
    "/next",
    operation_id="preview_schedule",
    summary="When a schedule that is not saved would fire",
    responses=answers(Fires, examples=[EXAMPLE_FIRES]),
    tags=["schedules"],
)
def preview_schedule(asked: Annotated[Asked, needs(Permission.READ)], body: NextBody) -> Response:
    """Its next fires, with what clock changes and holidays do to them. Nothing is saved."""
    desk = asked.desk
    _refuse_files(asked, body.schedule)
    start = moment(desk, body.after, "after") or desk.clock.now()
    zone = body.timezone or desk.timezone
    desk.kinds.parse("every 1h", default_timezone=zone, job_id="preview")  # a wrong zone is no fault of the schedule
    with under("schedule"):
        found = fires.fires_of(desk.kinds, body.schedule, timezone=zone, after=start, count=body.count)
    return ok(found)


@router.get(
    "/jobs/{job_id:id}/next",
    operation_id="get_job_next",
    summary="When a job fires next",
    responses=_FIRES,
    tags=["jobs"],
)
def get_job_next(
    asked: Annotated[Asked, needs(Permission.READ)], job_id: JobId, after: After = None, count: Count = 5
) -> Response:
    """The next fires of all its schedule entries."""
    return ok(fires.job_fires(asked.desk, job_id, moment(asked.desk, after, "query.after"), count))


@router.get(
    "/jobs/{job_id:id}/why",
    operation_id="explain_job",
    summary="Why a job ran, waits, or did not run",
    responses=_WHY,
    tags=["jobs"],
)
def explain_job(
    asked: Annotated[Asked, needs(Permission.READ)],
    job_id: JobId,
    at: Annotated[
        str | None, Query(max_length=100, description="Then, past or future: RFC 3339, `09:00`, `-15m`; the newest.")
    ] = None,
) -> Response:
    """A verdict, and every gate that the scheduler asked. Times without an offset are in the zone of the job."""
    desk = asked.desk
    when = None
    if at is not None:
        when = parse_when(at, desk.clock.now(), ZoneInfo(job_zone(desk, job_id)), key="query.at")
    return ok(why(desk, job_id, when).view())


@router.get(
    "/runs/{run_id}/why",
    operation_id="explain_run",
    summary="Why a run is as it is",
    responses=_WHY,
    tags=["runs"],
)
def explain_run(asked: Annotated[Asked, needs(Permission.READ)], run_id: RunId) -> Response:
    """A verdict, and every gate that the scheduler asked."""
    return ok(why_run(asked.desk, run_id).view())


@router.get(
    "/skips",
    operation_id="list_skips",
    summary="Fire times that made no run, and why",
    responses=answers(SkipPage, examples=[page_of(EXAMPLE_SKIP)]),
    tags=["schedules"],
)
def list_skips(
    asked: Annotated[Asked, needs(Permission.READ)],
    schedule: Annotated[str | None, Query(max_length=310, description="Of this schedule entry.")] = None,
    reason: _Reasons = [],  # noqa: B006 (FastAPI copies it)
    since: _Since = None,
    until: _Until = None,
    q: Asking = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Skips of all jobs, newest first."""
    options = {"schedule": schedule, "reason": reason, "since": since, "until": until}
    return page(skips.list_skips(asked.desk, chosen(SKIPS, asked.desk, options, q), limit, cursor))


@router.get(
    "/jobs/{job_id:id}/skips",
    operation_id="list_job_skips",
    summary="Fire times of a job that made no run, and why",
    responses=answers(SkipPage, 404, examples=[page_of(EXAMPLE_SKIP)]),
    tags=["jobs"],
)
def list_job_skips(
    asked: Annotated[Asked, needs(Permission.READ)],
    job_id: JobId,
    reason: _Reasons = [],  # noqa: B006
    since: _Since = None,
    until: _Until = None,
    q: Asking = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Skips of one job, newest first."""
    options: dict[str, Any] = {"reason": reason, "since": since, "until": until}
    where = chosen(SKIPS, asked.desk, options, q)
    return page(skips.list_skips_of(asked.desk, job_id, where, limit, cursor))


@router.get(
    "/jobs/{job_id:id}/definitions",
    operation_id="list_definitions",
    summary="The definitions of a job, present and past",
    responses=answers(JobDefinitions, 404, examples=[page_of(EXAMPLE_VERSION)]),
    tags=["jobs"],
)
def list_definitions(
    asked: Annotated[Asked, needs(Permission.READ)], job_id: JobId, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Newest first; past ones are kept as long as a run refers to them."""
    return page(versions.list_definitions(asked.desk, job_id, limit, cursor))


@router.get(
    "/jobs/{job_id:id}/definitions/{version}",
    operation_id="get_definition",
    summary="A job as it was",
    responses=answers(JobDefinition, 404, examples=[EXAMPLE_VERSION]),
    tags=["jobs"],
)
def get_definition(
    asked: Annotated[Asked, needs(Permission.READ)],
    job_id: JobId,
    version: Annotated[int, Path(ge=1, le=1_000_000_000)],
) -> Response:
    """One definition, with the keys of a job file."""
    return ok(versions.show_definition(asked.desk, job_id, version))


@router.post(
    "/validate",
    operation_id="validate_text",
    summary="What is wrong with the text of a job file",
    responses=answers(Validation, examples=[EXAMPLE_VALIDATION]),
    tags=["files"],
)
def validate_text(asked: Annotated[Asked, needs(Permission.DEFINE)], body: ValidateBody) -> Response:
    """Every mistake with line, column and what to do, judged beside the jobs there are. Nothing is saved."""
    return ok(checking.check_text(asked.desk, body.text, f"job.{body.format}"))


def _refuse_files(asked: Asked, schedule: object) -> None:
    """A preview may name a calendar file of the machine: only who may define jobs has it opened.

    Raises:
        Forbidden: naming the role that would do.
    """
    named = schedule.get("exclude", ()) if isinstance(schedule, dict) else ()
    items = named if isinstance(named, list) else [named]
    opens = any(isinstance(item, str) and "ical" in item.lower() for item in items)
    if opens and not may(asked.principal.role, Permission.DEFINE):
        text = f"the role {asked.principal.role} of {asked.principal.name!r} does not include files of the machine"
        raise Forbidden(Problem("forbidden", text, "schedule.exclude", "an author may preview calendar files"))
