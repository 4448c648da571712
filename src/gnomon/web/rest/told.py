"""What people were told of a run."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.records import Page
from gnomon.operations.telling import alerts_of_run
from gnomon.web.answers import answers, page
from gnomon.web.asking import Asked, needs
from gnomon.web.models.page import page_of
from gnomon.web.models.told import EXAMPLE_RUN_INCIDENT, RunIncidents

from .common import RunId

router = APIRouter(tags=["incidents"])


@router.get(
    "/runs/{run_id}/incidents",
    operation_id="list_run_incidents",
    summary="What went wrong with a run, and who was told",
    responses=answers(RunIncidents, 404, 409, examples=[page_of(EXAMPLE_RUN_INCIDENT)]),
)
def list_run_incidents(asked: Annotated[Asked, needs(Permission.READ)], run_id: RunId) -> Response:
    """The incidents that it began or belongs to, newest first, each with the newest message to every channel."""
    return page(Page(tuple(alerts_of_run(asked.desk, run_id))))
