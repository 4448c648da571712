"""What handlers answer: the objects of `--json`, entity tags, and what the OpenAPI document says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from gnomon.core.errors import Problem, Stale
from gnomon.core.records import Page
from gnomon.core.values import Json, digest

from .models.problem import ProblemDocument
from .plain import Plain
from .problems import MEDIA_TYPE

_REFUSALS = {
    400: "The request cannot be read.",
    401: "Nobody known asks.",
    403: "The one who asks may not do this.",
    404: "There is no such object.",
    409: "The state of the object, or its owner, does not allow it.",
    412: "The object was changed since it was read.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    421: "The service is not known by the name that was asked for.",
    422: "Something in the request is wrong: each fault with its key and a hint.",
    503: "The database cannot be written right now: try again.",
}
_PASSING = frozenset(
    {"paused", "paused_by", "anchor", "next_fire_at", "next_start_at", "fault", "used_by", "created_at", "updated_at"}
)
_ALWAYS = (400, 401, 403, 413, 415, 421, 422, 503)


def ok(value: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """An object."""
    return Plain(value, int(status), dict(headers or {}))


def page(found: Page[Any]) -> Response:
    """A page of a list: `{"items": […], "next": cursor or null, "partial": …}`."""
    return Plain({"items": list(found.items), "next": found.next, "partial": found.partial})


def nothing() -> Response:
    """Done, and there is nothing to say."""
    return Response(status_code=int(HTTPStatus.NO_CONTENT))


def tagged(value: Mapping[str, Json], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """An object with the entity tag that `If-Match` of an edit may name."""
    return ok(value, status, {"ETag": etag(value)})


def etag(value: Mapping[str, Json]) -> str:
    """The same for the same content; what the clock or a pause alone changes does not count."""
    if "definition" in value:
        kept = {key: value.get(key) for key in ("job_id", "definition", "definition_version", "source")}
    else:
        kept = {key: item for key, item in value.items() if key not in _PASSING}
    return f'"{digest(kept)}"'


def check_match(request: Request, value: Mapping[str, Json]) -> None:
    """Refuse an edit of something that its caller has not seen as it is.

    Raises:
        Stale: `If-Match` names another state of the object.
    """
    asked = request.headers.get("if-match")
    if asked is None or asked.strip() == "*":
        return
    if etag(value) not in {tag.strip().removeprefix("W/") for tag in asked.split(",")}:
        hint = "read it again, apply your change to what it is now, and send the new ETag"
        raise Stale(Problem("stale_edit", "it was changed since you read it", "If-Match", hint))


def answers(
    model: type[BaseModel] | None, *refusals: int, status: int = 200, examples: Sequence[Any] = ()
) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: its answer, and the refusals it knows besides those all routes have."""
    said: dict[int | str, dict[str, Any]] = {}
    if model is None:
        said[status] = {"description": "Done."}
    else:
        content = {"application/json": {"example": examples[0]}} if examples else {}
        said[status] = {"model": model, "description": (model.__doc__ or "").split("\n")[0], "content": content}
    for code in sorted({*_ALWAYS, *refusals}):
        said[code] = {
            "model": ProblemDocument,
            "description": _REFUSALS[code],
            "content": {MEDIA_TYPE: {}},
        }
    return said
