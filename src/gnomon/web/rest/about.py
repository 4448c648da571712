"""What this gnomon is and can do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.records import Page
from gnomon.operations import about
from gnomon.web.answers import answers, ok, page
from gnomon.web.asking import Asked, needs
from gnomon.web.models.about import EXAMPLE_ABOUT, EXAMPLE_TASK_TYPE, About, TaskTypes
from gnomon.web.models.page import page_of

router = APIRouter(tags=["about"])


@router.get(
    "/about",
    operation_id="get_about",
    summary="Version, database, zone and settings",
    responses=answers(About, examples=[EXAMPLE_ABOUT]),
)
def get_about(asked: Annotated[Asked, needs(Permission.READ)]) -> Response:
    """What a client may want to know first. Secrets and the address of the database are not in it."""
    return ok(about.about(asked.desk, asked.service.settings))


@router.get(
    "/task-types",
    operation_id="list_task_types",
    summary="What a job can do",
    responses=answers(TaskTypes, examples=[page_of(EXAMPLE_TASK_TYPE)]),
)
def list_task_types(asked: Annotated[Asked, needs(Permission.READ)]) -> Response:
    """Task types, built in and of installed packages, with the other names they have."""
    return page(Page(tuple(about.list_task_types(asked.desk))))
