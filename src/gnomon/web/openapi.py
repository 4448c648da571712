"""The OpenAPI 3.1 document: what FastAPI makes of the routes, and what it cannot know.

FastAPI leaves nulls out of examples, offers null as a value of parameters, and writes refusals down as plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from .problems import MEDIA_TYPE

_JSON = "application/json"
_TAGS = {
    "jobs": "What is to be done: a task, its schedules, its policies. Jobs of files are changed in their files.",
    "schedules": "When: the entries of jobs, each an object of its own; and when something fires next.",
    "configurations": "Named arguments that tasks share, with their versions.",
    "runs": "Occurrences of jobs: start, list, cancel, retry, skip, output.",
    "flows": "The runs of one firing of a pipeline.",
    "files": "Job files as the scheduler sees them, and what is wrong with a text.",
    "nodes": "Scheduler processes that live.",
    "summary": "Sums for a dashboard, at a bounded cost.",
    "incidents": "What went wrong, and whom it was told.",
    "access": "Sessions, tokens, users, and the audit of what they did.",
    "events": "What is changed, live.",
    "about": "What this gnomon is and can do.",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` that was read: the change is refused (412) if the object was changed since.",
}
_ETAG = {"schema": {"type": "string"}, "description": "Names this state of the object, for `If-Match`."}
_UNASKED = ("sign_in",)
"""Operations that nobody known may ask."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application. It is made once."""
    kept: dict[str, Any] | None = getattr(app.state, "document", None)
    if kept is None:
        kept = app.state.document = _finished(app.openapi(), {r.operation_id or "": r for r in routes_of(app.routes)})
    return kept


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """All routes, those of routers within routers included: some FastAPI keep them apart."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(inner, APIRouter):
            yield from routes_of(inner.routes)


def _finished(made: dict[str, Any], routes: Mapping[str, APIRoute]) -> dict[str, Any]:
    schemes = made.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {"type": "http", "scheme": "bearer", "description": "`gnomon token create` makes one."}
    made["security"] = [{"token": []}]
    used: set[str] = set()
    for path in made["paths"].values():
        edited = "412" in path.get("put", {}).get("responses", {})
        for method, operation in path.items():
            used.update(operation.get("tags", ()))
            route = routes.get(operation["operationId"])
            if route is not None:
                _examples(operation, route)
            for response in operation["responses"].values():
                _problem(response)
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
            if "412" in operation["responses"]:
                operation.setdefault("parameters", []).append(dict(_IF_MATCH))
            if edited and method in ("get", "put"):
                operation["responses"]["200"]["headers"] = {"ETag": dict(_ETAG)}
            if operation["operationId"] in _UNASKED:
                operation["security"] = []
    made["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items() if name in used]
    return made


def _examples(operation: dict[str, Any], route: APIRoute) -> None:
    """The examples as they were written, nulls included."""
    for status, said in route.responses.items():
        for media, content in said.get("content", {}).items():
            if "example" in content:
                operation["responses"][str(status)]["content"][media]["example"] = content["example"]


def _problem(response: dict[str, Any]) -> None:
    content = response.get("content", {})
    if MEDIA_TYPE in content:
        content[MEDIA_TYPE] = content.pop(_JSON, content[MEDIA_TYPE])


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out; no address can hold a null."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(others) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **others[0]}
