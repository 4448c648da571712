"""What errors have in common: two that differ in numbers, ids and spaces only are of one kind."""

from __future__ import annotations

import re

from .attempts import Failure
from .handover import words
from .values import digest

LENGTH = 12
_LOOKED_AT = 500
_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8}[0-9a-f-]*\b|[0-9]+(?:[.:][0-9]+)*")
_BLANKS = re.compile(r"\s+")


def signature(error: Failure) -> str:
    """A short text, the same for errors of one kind: same code, same message but for what varies."""
    return digest([words(error.code), kind_of(error.message)])[:LENGTH]


def kind_of(message: str) -> str:
    """A message with `#` for every number, address and id; of a long one its beginning."""
    text = message[:_LOOKED_AT].lower().encode("utf-8", "replace").decode()  # undecodable bytes are all the same
    return _BLANKS.sub(" ", _NUMBERS.sub("#", text)).strip()
