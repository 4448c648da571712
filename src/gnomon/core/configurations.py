"""Configurations: named, versioned sets of task arguments, and how a task builds on one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .records import Source
from .values import Json, JsonObject

MERGED = ("headers", "query", "parameters", "env", "storage_options")
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
    argument (or an entry of such a map) that the task gives as null is left out.
    """
    answer: dict[str, Json] = dict(base)
    for key, value in own.items():
        below = answer.get(key)
        if key in MERGED and isinstance(value, Mapping) and isinstance(below, Mapping):
            entries = {**below, **value}
            answer[key] = {name: item for name, item in entries.items() if name not in value or value[name] is not None}
        elif value is None:
            answer.pop(key, None)
        else:
            answer[key] = value
    return answer


def not_there(name: str, known: Collection[str]) -> tuple[str, str]:
    """That there is no such configuration, and what to do about it."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`gnomon configurations list` shows them"
    return f"there is no configuration {name!r}", hint
