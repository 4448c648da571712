"""What works and should not be done: secrets written out in a job file."""

from __future__ import annotations

import re

from gnomon.core.secrets import REFERENCE
from gnomon.core.substitution import references_in

from .report import At
from .tree import Mapping_, Seq, Value, shown

_SECRET = re.compile(
    r"(?:.*[_.-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|authorization)", re.IGNORECASE
)
_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)


def warn_of_secrets(value: Value, at: At) -> None:
    """Warn of every text below `value` that is a secret by its name, or the password in a URL. Never shows it."""
    if isinstance(value, Mapping_):
        for key, item in value.items():
            here = at.child(key)
            if isinstance(item, str) and _SECRET.fullmatch(key) and _plain(item):
                _warn(here, f"{shown(key)} holds its secret in plain text")
            else:
                warn_of_secrets(item, here)
    elif isinstance(value, Seq):
        for index, item in enumerate(value):
            warn_of_secrets(item, at.child(index))
    elif isinstance(value, str) and (found := _IN_URL.match(value)) and _plain(found[1]):
        _warn(at, "a URL holds a password in plain text")


def _plain(text: str) -> bool:
    return bool(text) and not REFERENCE.fullmatch(text) and not references_in(text)


def _warn(at: At, what: str) -> None:
    at.warning("secret_in_clear", f"{what}: write a reference, such as env:NAME or file:/run/secrets/NAME")
