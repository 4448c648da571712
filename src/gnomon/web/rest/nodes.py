"""Scheduler processes, and incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.records import Page
from gnomon.operations import alerts
from gnomon.operations.nodes import list_nodes as nodes_of
from gnomon.web.answers import answers, ok, page
from gnomon.web.asking import Asked, needs
from gnomon.web.models.access import EXAMPLE_INCIDENT, EXAMPLE_NODE, Incident, IncidentPage, NodeList
from gnomon.web.models.page import page_of

from .common import Cursor, Limit
from .runs import Word

router = APIRouter()
IncidentId = Annotated[str, Path(max_length=64, description="The id of an incident, or a beginning of it.")]


@router.get(
    "/nodes",
    operation_id="list_nodes",
    summary="Scheduler processes that live",
    tags=["nodes"],
    responses=answers(NodeList, examples=[page_of(EXAMPLE_NODE)]),
)
def list_nodes(asked: Annotated[Asked, needs(Permission.READ)]) -> Response:
    """The one with `leader` plans; all of them perform."""
    return page(Page(tuple(nodes_of(asked.desk))))


@router.get(
    "/incidents",
    operation_id="list_incidents",
    summary="What went wrong, and whom it was told",
    tags=["incidents"],
    responses=answers(IncidentPage, 404, examples=[page_of(EXAMPLE_INCIDENT)]),
)
def list_incidents(
    asked: Annotated[Asked, needs(Permission.READ)],
    open: bool | None = None,
    job: Word = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Newest first."""
    return page(alerts.list_incidents(asked.desk, is_open=open, job_id=job, limit=limit, cursor=cursor))


@router.get(
    "/incidents/{incident_id}",
    operation_id="get_incident",
    summary="One incident with its messages",
    tags=["incidents"],
    responses=answers(Incident, 404, 409, examples=[EXAMPLE_INCIDENT]),
)
def get_incident(asked: Annotated[Asked, needs(Permission.READ)], incident_id: IncidentId) -> Response:
    """One incident."""
    return ok(alerts.show_incident(asked.desk, incident_id))


@router.post(
    "/incidents/{incident_id}/acknowledge",
    operation_id="acknowledge_incident",
    summary="Somebody takes care of it",
    description="No more reminders of it.",
    tags=["incidents"],
    responses=answers(Incident, 404, 409, examples=[EXAMPLE_INCIDENT]),
)
def acknowledge_incident(asked: Annotated[Asked, needs(Permission.RUN)], incident_id: IncidentId) -> Response:
    """It is taken care of."""
    return ok(alerts.acknowledge_incident(asked.desk, incident_id))
