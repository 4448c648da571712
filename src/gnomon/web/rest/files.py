"""Job files as the scheduler sees them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.operations import files
from gnomon.web.answers import answers, ok
from gnomon.web.asking import Asked, needs
from gnomon.web.models.page import page_of
from gnomon.web.models.questions import EXAMPLE_FILE, Confirmed, JobFiles

from .common import Cursor, Limit

router = APIRouter(prefix="/files", tags=["files"])


@router.get(
    "",
    operation_id="list_files",
    summary="Job files, and what is wrong with them",
    responses=answers(JobFiles, examples=[{**page_of(EXAMPLE_FILE), "guard": None}]),
)
def list_files(asked: Annotated[Asked, needs(Permission.READ)], limit: Limit = 50, cursor: Cursor = None) -> Response:
    """As the scheduler last saw them; a broken file keeps its last good version in effect."""
    found = files.file_page(asked.desk, limit, cursor)
    return ok({"items": list(found.items), "next": found.next, "partial": False, "guard": files.guard(asked.desk)})


@router.post(
    "/confirm-empty",
    operation_id="confirm_empty_files",
    summary="The jobs directory is meant to be as empty as it is",
    responses=answers(Confirmed, examples=[{"confirmed": True}]),
)
def confirm_empty_files(asked: Annotated[Asked, needs(Permission.DEFINE)]) -> Response:
    """The scheduler retires the jobs of the files that are gone at its next look."""
    files.confirm_empty(asked.desk)
    return ok({"confirmed": True})
