"""Refusals of a server as the errors that the same mistake raises beside the database."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

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

from .calls.call import Answer

_KINDS: dict[int, type[GnomonError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.PRECONDITION_FAILED: Stale,
    HTTPStatus.INTERNAL_SERVER_ERROR: InvariantViolated,
}


def error_of(answer: Answer, url: str) -> GnomonError:
    """The error that an answer with a status of 300 or more means."""
    problems = _problems(answer)
    if not problems:
        return strange(url, f"status {answer.status}, without a problem document")
    kind = _KINDS.get(answer.status)
    if kind is None:
        kind = Unavailable if answer.status >= 500 else UsageError
    return kind(*problems)


def strange(url: str, what: str) -> Unavailable:
    """An answer that gnomon does not give."""
    hint = "is it the address of `gnomon serve`, and nothing in between that answers itself?"
    return Unavailable(Problem("answer_not_understood", f"{url} answers what gnomon does not: {what}", hint=hint))


def unreachable(url: str, why: Exception) -> Unavailable:
    """Nobody answers."""
    said = str(why) or type(why).__name__
    hint = "does the scheduler run there, and is the address right?"
    return Unavailable(Problem("server_unreachable", f"{url} does not answer: {said}", hint=hint))


def _problems(answer: Answer) -> list[Problem]:
    if "json" not in answer.headers.get("content-type", ""):
        return []
    try:
        found = json.loads(answer.content)["errors"]
        return [_problem(one) for one in found]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _problem(said: dict[str, Any]) -> Problem:
    def number(name: str) -> int | None:
        value = said.get(name)
        return value if isinstance(value, int) else None

    file = said.get("file")
    return Problem(
        str(said["code"]),
        str(said["message"]),
        str(said.get("key") or ""),
        str(said.get("hint") or ""),
        None if file is None else str(file),
        number("line"),
        number("column"),
    )
