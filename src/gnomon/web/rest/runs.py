"""Runs: list, start, show, cancel, retry, skip, delete; backfills."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.errors import usage
from gnomon.operations import backfill as backfilling
from gnomon.operations import deleting, runs
from gnomon.operations.filters import RUNS
from gnomon.operations.idempotency import once
from gnomon.web.answers import answers, nothing, ok, page
from gnomon.web.asking import Asked, needs
from gnomon.web.models.runs import (
    EXAMPLE_BACKFILL,
    EXAMPLE_RUN,
    Backfill,
    BackfillBody,
    DeleteBody,
    Deleted,
    Run,
    RunPage,
    StartBody,
)

from .common import Asking, Cursor, JobId, Limit, chosen, moment

router = APIRouter(tags=["runs"])
RunId = Annotated[str, Path(max_length=64, description="The id of a run, or a beginning of it that no other has.")]
Words = Annotated[list[str], Query(max_length=100)]
Word = Annotated[str | None, Query(max_length=400)]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=255, description="The same key again gives the same answer, for a day."),
]


@router.get(
    "/runs",
    operation_id="list_runs",
    summary="Runs by job, state, period, …",
    description="Newest due first. Each parameter is a key of the filter language, which `q` takes as a whole.",
    responses=answers(RunPage, 404, examples=[{"items": [EXAMPLE_RUN], "next": None, "partial": False}]),
)
def list_runs(
    asked: Annotated[Asked, needs(Permission.READ)],
    q: Asking = None,
    job: Words = [],  # noqa: B006
    state: Words = [],  # noqa: B006
    type: Words = [],  # noqa: B006
    label: Words = [],  # noqa: B006
    since: Word = None,
    until: Word = None,
    cause: Words = [],  # noqa: B006
    schedule: Word = None,
    flow: Word = None,
    parent: Word = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Runs, newest due first."""
    desk = asked.desk
    said = {
        "job": job,
        "state": state,
        "type": type,
        "label": label,
        "since": since,
        "until": until,
        "cause": cause,
        "schedule": schedule,
        "flow": flow,
        "parent": parent,
    }
    return page(runs.list_runs(desk, chosen(RUNS, desk, said, q), limit, cursor))


@router.post(
    "/jobs/{job_id:id}/runs",
    operation_id="start_run",
    summary="Run a job",
    description="Now, whatever its schedules say; with its downstream jobs. A paused job may be run.",
    status_code=201,
    responses=answers(Run, 404, 409, status=201, examples=[EXAMPLE_RUN]),
)
def start_run(
    asked: Annotated[Asked, needs(Permission.RUN)], job_id: JobId, body: StartBody | None = None, key: Key = None
) -> Response:
    """A manual run."""
    parameters: dict[str, Any] = {} if body is None else body.parameters
    made = once(
        asked.desk,
        asked.principal.actor,
        key,
        f"run.start {job_id}",
        parameters,
        lambda desk: runs.start_run(desk, job_id, parameters),
    )
    return ok(made, HTTPStatus.CREATED)


@router.post(
    "/jobs/{job_id:id}/backfill",
    operation_id="backfill_job",
    summary="Run a job for fire times that have no run",
    responses=answers(Backfill, 404, 409, examples=[EXAMPLE_BACKFILL]),
)
def backfill_job(
    asked: Annotated[Asked, needs(Permission.RUN)], job_id: JobId, body: BackfillBody, key: Key = None
) -> Response:
    """A run for every fire time of a period that has none, with its downstream jobs."""
    desk = asked.desk
    since, until = moment(desk, body.since, "from"), moment(desk, body.until, "until")
    assert since is not None
    assert until is not None
    wish = backfilling.Wish(
        job_id,
        since,
        until,
        body.schedule_id,
        body.concurrency,
        body.again,
        body.newest_first,
        body.parameters or None,
    )
    if body.dry_run:
        return ok(backfilling.backfill(desk, wish, dry_run=True))
    request = body.model_dump(mode="json")
    return ok(
        once(desk, asked.principal.actor, key, f"backfill {job_id}", request, lambda d: backfilling.backfill(d, wish))
    )


