"""YAML, event by event: no aliases, no anchors, no tags, scalars as YAML 1.2 reads them.

Differences from what many tools do with YAML 1.1: `on`, `off`, `yes`, `no` are strings; `12:30` is a string (no
sexagesimal numbers); `0123` is a string (neither octal nor 123); dates and times are strings.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

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
    shown,
    too_deep,
    too_many_values,
)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?(?:(?<=[0-9])|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", re.ASCII)
_BASED = re.compile(r"0o[0-7]{1,22}|0x[0-9a-fA-F]{1,16}", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)


def read(text: str) -> Value:
    """The one document of a YAML text.

    Raises:
        Refused: with a place for everything found up to the first syntax error.
    """
    builder = _Builder()
    loader = None
    try:
        loader = _Loader(text)
        while loader.check_event():
            builder.take(loader.get_event())
    except Refused as refused:
        builder.problems.extend(refused.problems)
    except yaml.YAMLError as error:
        builder.problems.append(_syntax(error, text))
    finally:
        if loader is not None:
            loader.dispose()
    if builder.problems:
        raise Refused(builder.problems[:MAX_PROBLEMS])
    if builder.root is None:
        raise Refused.one("empty_file", "the file holds no values", (1, 1), "write a job, or delete the file")
    return builder.root


def is_plain_text(text: str) -> bool:
    """Whether an unquoted scalar is read as this text (and not as a number, true, false or null)."""
    number_like = _NUMBER.fullmatch(text) or _BASED.fullmatch(text) or _NOT_FINITE.fullmatch(text)
    return text not in _WORDS and not number_like


class _Builder:
    """Takes events, keeps a stack of open collections; `keys` holds the key each open mapping waits for."""

    def __init__(self) -> None:
        self.root: Value = None
        self.problems: list[Problem] = []
        self._open: list[Mapping_ | Seq] = []
        self._keys: list[tuple[str, Place] | None] = []
        self._values = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Act on one event."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            place = self._checked(event)
            if len(self._open) >= MAX_DEPTH:
                raise too_deep(place)
            if self._wants_key():
                raise Refused.one("bad_key", "a key must be a plain text, not a list or mapping", place)
            self._open.append(Mapping_(place) if kind is yaml.MappingStartEvent else Seq(place))
            self._keys.append(None)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            done = self._open.pop()
            self._keys.pop()
            self._put(done, done.place)
        elif kind is yaml.AliasEvent:
            self._problem("yaml_alias", f"aliases (*{event.anchor}) are not read", _place(event.start_mark), _DEFAULTS)
            self._alias(_place(event.start_mark))
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                place = _place(event.start_mark)
                raise Refused.one("several_documents", "a job file is one YAML document", place, "list jobs in `jobs:`")

    def _scalar(self, event: Any) -> None:
        place = self._checked(event)
        if "\x00" in event.value or not is_whole(event.value):
            self._problem("control_character", "a text holds a NUL or half a surrogate pair", place, "leave it out")
        if self._wants_key():
            self._keys[-1] = (event.value, place)
            return
        self._put(self._resolved(event, place), place)

    def _resolved(self, event: Any, place: Place) -> Value:
        text: str = event.value
        if event.style:  # quoted or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        first = text[0]
        if not (first.isdigit() or first in "+-."):
            return text
        try:
            if _NUMBER.fullmatch(text):
                return number(text, place)
            if _BASED.fullmatch(text):
                return number(str(int(text, 0)), place, text)
        except Refused as refused:
            self.problems.extend(refused.problems)
        if _NOT_FINITE.fullmatch(text):
            self._problem("bad_number", f"{text} is not a number here", place, "quote it if it is a text")
        return text

    def _checked(self, event: Any) -> Place:
        """Count the value, refuse tags and anchors."""
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1)
        self._values += 1
        if self._values > MAX_VALUES:
            raise too_many_values(place)
        if event.tag is not None:
            self._problem("yaml_tag", f"tags are not read, here {shown(event.tag)}", place, "leave the tag out")
        if event.anchor is not None:
            self._problem("yaml_alias", f"anchors (&{event.anchor}) are not read", place, _DEFAULTS)
        return place

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], Mapping_) and self._keys[-1] is None

    def _alias(self, place: Place) -> None:
        if self._wants_key():
            raise Refused.one("bad_key", "a key must be a plain text, not an alias", place)
        self._put(None, place)

    def _put(self, value: Value, place: Place) -> None:
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if isinstance(parent, Seq):
            parent.put(value, place)
            return
        entry = self._keys[-1]
        self._keys[-1] = None
        assert entry is not None  # events come in pairs
        key, key_place = entry
        if key in parent:
            self._add(duplicate_key(key, parent.key_places[key], key_place))
        else:
            parent.put(key, value, key_place, place)

    def _problem(self, code: str, message: str, place: Place, hint: str) -> None:
        self._add(Problem(code, message, "", hint, None, *place))

    def _add(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) > MAX_PROBLEMS:
            raise Refused([])


_DEFAULTS = "repeat the value, or put it into `defaults:`"


def _place(mark: Any) -> Place:
    return (mark.line + 1, mark.column + 1)


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    context = getattr(error, "context", None)
    message = f"{context}: {said}" if isinstance(context, str) and context else str(said)
    place = _place(mark) if mark is not None else (1, 1)
    if isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        place = (text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position))
        return Problem("control_character", "the file holds a control character", "", "is it a text?", None, *place)
    hint = "indent with spaces, not tabs" if "\\t" in message or "tab character" in message else _HINT
    return Problem("yaml_syntax", message, "", hint, None, *place)


_HINT = "check indentation, brackets and quotes; quote texts that hold `: ` or start with one of [ ] { } * & ! % @ `"
