"""References to secrets: texts such as `env:TOKEN` and `file:/run/secrets/token`, in places that may hold one.

What a job file, a configuration or a run keeps is the reference, never the secret. A worker looks it up at the start of
an attempt (`gnomon.tasks.secrets`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from .values import Json

REFERENCE = re.compile(r"([a-z][a-z0-9_-]{1,30}):([^\s\0]+)", re.ASCII)
BUILTIN = ("env", "file", "literal")
"""Providers there always are: a variable of the worker, a file on its machine, the text behind the colon itself."""


def is_reference(value: Json, providers: Sequence[str] = BUILTIN) -> bool:
    """Whether the whole of `value` refers to a secret of one of `providers`."""
    found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1] not in providers:
        return False
    return found[1] != "file" or (found[2].startswith("/") and not found[2].startswith("//"))


def shielded(value: Json) -> Json:
    """`value`, from outside, such that nothing in it is taken for a reference to a secret."""
    if isinstance(value, str):
        return f"literal:{value}" if REFERENCE.fullmatch(value) else value
    if isinstance(value, Mapping):
        return {name: shielded(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [shielded(item) for item in value]
    return value


def replace_references(
    arguments: Mapping[str, Json], keys: Sequence[str], fill: Callable[[str, str], str], providers: Sequence[str]
) -> dict[str, Json]:
    """`arguments` with every reference below the top-level `keys` filled.

    Args:
        fill: of the dotted place and the reference, the secret.
    """

    def walk(value: Json, key: str) -> Json:
        if isinstance(value, str):
            return fill(key, value) if is_reference(value, providers) else value
        if isinstance(value, Mapping):
            return {name: walk(item, f"{key}.{name}") for name, item in value.items()}
        if isinstance(value, Sequence):
            return [walk(item, f"{key}[{index}]") for index, item in enumerate(value)]
        return value

    return {key: walk(value, key) if key in keys else value for key, value in arguments.items()}
