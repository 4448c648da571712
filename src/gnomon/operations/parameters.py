"""Parameters a caller gives, against those the job declares."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from math import isfinite

from gnomon.core.errors import Problem, UsageError
from gnomon.core.model import Job, Parameter
from gnomon.core.values import Json

_LONGEST = 1_000_000
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


_TYPE_HINTS = {
    "string": "give a text",
    "integer": "give a whole number, such as 3",
    "number": "give a number, such as 2.5",
    "boolean": "give true or false",
    "array": """give a JSON list, such as '["a", "b"]'""",
    "object": """give a JSON object, such as '{"a": 1}'""",
}


def checked_parameters(job: Job, given: Mapping[str, Json]) -> dict[str, Json]:
    """The values a run gets: what was given, and the defaults of the rest.

    Raises:
        UsageError: unknown names (naming the nearest), missing required ones, wrong types; all at once.
    """
    declared = {p.name: p for p in job.parameters}
    problems = [_unknown(name, list(declared), job.job_id) for name in given if name not in declared]
    values: dict[str, Json] = {}
    for name, parameter in declared.items():
        if name in given:
            values[name] = _converted(parameter, given[name], problems)
        elif parameter.required:
            problems.append(
                Problem("parameter_missing", f"job {job.job_id!r} needs a value for {name!r}", name, f"-p {name}=…")
            )
        else:
            values[name] = parameter.default
    if problems:
        raise UsageError(*problems)
    return values


def _converted(parameter: Parameter, value: Json, problems: list[Problem]) -> Json:
    """The value in the declared type; text from a command line is read as what is declared."""
    if _fits(parameter.type, value):
        return value
    if isinstance(value, str):
        converted = _from_text(parameter.type, value)
        if converted is not None:
            return converted
    text = f"{value!r} is not of type {parameter.type}"
    problems.append(Problem("parameter_type", text, parameter.name, _TYPE_HINTS.get(parameter.type, "")))
    return value


def _fits(kind: str, value: Json) -> bool:
    if isinstance(value, float) and not isfinite(value):  # JSON has no such number
        return False
    if kind == "any":
        return True
    return isinstance(value, _TYPES.get(kind, ())) and (kind == "boolean" or not isinstance(value, bool))


def _from_text(kind: str, text: str) -> Json:
    try:
        match kind:
            case "integer":
                return int(text) if len(text) < 100 else None
            case "number":
                number = float(text)
                return number if isfinite(number) else None
            case "boolean":
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
            case "array" | "object":
                value = json.loads(text) if len(text) <= _LONGEST else None
                return value if _fits(kind, value) else None
            case _:
                return None
    except (ValueError, KeyError, RecursionError):
        return None


def _unknown(name: str, known: Sequence[str], job_id: str) -> Problem:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else ("it declares " + (", ".join(known) or "none"))
    return Problem("parameter_unknown", f"job {job_id!r} has no parameter {name!r}", name, hint)
