"""A task type made of a Python function: its arguments are the function's keyword arguments."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from gnomon.core.errors import Problem, UsageError
from gnomon.core.substitution import references_in
from gnomon.core.values import Json, canonical_json

from .python import PYTHON

_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL


class CallableTask:
    """The task type `name`; attempts call the function at `reference`, in the same places as `python` tasks.

    Args:
        signature: what its arguments are checked against at load.
    """

    aliases = ()
    executor = "pool"

    def __init__(self, name: str, reference: str, signature: inspect.Signature) -> None:
        self.name, self.reference = name, reference
        self._parameters = [p for p in signature.parameters.values() if p.kind not in _POSITIONAL]

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The arguments as they are.

        Raises:
            UsageError: one problem per argument that is unknown, missing or not JSON.
        """
        named = {p.name: p for p in self._parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
        open_ended = len(named) < len(self._parameters)
        problems = [] if open_ended else [self._unknown(key, named) for key in arguments if key not in named]
        for name, parameter in named.items():
            if parameter.default is inspect.Parameter.empty and name not in arguments:
                problems.append(Problem("missing_key", f"a task of type {self.name} needs {name!r}", name))
        problems += [p for key, value in arguments.items() if (p := _json_problem(key, value)) is not None]
        if problems:
            raise UsageError(*problems)
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Json]) -> str:
        """The call as it would be written, at most 200 characters."""
        return PYTHON.describe({"callable": self.name, "kwargs": dict(arguments)})

    def order(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """What the executor is given: the arguments of a `python` task."""
        return {"callable": self.reference, "kwargs": dict(arguments)}

    def _unknown(self, key: str, known: Mapping[str, object]) -> Problem:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
        return Problem("unknown_key", f"a task of type {self.name} has no argument {key!r}", key, hint)


def callable_task(name: str, func: Callable[..., Any], reference: str) -> CallableTask:
    """The task type of a function that workers import as `reference`.

    Raises:
        UsageError: it cannot be called with keyword arguments alone.
    """
    signature = inspect.signature(func)
    hard = [p for p in signature.parameters.values() if p.kind is _POSITIONAL[0] and p.default is p.empty]
    if hard:
        hint = "let it take keyword arguments"
        text = f"{reference} takes {hard[0].name!r} by position only"
        raise UsageError(Problem("bad_callable", text, "func", hint))
    return CallableTask(name, reference, signature)


def _json_problem(key: str, value: Json) -> Problem | None:
    if isinstance(value, str) and references_in(value):
        return None
    try:
        canonical_json(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return Problem("not_json", f"{value!r:.60} is not JSON: {error}"[:300], key)
    return None
