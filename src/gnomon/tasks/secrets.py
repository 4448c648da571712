"""Looking secrets up, on the worker, and striking them out of everything that leaves it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gnomon.core.secrets import BUILTIN, replace_references
from gnomon.core.values import Json, JsonObject


class Vault:
    """The secrets of one attempt."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def fill(self, arguments: JsonObject, keys: Sequence[str]) -> dict[str, Json]:
        """The arguments with every reference below `keys` replaced by its secret.

        Raises:
            LookupError: its text says which reference, where, and why.
        """
        return replace_references(arguments, keys, self._look_up, BUILTIN)

    def strike(self, value: Json) -> Json:
        """`value` without the secrets."""
        if isinstance(value, str):
            for secret in self._values:
                value = value.replace(secret, "***")
        return value

    def _look_up(self, key: str, reference: str) -> str:
        provider, _, name = reference.partition(":")
        if provider == "literal":
            return name
        try:
            secret = os.environ[name] if provider == "env" else _read(name)
        except (KeyError, OSError) as error:
            raise LookupError(f"{key}: {reference} is not there: {error}") from None
        self._values.append(secret)
        return secret


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\r\n")
