"""Schedule entries: list, add, show, change, delete, pause, resume, reset; their next fires."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.values import Json, JsonObject
from gnomon.operations import fires, schedules
from gnomon.operations.context import Desk
from gnomon.operations.filters import SCHEDULES
from gnomon.operations.idempotency import once
from gnomon.web.answers import answers, check_match, nothing, ok, page, tagged
from gnomon.web.asking import Asked, needs
from gnomon.web.models.jobs import EXAMPLE_SCHEDULE, Schedule
from gnomon.web.models.schedules import EXAMPLE_FIRES, EXAMPLE_PAGE, Fires, ScheduleBody, SchedulePage

from .common import After, Asking, Count, Cursor, JobId, Limit, ScheduleId, chosen, moment, under
from .runs import Key

router = APIRouter(tags=["schedules"])
_ONE = answers(Schedule, 404, 409, examples=[EXAMPLE_SCHEDULE])
_TEXT = "Entries of jobs that a file owns are read-only here: change the file."


@router.get(
    "/schedules",
    operation_id="list_schedules",
    summary="All schedule entries",
    responses=answers(SchedulePage, examples=[EXAMPLE_PAGE]),
)
def list_schedules(
    asked: Annotated[Asked, needs(Permission.READ)],
    job: Annotated[list[str], Query(description="Of these jobs.")] = [],  # noqa: B006 (FastAPI copies it)
    paused: Annotated[bool | None, Query(description="Only paused ones, or only others.")] = None,
    q: Asking = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Entries by id."""
    where = chosen(SCHEDULES, asked.desk, {"job": job, "paused": paused}, q)
    return page(schedules.list_schedules(asked.desk, where, limit, cursor))


@router.post(
    "/jobs/{job_id:id}/schedules",
    operation_id="create_schedule",
    summary="Give a job one more schedule entry",
    description=f"It fires from now on; the other entries keep their ids. {_TEXT}",
    status_code=201,
    responses=answers(Schedule, 404, 409, status=201, examples=[EXAMPLE_SCHEDULE]),
)
def create_schedule(
    asked: Annotated[Asked, needs(Permission.DEFINE)], job_id: JobId, body: ScheduleBody, key: Key = None
) -> Response:
    """A new entry of a job."""

    def add(desk: Desk) -> Json:
        with under("schedule"):
            return schedules.add_schedule(desk, job_id, body.schedule)

    actor, what = asked.principal.actor, f"schedule.create {job_id}"
    made = once(asked.desk, actor, key, what, cast(Json, body.schedule), add)
    return tagged(cast(JsonObject, made), HTTPStatus.CREATED)


@router.get(
    "/schedules/{schedule_id:id}",
    operation_id="get_schedule",
    summary="One schedule entry",
    responses=_ONE,
)
def get_schedule(asked: Annotated[Asked, needs(Permission.READ)], schedule_id: ScheduleId) -> Response:
    """One entry, with the ETag that an edit may name in `If-Match`."""
    return tagged(schedules.show_schedule(asked.desk, schedule_id))


@router.put(
    "/schedules/{schedule_id:id}",
    operation_id="put_schedule",
    summary="Change when a job fires",
    description=f"Binds fires from now on; the entry keeps its id. {_TEXT} "
    "With `If-Match` only if it is still as its caller read it.",
    responses=answers(Schedule, 404, 409, 412, examples=[EXAMPLE_SCHEDULE]),
)
def put_schedule(
    asked: Annotated[Asked, needs(Permission.DEFINE)], schedule_id: ScheduleId, body: ScheduleBody, request: Request
) -> Response:
    """Another rule for an entry."""
    with under("schedule"):
        changed = schedules.edit_schedule(
            asked.desk, schedule_id, body.schedule, lambda view: check_match(request, view)
        )
    return tagged(changed)


@router.delete(
    "/schedules/{schedule_id:id}",
    operation_id="delete_schedule",
    summary="Delete a schedule entry; its job stays",
    description=f"{_TEXT} With `If-Match` only if it is still as its caller read it.",
    status_code=204,
    responses=answers(None, 404, 409, 412, status=204),
)
def delete_schedule(
    asked: Annotated[Asked, needs(Permission.DEFINE)], schedule_id: ScheduleId, request: Request
) -> Response:
    """It fires no more."""
    schedules.delete_schedule(asked.desk, schedule_id, lambda view: check_match(request, view))
    return nothing()


@router.post(
    "/schedules/{schedule_id:id}/pause",
    operation_id="pause_schedule",
    summary="Pause a schedule entry",
    responses=_ONE,
)
def pause_schedule(asked: Annotated[Asked, needs(Permission.RUN)], schedule_id: ScheduleId) -> Response:
    """It makes no runs until it is resumed; fires that pass meanwhile are recorded as skips."""
    return ok(schedules.pause_schedule(asked.desk, schedule_id))


@router.post(
    "/schedules/{schedule_id:id}/resume",
    operation_id="resume_schedule",
    summary="Resume a schedule entry",
    responses=_ONE,
)
def resume_schedule(asked: Annotated[Asked, needs(Permission.RUN)], schedule_id: ScheduleId) -> Response:
    """It fires again from now on."""
    return ok(schedules.resume_schedule(asked.desk, schedule_id))


@router.post(
    "/schedules/{schedule_id:id}/reset",
    operation_id="reset_schedule",
    summary="Forget how far a schedule entry is decided",
    responses=_ONE,
)
def reset_schedule(asked: Annotated[Asked, needs(Permission.DEFINE)], schedule_id: ScheduleId) -> Response:
    """For after a clock was set wrongly: its next fire is the first from now on; fires between are not recorded."""
    return ok(schedules.reset_schedule(asked.desk, schedule_id))


@router.get(
    "/schedules/{schedule_id:id}/next",
    operation_id="get_schedule_next",
    summary="When a schedule entry fires next",
    responses=answers(Fires, 404, 409, examples=[EXAMPLE_FIRES]),
)
def get_schedule_next(
    asked: Annotated[Asked, needs(Permission.READ)], schedule_id: ScheduleId, after: After = None, count: Count = 5
) -> Response:
    """Its next fires, with what clock changes and holidays do to them."""
    start = moment(asked.desk, after, "query.after")
    return ok(fires.schedule_fires(asked.desk, schedule_id, start, count))
