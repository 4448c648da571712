"""Configurations: named, versioned sets of task arguments, and how a task builds on one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from .errors import Problem, UsageError
from .model import Task
from .records import Source
from .tasks import TaskType
from .values import Json, JsonObject

MERGED = ("headers", "query", "parameters", "env", "storage_options", "kwargs")
"""Arguments that are maps of which a task may override single entries; any other argument is replaced whole."""

KEPT_VERSIONS = 50
"""Versions of a configuration that are kept although no run refers to them."""


@dataclass(frozen=True, slots=True)
class ConfigurationRecord:
    """A configuration as it is now. `version` counts contents from 1; `type` is a task type's canonical name."""

    name: str
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime
    type: str | None = None
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigurationVersion:
    """A configuration as it was from `at` on; kept as long as a run refers to it."""

    name: str
    version: int
    at: datetime
    actor: str
    type: str | None = None
    arguments: Mapping[str, Json] = field(default_factory=dict)


def merged(base: JsonObject, own: JsonObject) -> dict[str, Json]:
    """The arguments of a configuration with those of a task over them.

    A task's argument replaces the configuration's; of the maps in `MERGED` each entry replaces that of its name. An
    argument of the configuration (or an entry of such a map) that the task gives as null is left out; a null that the
    configuration has nothing for is a null, such as one of SQL.
    """
    answer: dict[str, Json] = dict(base)
    for key, value in own.items():
        below = answer.get(key)
        if key in MERGED and isinstance(value, Mapping) and isinstance(below, Mapping):
            entries = {**below, **value}
            left_out = {name for name in below if name in value and value[name] is None}
            answer[key] = {name: item for name, item in entries.items() if name not in left_out}
        elif value is None:
            answer.pop(key, None)
        else:
            answer[key] = value
    return answer


def type_of(task: Task, configured: str | None) -> str:
    """The task type of a task that uses a configuration of type `configured`.

    Raises:
        UsageError: neither says one, or they say different ones.
    """
    if task.type and configured and task.type != configured:
        text = f"the task is of type {task.type}, its configuration {task.use!r} of type {configured}"
        hint = "leave `type` out of the task, or use another configuration"
        raise UsageError(Problem("configuration_type", text, "type", hint))
    if not task.type and not configured:
        text = f"neither the task nor its configuration {task.use!r} says a type"
        raise UsageError(Problem("configuration_type", text, "type", "write `type:` into one of them"))
    return task.type or configured or ""


def configured_arguments(task: Task, configured: str | None, base: JsonObject, kind: TaskType) -> JsonObject:
    """The canonical arguments of a task that uses a configuration of this type and these arguments.

    Raises:
        UsageError: the types differ, or what comes out is not valid.
    """
    type_of(task, configured)
    try:
        return kind.validate(merged(base, task.arguments))
    except UsageError as error:
        raise blamed(error, task.use or "", base, task.arguments) from None


def blamed(error: UsageError, name: str, base: JsonObject, own: JsonObject) -> UsageError:
    """The problems, those with arguments that come from the configuration `name` alone saying so."""

    def said(problem: Problem) -> Problem:
        head = re.split(r"[.\[]", problem.key, maxsplit=1)[0]
        if head not in base or head in own:
            return problem
        return replace(problem, message=f"{problem.message} (from configuration {name!r})")

    return UsageError(*map(said, error.problems))


def unknown_keys(arguments: JsonObject, kind: TaskType) -> list[Problem]:
    """The keys that no task of this type has. A configuration may be incomplete, so nothing else is judged."""
    try:
        kind.validate(arguments)
    except UsageError as error:
        return [problem for problem in error.problems if problem.code == "unknown_key"]
    return []


def not_there(name: str, known: Collection[str]) -> UsageError:
    """That there is no configuration of this name, naming the nearest."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`gnomon configurations list` shows them"
    return UsageError(Problem("configuration_not_found", f"there is no configuration {name!r}", "use", hint))
