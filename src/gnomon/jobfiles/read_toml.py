"""TOML: read by the standard library; places of keys by a scan of the tokens, values stand where their key does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time

from .tree import MAX_DEPTH, MAX_VALUES, Mapping_, Place, Refused, Seq, Value, as_written, too_deep, too_many_values

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|\n|[\[\]{}=,.]|[^\s\[\]{}=,.#"\']+',
    re.DOTALL,
)
_TABLE = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_ENTRY = re.compile(r"\s*([^=\"'\[\]{},#]+|\s*(?:\"[^\"]*\"|'[^']*'))\s*=")
_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[^.]+")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read(text: str) -> Value:
    """The table of a TOML text.

    Raises:
        Refused: with the place of the first mistake.
    """
    text = text.replace("\r\n", "\n")
    _refuse_hostile(text)
    try:
        table = tomllib.loads(text, parse_float=_float)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(str(error), text) from None
    except ValueError:
        raise Refused.one("number_too_large", "the file holds a number that is too large", (1, 1)) from None
    if not table:
        raise Refused.one("empty_file", "the file holds no values", (1, 1), "write a job, or delete the file")
    return _converted(table, (1, 1), _places(text), (), 0)


def _float(text: str) -> int | float:
    return as_written(float(text), text)


def _syntax(said: str, text: str) -> Refused:
    at = _AT.search(said)
    last = (text.count("\n") + 1, 1)
    place = (int(at[1]), int(at[2])) if at and at[1] else last
    message = _AT.sub("", said)
    return Refused.one("toml_syntax", message[:1].lower() + message[1:], place, "quote texts, and give each key once")


def _refuse_hostile(text: str) -> None:
    """Refuse what costs the parser more than linear time: long dotted keys, deep brackets; and too many values."""
    dots = opened = 0
    for count, (line, token) in enumerate(_tokens(text)):
        if token == ".":
            dots += 1
        elif token in ("[", "{"):
            opened += 1
        elif token in ("]", "}"):
            opened = max(opened - 1, 0)
        if token in ("\n", "=", ",", "[", "{"):
            dots = 0
        if dots > MAX_DEPTH or opened > MAX_DEPTH + 2:
            raise too_deep((line, 1))
        if 2 * count > 3 * MAX_VALUES:
            raise too_many_values((line, 1))


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """(line, token) of each token, comments left out."""
    line = 1
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token[0] != "#":
            yield line, token
        line += token.count("\n")


Path_ = tuple[str | int, ...]


def _places(text: str) -> dict[Path_, Place]:
    """Where keys and tables stand, best effort: headers, `key =` lines and keys of inline tables on those lines."""
    places: dict[Path_, Place] = {}
    counts: dict[Path_, int] = {}
    header: Path_ = ()
    depth = 0  # of brackets in values
    for number, line in _statements(text):
        place = (number, len(line) - len(line.lstrip()) + 1)
        table = _TABLE.match(line) if depth == 0 else None
        if table:
            header = _header(_key(table[2]), table[1] == "[[", counts)
            places.setdefault(header, place)
            continue
        entry = _ENTRY.match(line) if depth == 0 else None
        if entry:
            keys = _key(entry[1])
            for end in range(1, len(keys) + 1):
                places.setdefault(header + keys[:end], place)
        if depth or "[" in line or "{" in line:
            depth = max(0, depth + _balance(line))
    return places


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(line number, line), with what multi-line strings hold left out."""
    flat = _TOKEN.sub(lambda found: '""' + "\n" * found[0].count("\n") if found[0][:3] in _LONG else found[0], text)
    yield from enumerate(flat.split("\n"), 1)


_LONG = ('"""', "'''")


def _balance(line: str) -> int:
    tokens = [found[0] for found in _TOKEN.finditer(line)]
    return sum((token in ("[", "{")) - (token in ("]", "}")) for token in tokens)


def _key(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in _PART.findall(text))


def _header(keys: tuple[str, ...], listed: bool, counts: dict[Path_, int]) -> Path_:
    """The path a header names: the last entry of each array of tables on the way."""
    path: Path_ = ()
    for position, key in enumerate(keys):
        path += (key,)
        if listed and position == len(keys) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


def _converted(value: object, place: Place, places: dict[Path_, Place], path: Path_, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise too_deep(place)
    if isinstance(value, dict):
        table = Mapping_(place)
        for key, item in value.items():
            here = places.get((*path, key), place)
            table.put(key, _converted(item, here, places, (*path, key), depth + 1), here, here)
        return table
    if isinstance(value, list):
        answer = Seq(place)
        for index, item in enumerate(value):
            here = places.get((*path, index), place)
            answer.put(_converted(item, here, places, (*path, index), depth + 1), here)
        return answer
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return _scalar(value, place)


def _scalar(value: object, place: Place) -> Value:
    if isinstance(value, str):
        if "\x00" in value:
            raise Refused.one("control_character", "a text holds a NUL character", place)
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise Refused.one("number_too_large", "a number is too large", place, "quote it if it is a text")
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    raise Refused.one("bad_number", f"{value} is not a number here", place, "quote it if it is a text")
