"""Texts that UTF-8 can carry, and those that it cannot: with half a character (a lone surrogate) in them.

Bytes of names and arguments that are not UTF-8 come from the system as such halves (PEP 383); JSON writes `"\\ud800"`.
"""

from __future__ import annotations

import json

from .errors import Problem, usage

HALF = "holds half a character (bytes that are not UTF-8, or a lone surrogate)"


def is_whole(text: str) -> bool:
    """Whether there is no half character in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """The text with every half character written as an escape: a byte as `\\xe9`, other halves as `\\ud800`."""
    if is_whole(text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


def judge_whole(text: str, what: str, key: str = "") -> None:
    """Refuse a text with half a character.

    Raises:
        UsageError: naming `what` it is, and the text readably.
    """
    if not is_whole(text):
        raise usage("half_character", f"{what} '{readable(text)[:200]}' {HALF}", key=key, hint=HINT)


HINT = "write it in UTF-8; rename a file or directory that is called so"


def half_character(error: UnicodeEncodeError) -> Problem:
    """The problem of a text that turned out not to be whole where it was to be kept or sent."""
    return Problem("half_character", f"'{readable(str(error.object))[:200]}' {HALF}", hint=HINT)


def json_text(value: object, encoding: str = "utf-8", indent: int | None = None, *, allow_nan: bool = True) -> str:
    """JSON that `encoding` can carry: as people read it, or, where a character cannot be written, all in ASCII."""
    separators = (",", ":") if indent is None else None
    for ascii_only in (False, True):
        text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=allow_nan, indent=indent, separators=separators)
        try:
            text.encode(encoding)
            break
        except (UnicodeEncodeError, LookupError):
            pass
    return text


def json_bytes(value: object) -> bytes:
    """JSON in UTF-8, which every reader takes; half a character is an escape."""
    return json_text(value, allow_nan=False).encode()
