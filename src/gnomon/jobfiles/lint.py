"""What works and should not be done: secrets written out in a job file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gnomon.core.secrets import REFERENCE
from gnomon.core.substitution import references_in

from .report import At
from .tree import Value, shown

_SECRET = re.compile(
    r"(?:.*[_.-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|authorization)", re.IGNORECASE
)
_ADVICE = "write a reference, such as env:NAME or file:/run/secrets/NAME"
_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)


def warn_of_secrets(value: Value, at: At) -> None:
    """Warn of every text below `value` that is a secret by its name, or the password in a URL. Never shows it."""
    for path, what in secrets_in_clear(value):
        here = at
        for key in path:
            here = here.child(key)
        here.warning("secret_in_clear", what)


def secrets_in_clear(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where below `value` (JSON) a secret stands in plain text, and what to say of it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and _SECRET.fullmatch(key) and _plain(item):
                yield (*path, key), f"{shown(key)} holds its secret in plain text: {_ADVICE}"
            else:
                yield from secrets_in_clear(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from secrets_in_clear(item, (*path, index))
    elif isinstance(value, str) and (found := _IN_URL.match(value)) and _plain(found[1]):
        yield path, f"a URL holds a password in plain text: {_ADVICE}"


def _plain(text: str) -> bool:
    return bool(text) and not REFERENCE.fullmatch(text) and not references_in(text)
