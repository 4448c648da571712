"""Parameters of addresses: one that a route does not know is a mistake, never something to pass over."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from gnomon.core.errors import Problem, UsageError

_LONGEST, _MOST = 80, 20


def refuse_unknown(request: Request) -> None:
    """Refuse parameters that the route of a request does not have, or that are there twice and may be there once.

    Raises:
        UsageError: `unknown_parameter`, naming the nearest; `parameter_repeated`.
    """
    route = request.scope.get("route")
    if not request.url.query or not isinstance(route, APIRoute):
        return
    known = dict(_fields(route.dependant))
    found: list[Problem] = []
    for name in dict.fromkeys(request.query_params.keys()):
        shown = name[:_LONGEST]
        if name not in known:
            near = difflib.get_close_matches(shown, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "it takes " + (", ".join(known) or "none")
            found.append(Problem("unknown_parameter", f"there is no parameter {shown!r} here", f"query.{shown}", hint))
        elif not known[name] and len(request.query_params.getlist(name)) > 1:
            text = f"{shown} is there several times, and means one thing"
            found.append(Problem("parameter_repeated", text, f"query.{shown}", "say it once"))
        if len(found) == _MOST:  # each looks for what it is near to
            break
    if found:
        raise UsageError(*found)


def _fields(of: Dependant) -> Iterator[tuple[str, bool]]:
    """Parameters of a route; True: may be there several times."""
    for field in of.query_params:
        yield field.alias, get_origin(field.field_info.annotation) is list
    for inner in of.dependencies:
        yield from _fields(inner)
