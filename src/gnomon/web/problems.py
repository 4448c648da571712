"""Errors as RFC 9457 problem documents: our codes, the key in the request, and what to do next."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gnomon.core.errors import (
    Conflict,
    Forbidden,
    GnomonError,
    InvariantViolated,
    NotFound,
    Problem,
    Stale,
    Unauthenticated,
    Unavailable,
    UsageError,
)
from gnomon.operations.views import problem_view

from .plain import Plain

logger = logging.getLogger("gnomon")
MOST = 50
"""So many mistakes of one request are told."""
_LONGEST_KEY, _LONGEST_INSTANCE = 200, 500
MEDIA_TYPE = "application/problem+json"
_BY_KIND: tuple[tuple[type[GnomonError], HTTPStatus], ...] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Stale, HTTPStatus.PRECONDITION_FAILED),
    (Conflict, HTTPStatus.CONFLICT),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)
_BY_STATUS = {
    413: ("body_too_large", "the body is too large", "a body has at most 1 MiB"),
    400: ("bad_request", "the request cannot be read", ""),
    404: ("route_not_found", "there is nothing here", "GET /api/v1/openapi.json lists what there is"),
    405: ("method_not_allowed", "this address does not take that method", "the header Allow names those it takes"),
}


_OF_DATABASE = {
    "database_locked": "the database is locked",
    "database_read_only": "the database may only be read",
    "database_io_error": "the database could not be read or written",
    "database_cannot_open": "the database cannot be opened",
    "database_corrupt": "the database is damaged",
    "not_a_database": "the database is damaged",
    "permission_denied": "the database may not be opened",
    "disk_full": "there is no room for the database",
    "out_of_memory": "there is no memory left",
    "store_closed": "the service is ending",
}


class Refused(Exception):
    """An answer that ends a request: `status`, and the problems that say why."""

    def __init__(self, status: HTTPStatus, *problems: Problem) -> None:
        self.status, self.problems = status, problems
        super().__init__("\n".join(str(p) for p in problems))


def status_of(error: GnomonError) -> HTTPStatus:
    """The HTTP status of an error of gnomon."""
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(
    status: HTTPStatus, problems: Sequence[Problem], instance: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem document."""
    first = problems[0]
    document: dict[str, Any] = {
        "type": f"urn:gnomon:error:{first.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": first.message,
        "instance": instance[:_LONGEST_INSTANCE],
        "code": first.code,
        "errors": [problem_view(p) for p in problems],
    }
    extra = {"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    if status is HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Bearer"
    return Plain(document, int(status), {**extra, **(headers or {})}, MEDIA_TYPE)


def of_error(error: GnomonError, instance: str) -> JSONResponse:
    """The problem document of an error of gnomon; what ails the database is told without where it lies."""
    if isinstance(error, InvariantViolated):
        return unexpected("", instance, error)
    found = [outward(one) for one in error.problems]
    status = status_of(error)
    if found[0].code in _OF_DATABASE:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        logger.debug("%s was refused: %s", instance, error)
    return problem(status, found, instance)


def outward(found: Problem) -> Problem:
    """A problem as strangers may read it: without paths and what SQLite said."""
    words = _OF_DATABASE.get(found.code)
    return found if words is None else Problem(found.code, words, hint="try again; the log of the scheduler says more")


def install(app: FastAPI) -> None:
    """Have `app` answer every error with a problem document."""
    app.add_exception_handler(GnomonError, _gnomon)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _gnomon(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GnomonError)
    return of_error(error, request.url.path)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return problem(error.status, error.problems, request.url.path)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [_of_validation(one) for one in error.errors()[:MOST]]
    status = HTTPStatus.BAD_REQUEST if found[0].code == "body_not_json" else HTTPStatus.UNPROCESSABLE_ENTITY
    return problem(status, found, request.url.path)


def _of_validation(error: Any) -> Problem:
    place, *keys = (str(part) for part in error["loc"])
    if error["type"] == "json_invalid":
        return Problem("body_not_json", f"the body is not JSON: {error['ctx']['error']}", "", "send a JSON document")
    key = (".".join(keys) if place == "body" else ".".join((place, *keys)))[:_LONGEST_KEY]
    code = {"missing": "missing_key", "extra_forbidden": "unknown_key"}.get(error["type"], "bad_value")
    return Problem(code, str(error["msg"]), key, "GET /api/v1/openapi.json says what is taken")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return of_http(error, request.url.path)


def of_http(error: HTTPException, instance: str) -> JSONResponse:
    """The problem document of a refusal of the framework."""
    status = HTTPStatus(error.status_code)
    code, message, hint = _BY_STATUS.get(error.status_code, ("request_refused", str(error.detail), ""))
    return problem(status, [Problem(code, message, hint=hint)], instance, dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return unexpected(request.method, request.url.path, error)


def unexpected(method: str, instance: str, error: Exception) -> JSONResponse:
    """A bug is told as one; its inside is for the log."""
    logger.error("%s %s failed: %s", method, instance, error, exc_info=error)
    text = "something went wrong inside gnomon: this is a bug"
    hint = "the log of the scheduler names a file with the details: please report it"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, [Problem("internal_error", text, hint=hint)], instance)
