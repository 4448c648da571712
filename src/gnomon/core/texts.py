"""Texts that UTF-8 can carry, and those that it cannot: with half a character (a lone surrogate) in them.

Bytes of names and arguments that are not UTF-8 come from the system as such halves (PEP 383); JSON writes `"\\ud800"`.
"""

from __future__ import annotations

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
