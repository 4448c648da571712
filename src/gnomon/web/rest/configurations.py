"""Configurations: list, show, versions, save, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.core.errors import Problem, UsageError
from gnomon.core.records import Page
from gnomon.operations import configurations
from gnomon.operations.filters import CONFIGURATIONS
from gnomon.web.answers import answers, check_match, nothing, ok, page, tagged
from gnomon.web.asking import Asked, needs
from gnomon.web.models.configurations import (
    EXAMPLE_CONFIGURATION,
    EXAMPLE_VERSION,
    Configuration,
    ConfigurationBody,
    ConfigurationPage,
    ConfigurationVersion,
    ConfigurationVersions,
)
from gnomon.web.models.page import page_of

from .common import Asking, ConfigurationName, Cursor, Limit, chosen

router = APIRouter(prefix="/configurations", tags=["configurations"])
_TEXT = "Configurations of files are read-only here: change the file."
_PAGE = page_of(EXAMPLE_CONFIGURATION)


@router.get(
    "",
    operation_id="list_configurations",
    summary="All configurations, or those that no job uses",
    responses=answers(ConfigurationPage, examples=[_PAGE]),
)
def list_configurations(
    asked: Annotated[Asked, needs(Permission.READ)],
    type: Annotated[list[str], Query(description="For tasks of these types.")] = [],  # noqa: B006 (FastAPI copies it)
    unused: Annotated[bool, Query(description="Only those that no job uses.")] = False,
    q: Asking = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Configurations by name, and which jobs use them."""
    where = chosen(CONFIGURATIONS, asked.desk, {"type": type, "used": False if unused else None}, q, {"used": "unused"})
    return page(configurations.list_configurations(asked.desk, limit, cursor, where))


@router.get(
    "/{name:id}",
    operation_id="get_configuration",
    summary="One configuration",
    responses=answers(Configuration, 404, examples=[EXAMPLE_CONFIGURATION]),
)
def get_configuration(asked: Annotated[Asked, needs(Permission.READ)], name: ConfigurationName) -> Response:
    """Its arguments as they are now, with the ETag that an edit may name in `If-Match`."""
    return tagged(configurations.show_configuration(asked.desk, name))


@router.get(
    "/{name:id}/versions",
    operation_id="list_configuration_versions",
    summary="The history of a configuration",
    responses=answers(ConfigurationVersions, 404, examples=[page_of(EXAMPLE_VERSION)]),
)
def list_configuration_versions(
    asked: Annotated[Asked, needs(Permission.READ)],
    name: ConfigurationName,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many of the newest.")] = 50,
) -> Response:
    """The versions that are kept, newest first: all that runs refer to, and the newest 50."""
    return page(Page(tuple(configurations.configuration_history(asked.desk, name, limit))))


@router.get(
    "/{name:id}/versions/{version}",
    operation_id="get_configuration_version",
    summary="A configuration as it was",
    responses=answers(ConfigurationVersion, 404, examples=[EXAMPLE_VERSION]),
)
def get_configuration_version(
    asked: Annotated[Asked, needs(Permission.READ)],
    name: ConfigurationName,
    version: Annotated[int, Path(ge=1, le=1_000_000_000)],
) -> Response:
    """Kept as long as a run refers to it, even when the configuration is deleted."""
    return ok(configurations.show_configuration(asked.desk, name, version))


@router.put(
    "/{name:id}",
    operation_id="put_configuration",
    summary="Save a configuration",
    description=f"A new version, if it differs; jobs that use it take it from their next attempt on. {_TEXT} "
    "With `If-Match` only if it is still as its caller read it.",
    responses=answers(Configuration, 409, 412, examples=[EXAMPLE_CONFIGURATION]),
)
def put_configuration(
    asked: Annotated[Asked, needs(Permission.DEFINE)],
    name: ConfigurationName,
    body: ConfigurationBody,
    request: Request,
) -> Response:
    """Make these arguments the configuration, or add it."""
    try:
        saved = configurations.save_configuration(
            asked.desk, name, body.type, body.arguments, seen=lambda view: check_match(request, view or {})
        )
    except UsageError as error:
        raise type(error)(*(replace(p, key=_in_body(p)) for p in error.problems)) from None
    return tagged(saved)


@router.delete(
    "/{name:id}",
    operation_id="delete_configuration",
    summary="Delete a configuration that no job uses",
    description=f"{_TEXT} Versions that runs refer to can still be shown.",
    status_code=204,
    responses=answers(None, 404, 409, 412, status=204),
)
def delete_configuration(
    asked: Annotated[Asked, needs(Permission.DEFINE)], name: ConfigurationName, request: Request
) -> Response:
    """It is gone."""
    configurations.delete_configuration(asked.desk, name, lambda view: check_match(request, view or {}))
    return nothing()


def _in_body(problem: Problem) -> str:
    """Where it is wrong: operations name keys of the arguments as a task has them."""
    own = problem.code in ("unknown_key", "missing_key") and problem.key
    return f"arguments.{problem.key}" if own else problem.key
