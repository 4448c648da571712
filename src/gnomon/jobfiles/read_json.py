"""JSON: judged by the standard library, then read once more with places. Strict: RFC 8259, keys once, no NaN."""

from __future__ import annotations

import json
import re

from gnomon.core.errors import Problem
from gnomon.core.texts import is_whole

from .tree import (
    MAX_DEPTH,
    MAX_PROBLEMS,
    MAX_VALUES,
    Mapping_,
    Place,
    Refused,
    Seq,
    Value,
    duplicate_key,
    number,
    too_deep,
    too_many_values,
)

_TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+)')
_WORDS: dict[str, bool | None] = {"null": None, "true": True, "false": False}


def read(text: str) -> Value:
    """The value of a JSON text.

    Raises:
        Refused: with the place of the first syntax error, or of everything that JSON allows and we do not.
    """
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise Refused.one(
            "json_syntax", error.msg[:1].lower() + error.msg[1:], (error.lineno, error.colno), _HINT
        ) from None
    except _Constant as error:
        at = re.search(rf"(?<![\w\"]){re.escape(str(error))}", text)
        place = _Lines(text).place(at.start() if at else 0)
        raise Refused.one("bad_number", f"{error} is not a number in JSON", place, "quote it, or use null") from None
    return _Scan(text).value()


_HINT = "JSON wants double quotes, commas between entries and none after the last; comments only in YAML and TOML"


class _Constant(Exception):
    pass


def _constant(name: str) -> Value:
    raise _Constant(name)


class _Lines:
    """Line and column of offsets that only grow."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._start, self._seen = 1, 0, 0

    def place(self, offset: int) -> Place:
        newlines = self._text.count("\n", self._seen, offset)
        if newlines:
            self._line += newlines
            self._start = self._text.rfind("\n", self._seen, offset) + 1
        self._seen = offset
        return (self._line, offset - self._start + 1)


class _Scan:
    """Reads a text that is known to be JSON."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = _Lines(text)
        self._at = 0
        self._count = 0
        self._problems: list[Problem] = []

    def value(self) -> Value:
        """The whole text's value."""
        value, _ = self._value(*self._next(), depth=0)
        if self._problems:
            raise Refused(self._problems[:MAX_PROBLEMS])
        return value

    def _next(self) -> tuple[str, Place]:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise Refused.one("json_syntax", "this is not JSON", self._lines.place(self._at), _HINT)
        self._at = found.end()
        return found[1], self._lines.place(found.start(1))

    def _value(self, token: str, place: Place, depth: int) -> tuple[Value, Place]:
        self._count += 1
        if self._count > MAX_VALUES:
            raise too_many_values(place)
        if token in ("{", "[") and depth >= MAX_DEPTH:
            raise too_deep(place)
        if token == "{":
            return self._mapping(place, depth + 1), place
        if token == "[":
            return self._list(place, depth + 1), place
        if token[0] == '"':
            return self._string(token, place), place
        if token in _WORDS:
            return _WORDS[token], place
        try:
            return number(token, place), place
        except Refused as refused:
            self._add(refused.problems[0])
            return None, place

    def _mapping(self, place: Place, depth: int) -> Mapping_:
        answer = Mapping_(place)
        token, key_place = self._next()
        while token != "}":
            key = self._string(token, key_place)
            self._next()  # the colon
            value, value_place = self._value(*self._next(), depth)
            if key in answer:
                self._add(duplicate_key(key, answer.key_places[key], key_place))
            else:
                answer.put(key, value, key_place, value_place)
            token, key_place = self._next()
            if token == ",":
                token, key_place = self._next()
        return answer

    def _list(self, place: Place, depth: int) -> Seq:
        answer = Seq(place)
        token, item_place = self._next()
        while token != "]":
            answer.put(*self._value(token, item_place, depth))
            token, item_place = self._next()
            if token == ",":
                token, item_place = self._next()
        return answer

    def _string(self, token: str, place: Place) -> str:
        text = str(json.loads(token)) if "\\" in token else token[1:-1]
        if "\x00" in text or not is_whole(text):
            problem = Problem("control_character", "a text holds a NUL or half a surrogate pair", "", "", None, *place)
            self._add(problem)
            return ""
        return text

    def _add(self, problem: Problem) -> None:
        self._problems.append(problem)
        if len(self._problems) > MAX_PROBLEMS:
            raise Refused(self._problems[:MAX_PROBLEMS])
