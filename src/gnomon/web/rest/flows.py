"""Flows: the runs of one pipeline firing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.operations import flows
from gnomon.operations.filters import FLOWS
from gnomon.operations.idempotency import once
from gnomon.web.answers import answers, ok, page
from gnomon.web.asking import Asked, needs
from gnomon.web.models.runs import EXAMPLE_FLOW, FlowDetail, FlowPage

from .common import Asking, Cursor, Limit, chosen
from .runs import Key, RunId, Word

router = APIRouter(prefix="/flows", tags=["flows"])
_FLOW = {key: value for key, value in EXAMPLE_FLOW.items() if key != "runs"}


@router.get(
    "",
    operation_id="list_flows",
    summary="Flows of more than one run",
    responses=answers(FlowPage, examples=[{"items": [_FLOW], "next": None, "partial": False}]),
)
def list_flows(
    asked: Annotated[Asked, needs(Permission.READ)],
    job: Word = None,
    since: Word = None,
    until: Word = None,
    q: Asking = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Newest first, without their runs."""
    where = chosen(FLOWS, asked.desk, {"job": job, "since": since, "until": until}, q)
    return page(flows.page_of_flows(asked.desk, where, limit, cursor))


@router.get(
    "/{run_id}",
    operation_id="get_flow",
    summary="A flow with its runs",
    responses=answers(FlowDetail, 404, 409, examples=[EXAMPLE_FLOW]),
)
def get_flow(asked: Annotated[Asked, needs(Permission.READ)], run_id: RunId) -> Response:
    """By its id, or that of any run in it."""
    return ok(flows.show_flow(asked.desk, run_id))


@router.post(
    "/{run_id}/cancel",
    operation_id="cancel_flow",
    summary="Cancel what is not over in a flow",
    responses=answers(FlowDetail, 404, 409, examples=[EXAMPLE_FLOW]),
)
def cancel_flow(asked: Annotated[Asked, needs(Permission.RUN)], run_id: RunId) -> Response:
    """It stops."""
    return ok(flows.cancel_flow(asked.desk, run_id))


@router.post(
    "/{run_id}/retry",
    operation_id="retry_flow",
    summary="Rerun a flow from the failed jobs",
    description="They, and what was skipped because of them, get new runs in the same flow.",
    responses=answers(FlowDetail, 404, 409, examples=[EXAMPLE_FLOW]),
)
def retry_flow(asked: Annotated[Asked, needs(Permission.RUN)], run_id: RunId, key: Key = None) -> Response:
    """It goes on."""
    return ok(
        once(
            asked.desk,
            asked.principal.actor,
            key,
            f"flow.retry {run_id}",
            None,
            lambda desk: flows.retry_flow(desk, run_id),
        )
    )
