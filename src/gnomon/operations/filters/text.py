"""The text of a filter, cut into terms: `key:value,value`, `-key:value`, words; quotes keep what belongs together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gnomon.core.errors import Problem, UsageError

LONGEST = 2000
MOST_TERMS = 50
_BLANK = " \t\r\n"
_KEY = re.compile(r"-?([A-Za-z_]+):")
_SPECIAL = re.compile(r'[\s",\\]')
_HINT = 'write `key:value` or words, with a blank between them; "…" around what has blanks'


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `key` "": words of an id.

    Attributes:
        values: what stands between the commas.
        column: where it begins, from 1; 0: it came as an option.
        place: what to call it in an error.
    """

    key: str
    values: tuple[str, ...]
    negated: bool = False
    column: int = 0
    place: str = ""


def split(text: str) -> list[Term]:
    """The terms of a text, in their order.

    Raises:
        UsageError: `filter_invalid`: too long, a quote that is not closed, characters nobody can type.
    """
    if len(text) > LONGEST:
        raise invalid(f"the filter has {len(text)} characters; at most {LONGEST} are read", LONGEST + 1)
    terms: list[Term] = []
    at = 0
    while at < len(text):
        if text[at] in _BLANK:
            at += 1
            continue
        term, at = _term(text, at)
        terms.append(term)
        if len(terms) > MOST_TERMS:
            raise invalid(f"the filter has more than {MOST_TERMS} conditions", term.column)
    return terms


def quoted(value: str, *, word: bool = False) -> str:
    """A value as it is written in a filter. `word`: one that stands alone, without a key."""
    plain = value and not _SPECIAL.search(value) and not any(_unseen(c) for c in value)
    if plain and not (word and (value.startswith("-") or _KEY.match(value))):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def invalid(message: str, column: int, key: str = "", hint: str = _HINT) -> UsageError:
    """A text that is no filter."""
    place = f" (at character {column})" if column else ""
    return UsageError(Problem("filter_invalid", message + place, key, hint, column=column or None))


def _term(text: str, begin: int) -> tuple[Term, int]:
    """The term that begins there, and where it ends."""
    found = _KEY.match(text, begin)
    negated = text[begin] == "-"
    at = found.end() if found else begin + negated
    values, at = _values(text, at, begin + 1)
    key = found[1].lower() if found else ""
    if not any(values):
        raise invalid(f"{key}: has no value" if key else "there is a word without letters", begin + 1, key)
    return Term(key, tuple(value for value in values if value), negated, begin + 1, key), at


def _values(text: str, at: int, column: int) -> tuple[list[str], int]:
    """What stands between commas up to the next blank; in quotes neither counts."""
    values, current, quotes = [], "", False
    while at < len(text):
        char = text[at]
        if char == "\\" and quotes and text[at + 1 : at + 2] in ('"', "\\"):
            at += 1
            current += text[at]
        elif char == '"':
            quotes = not quotes
        elif not quotes and char in _BLANK:
            break
        elif not quotes and char == ",":
            values.append(current)
            current = ""
        elif _unseen(char) and not (quotes and char in _BLANK):
            raise invalid(f"the filter has the character U+{ord(char):04X}, which nobody can see", at + 1)
        else:
            current += char
        at += 1
    if quotes:
        raise invalid("a quote is opened and not closed", column)
    return [*values, current], at


def _unseen(char: str) -> bool:
    """Control characters, and halves of characters (undecodable bytes of a command line)."""
    return char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff"