@router.get(
    "/runs/{run_id}",
    operation_id="get_run",
    summary="One run with its attempts",
    responses=answers(Run, 404, 409, examples=[EXAMPLE_RUN]),
)
def get_run(asked: Annotated[Asked, needs(Permission.READ)], run_id: RunId) -> Response:
    """One run."""
    return ok(runs.show_run(asked.desk, run_id))


@router.post(
    "/runs/{run_id}/cancel",
    operation_id="cancel_run",
    summary="Stop a run",
    description="At once if it has not begun, else TERM, grace, KILL of its whole process tree.",
    responses=answers(Run, 404, 409, examples=[EXAMPLE_RUN]),
)
def cancel_run(asked: Annotated[Asked, needs(Permission.RUN)], run_id: RunId) -> Response:
    """It stops."""
    return ok(runs.cancel_run(asked.desk, run_id))


@router.post(
    "/runs/{run_id}/retry",
    operation_id="retry_run",
    summary="Run it again",
    description="A new run in the same flow, with the same parameters; what its failure skipped is made anew with it.",
    status_code=201,
    responses=answers(Run, 404, 409, status=201, examples=[{**EXAMPLE_RUN, "retry_of": EXAMPLE_RUN["id"]}]),
)
def retry_run(asked: Annotated[Asked, needs(Permission.RUN)], run_id: RunId, key: Key = None) -> Response:
    """A new run."""
    made = once(
        asked.desk,
        asked.principal.actor,
        key,
        f"run.retry {run_id}",
        None,
        lambda desk: runs.retry_run(desk, run_id),
    )
    return ok(made, HTTPStatus.CREATED)


@router.post(
    "/runs/{run_id}/skip",
    operation_id="skip_run",
    summary="Take a run out of its flow",
    description="One that has not begun: the flow goes on as if it had succeeded.",
    responses=answers(Run, 404, 409, examples=[{**EXAMPLE_RUN, "state": "skipped"}]),
)
def skip_run(asked: Annotated[Asked, needs(Permission.RUN)], run_id: RunId) -> Response:
    """It will not run."""
    return ok(runs.skip_run(asked.desk, run_id))


@router.delete(
    "/runs/{run_id}",
    operation_id="delete_run",
    summary="Delete a run with its output",
    description="One that is not over stays.",
    status_code=204,
    responses=answers(None, 404, 409, status=204),
)
def delete_run(asked: Annotated[Asked, needs(Permission.DEFINE)], run_id: RunId) -> Response:
    """It, its attempts and its items are gone."""
    deleting.delete_chosen_runs(asked.desk, deleting.named_runs(asked.desk, [run_id]))
    return nothing()


@router.post(
    "/runs/delete",
    operation_id="delete_runs",
    summary="Delete runs: by id, or all that a filter matches",
    description="What is not over stays and is reported. With `dry_run` nothing is deleted.",
    responses=answers(Deleted, 404, 409, examples=[{"deleted": [EXAMPLE_RUN["id"]], "kept": [], "dry_run": False}]),
)
def delete_runs(asked: Annotated[Asked, needs(Permission.DEFINE)], body: DeleteBody) -> Response:
    """One result for each."""
    desk = asked.desk
    if (body.ids is None) == (body.q is None):
        raise usage(
            "nothing_named", "name runs by `ids`, or a filter by `q`; one of them", hint="`q` may be empty: all"
        )
    if body.ids is not None:
        choice = deleting.named_runs(desk, body.ids)
    else:
        choice = deleting.choose_runs(desk, chosen(RUNS, desk, {}, body.q, place=""))
    done = choice if body.dry_run else deleting.delete_chosen_runs(desk, choice)
    return ok({**done.view(), "dry_run": body.dry_run})
