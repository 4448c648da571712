"""Looking secrets up, on the worker, and striking them out of everything that leaves it.

[project.entry-points."gnomon.secrets"]
vault = "mypackage.vault:look_up"       # vault:path#key → look_up("path#key") → the secret
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from gnomon.core.redaction import Redactor
from gnomon.core.secrets import BUILTIN, replace_references
from gnomon.core.values import Json, JsonObject

GROUP = "gnomon.secrets"
OPEN = "literal"
"""The provider whose values are not secret."""


class Vault:
    """The secrets of one attempt."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._redactor = Redactor(())

    def fill(self, arguments: JsonObject, keys: Sequence[str]) -> dict[str, Json]:
        """The arguments with every reference below `keys` replaced by its secret.

        Raises:
            LookupError: its text says which reference, where, and why.
        """
        filled = replace_references(arguments, keys, self._look_up, providers())
        self._redactor = Redactor(self.values)
        return filled

    def __bool__(self) -> bool:
        """Whether there is anything to strike out."""
        return bool(self._redactor)

    @property
    def redactor(self) -> Redactor:
        """Strikes out what was looked up."""
        return self._redactor

    def strike(self, value: Json) -> Json:
        """`value` without the secrets, at any depth."""
        return self._redactor.json(value)

    def _look_up(self, key: str, reference: str) -> str:
        try:
            secret = look_up(reference)
        except LookupError as error:
            raise LookupError(f"{key}: {error.args[0]}") from None
        if not reference.startswith(OPEN + ":"):
            self.values.append(secret)
        return secret


def look_up(reference: str) -> str:
    """The secret that `provider:name` refers to.

    Raises:
        LookupError: its text says why there is none.
    """
    provider, _, name = reference.partition(":")
    if provider == OPEN:
        return name
    try:
        if provider == "env":
            return os.environ[name]
        if provider == "file":
            return _read(name)
        return _given(provider, name)
    except KeyError as error:
        why = f"there is no variable {name} in the worker's environment" if provider == "env" else repr(error)
        raise LookupError(f"{reference} is not there: {why}") from None
    except Exception as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise LookupError(f"{reference} is not there: {why}") from None


def providers() -> Sequence[str]:
    """What may stand before the colon."""
    return (*BUILTIN, *_entries())


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in BUILTIN}


def _given(provider: str, name: str) -> str:
    secret = _entries()[provider].load()(name)
    if not isinstance(secret, str):
        raise TypeError(f"the provider gave a {type(secret).__name__}, not a text")
    return secret


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
