"""What works and may not be meant: secrets written out in a job file, numbers that may be texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from gnomon.core.secrets import REFERENCE, is_reference
from gnomon.core.substitution import references_in

from .report import At
from .tree import Value, WrittenFloat, WrittenInt, number_of, shown

_SECRET = re.compile(
    r"(?:.*[_.-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|authorization)", re.IGNORECASE
)
_ADVICE = "write a reference, such as env:NAME or file:/run/secrets/NAME"
_NEARLY = re.compile(r"\s*(env|file)\s*:(?!//)\s*([\w./~-]{1,200})\s*", re.IGNORECASE | re.ASCII)
Path: TypeAlias = tuple[str | int, ...]
_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)


def warn_of_secrets(value: Value, at: At) -> None:
    """Warn of every text below `value` that is a secret by its name, the password in a URL, or nearly a reference."""
    for path, code, what in doubts_about_secrets(value):
        here = at
        for key in path:
            here = here.child(key)
        here.warning(code, what)


def warn_of_numbers(value: Value, at: At) -> None:
    """Warn of every number below `value` that is kept as the number alone, where its type is not asked yet."""
    items: Iterable[tuple[str | int, Value]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        if isinstance(item, (WrittenInt, WrittenFloat)):
            at.child(key).warning("number_rewritten", f"{item} is kept as {number_of(item)}: quote it if it is a text")
        else:
            warn_of_numbers(item, at.child(key))


def doubts_about_secrets(value: object, path: Path = ()) -> Iterator[tuple[Path, str, str]]:
    """Where below `value` (JSON) a secret stands in clear, or nearly a reference; code and text. Never shows it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and _SECRET.fullmatch(key) and _plain(item) and not _NEARLY.fullmatch(item):
                yield (*path, key), "secret_in_clear", f"{shown(key)} holds its secret in plain text: {_ADVICE}"
            else:
                yield from doubts_about_secrets(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from doubts_about_secrets(item, (*path, index))
    elif isinstance(value, str) and (found := _IN_URL.match(value)) and _plain(found[1]):
        yield path, "secret_in_clear", f"a URL holds a password in plain text: {_ADVICE}"
    elif isinstance(value, str) and (found := _NEARLY.fullmatch(value)) and not is_reference(value):
        form = "env:NAME" if found[1].lower() == "env" else "file:/absolute/path"
        yield path, "no_reference", f"{shown(value)} is a plain text: a reference to a secret is {form}"


def _plain(text: str) -> bool:
    return bool(text) and not REFERENCE.fullmatch(text) and not references_in(text)
