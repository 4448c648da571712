"""Jobs: list, add, show, change, delete, pause, resume."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.errors import usage
from gnomon.core.values import JsonObject
from gnomon.operations import jobs
from gnomon.operations.filters import JOBS
from gnomon.operations.idempotency import once
from gnomon.web.answers import answers, check_match, nothing, ok, page, tagged
from gnomon.web.asking import Asked, needs
from gnomon.web.models.jobs import EXAMPLE_DEFINITION, EXAMPLE_JOB, Definition, Job, JobPage, PauseBody
from gnomon.web.models.page import page_of
from gnomon.web.models.values import JsonMap

from .common import Asking, Cursor, JobId, Limit, chosen
from .runs import Key

router = APIRouter(prefix="/jobs", tags=["jobs"])
_Body = Annotated[JsonMap, Body(description="The keys of a job file.", examples=[EXAMPLE_DEFINITION])]
_TEXT = "Jobs of files are read-only here: change the file."


@router.get(
    "",
    operation_id="list_jobs",
    summary="All jobs; by id, type, label, or with a run due in a period",
    responses=answers(JobPage, examples=[page_of(EXAMPLE_JOB)]),
)
def list_jobs(
    asked: Annotated[Asked, needs(Permission.READ)],
    id: Annotated[list[str], Query(description="These jobs.")] = [],  # noqa: B006 (FastAPI copies it)
    type: Annotated[list[str], Query(description="With a task of these types: `http`, `api`, `db`, …")] = [],  # noqa: B006
    label: Annotated[list[str], Query(description="With these labels, `NAME=VALUE`.")] = [],  # noqa: B006
    due_from: Annotated[str | None, Query(description="With a run due, or planned, from this time on.")] = None,
    due_until: Annotated[str | None, Query(description="… and before this time.")] = None,
    paused: Annotated[bool | None, Query(description="Only paused ones, or only others.")] = None,
    retired: Annotated[bool, Query(description="Only those no source has any more.")] = False,
    q: Asking = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Jobs by id."""
    options = {"job": id, "type": type, "label": label, "since": due_from, "until": due_until, "paused": paused}
    renamed = {"job": "id", "since": "due_from", "until": "due_until"}
    where = chosen(JOBS, asked.desk, {**options, "retired": retired or None}, q, renamed)
    return page(jobs.list_jobs(asked.desk, where, limit, cursor))


@router.post(
    "",
    operation_id="create_job",
    summary="Schedule a job",
    description=f"{_TEXT} A job that exists is not changed (PUT does).",
    status_code=201,
    responses=answers(Job, 409, status=201, examples=[EXAMPLE_JOB]),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": Definition.model_json_schema()}}}},
)
def create_job(asked: Annotated[Asked, needs(Permission.DEFINE)], body: _Body, key: Key = None) -> Response:
    """Add a job: it fires from now on."""
    made = once(
        asked.desk, asked.principal.actor, key, "job.create", body, lambda desk: jobs.define_job(desk, body, new=True)
    )
    return tagged(cast(JsonObject, made), HTTPStatus.CREATED)


@router.get(
    "/{job_id:id}", operation_id="get_job", summary="One job", responses=answers(Job, 404, examples=[EXAMPLE_JOB])
)
def get_job(asked: Annotated[Asked, needs(Permission.READ)], job_id: JobId) -> Response:
    """One job, with the ETag that an edit may name in `If-Match`."""
    return tagged(jobs.show_job(asked.desk, job_id))


@router.put(
    "/{job_id:id}",
    operation_id="put_job",
    summary="Change a job, or add it",
    description=f"{_TEXT} With `If-Match` only if it is still as its caller read it.",
    responses=answers(Job, 404, 409, 412, examples=[EXAMPLE_JOB]),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": Definition.model_json_schema()}}}},
)
def put_job(
    asked: Annotated[Asked, needs(Permission.DEFINE)], job_id: JobId, body: _Body, request: Request
) -> Response:
    """The whole definition; what is not in it is back at its default."""
    if body.get("job_id", job_id) != job_id:
        raise usage(
            "conflicting_keys", "the address names another job", key="job_id", hint=f"write {job_id!r}, or leave it out"
        )
    return tagged(
        jobs.define_job(asked.desk, {**body, "job_id": job_id}, lambda view: check_match(request, view or {}))
    )


@router.delete(
    "/{job_id:id}",
    operation_id="delete_job",
    summary="Delete a job with its history",
    description=f"{_TEXT} A job with runs that are not over stays. With `If-Match` only if it is still as its caller "
    "read it.",
    status_code=204,
    responses=answers(None, 404, 409, 412, status=204),
)
def delete_job(asked: Annotated[Asked, needs(Permission.DEFINE)], job_id: JobId, request: Request) -> Response:
    """It, its schedule entries, its runs and their output are gone."""
    jobs.delete_job(asked.desk, job_id, lambda view: check_match(request, view or {}))
    return nothing()


@router.post(
    "/{job_id:id}/pause",
    operation_id="pause_job",
    summary="Pause a job",
    responses=answers(Job, 404, examples=[{**EXAMPLE_JOB, "paused": True}]),
)
def pause_job(asked: Annotated[Asked, needs(Permission.RUN)], job_id: JobId, body: PauseBody | None = None) -> Response:
    """It makes no scheduled runs until it is resumed; fires that pass meanwhile are recorded as skips."""
    return ok(jobs.pause_job(asked.desk, job_id, None if body is None else body.reason))


@router.post(
    "/{job_id:id}/resume",
    operation_id="resume_job",
    summary="Resume a job",
    responses=answers(Job, 404, examples=[EXAMPLE_JOB]),
)
def resume_job(asked: Annotated[Asked, needs(Permission.RUN)], job_id: JobId) -> Response:
    """It fires again from now on."""
    return ok(jobs.resume_job(asked.desk, job_id))
