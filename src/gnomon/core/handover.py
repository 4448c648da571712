"""The gate for values that user code hands over: what comes out is plain, bounded, and can be written anywhere.

Nothing of a value's own is ever called: a subclass of `int`, `str`, `list` or `dict` is read as what it is built on,
and everything else is no value. So it is safe in any process, and what it gives is safe in all of them.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from typing import Any

from .values import Json

RESULT_LIMIT = 64 * 1024
"""Bytes of JSON."""
DEEPEST = 100
"""Lists and maps inside each other. Far below what JSON, SQLite's JSON functions and other languages' readers take."""
MOST_DIGITS = 600
"""Of an integer. Python can be told to read no more than 640."""
CODE_LIMIT = 200
MESSAGE_LIMIT = 4_000

_MODULE: Any = type.__dict__["__module__"].__get__
_NAME: Any = type.__dict__["__qualname__"].__get__
_NO_CODE = re.compile(r"[^\w.:-]+")
_LARGEST = 10**MOST_DIGITS
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_LARGEST_REAL = 10**300
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 3
_BRIEF.maxdict = _BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxset = _BRIEF.maxfrozenset = _BRIEF.maxdeque = 30
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = MESSAGE_LIMIT


class Unkept(ValueError):
    """A value that cannot be kept: says why, to people."""


def kept(value: object, limit: int = RESULT_LIMIT) -> Json:
    """A plain copy of a JSON value: exact types, finite numbers, whole characters.

    Raises:
        Unkept: it is no JSON, too deep, or more than `limit` bytes of it.
    """
    return kept_text(value, limit)[0]


def kept_text(value: object, limit: int = RESULT_LIMIT) -> tuple[Json, str]:
    """`kept`, and its JSON text.

    Raises:
        Unkept: see `kept`.
    """
    if type(value) is Unkept:  # found out before
        raise value
    if value is None:
        return None, "null"
    room = _Room(limit)
    try:
        plain = _copy(value, room, DEEPEST)
        text = _ENCODE(plain)
    except Unkept as why:
        raise Unkept(f"the result, of type {type_name(value)}, {why}") from None
    except Exception as error:  # it changes while it is read, the stack or the memory is short
        raise Unkept(f"the result, of type {type_name(value)}, cannot be read: {type_name(error)}") from None
    size = len(text.encode())
    if size > limit:
        raise Unkept(f"the result, of type {type_name(value)}, is {size} bytes, {_too_much(limit)}")
    return plain, text


def parsed(data: bytes, limit: int = RESULT_LIMIT) -> Json:
    """The value of JSON text that was written to a file; nothing but blanks is None.

    Raises:
        Unkept: it is no JSON, or see `kept`.
    """
    if not data.strip():
        return None
    if len(data) > limit:
        raise Unkept(f"the result is longer than {limit} bytes: write it to a file of your own and give its path")
    try:
        value = json.loads(data)
    except RecursionError:
        raise Unkept(f"the result is nested more than {DEEPEST} deep") from None
    except ValueError as error:
        raise Unkept(f"the result is no JSON ({words(str(error), 200)})") from None
    return kept(value, limit)


def code_of(said: object) -> str:
    """An error code of 1 to 200 letters, digits, `_`, `.`, `:` and `-`, whatever was given as one."""
    if issubclass(type(said), str):
        text = str.__str__(said)
    else:
        number = whole(said, -_LARGEST, _LARGEST)
        text = "" if number is None else str(number)
    return _NO_CODE.sub("_", text[: 2 * CODE_LIMIT])[:CODE_LIMIT] or "failed"


def words(said: object, limit: int = MESSAGE_LIMIT) -> str:
    """A message of at most `limit` characters; what is no character of a text is spelt out. Of no text: nothing."""
    if not issubclass(type(said), str):
        return ""
    text = str.__str__(said)[: limit + 1]
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    text = text.replace("\0", "\\x00")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def whole(said: Any, least: int, most: int) -> int | None:
    """An integer within these bounds, or None."""
    if type(said) is bool or not issubclass(type(said), int):
        return None
    number = int.__int__(said)
    return number if least <= number <= most else None


def real(said: Any) -> float | None:
    """A finite number, or None."""
    if issubclass(type(said), float):
        number = float.__float__(said)
        return number if math.isfinite(number) else None
    counted = whole(said, -_LARGEST_REAL, _LARGEST_REAL)
    return None if counted is None else float(counted)


def type_name(value: object) -> str:
    """What the type of a value is called, without asking the value or its type."""
    kind = type(value)
    module, name = _MODULE(kind), _NAME(kind)
    where = "" if type(module) is not str or module == "builtins" else f"{module}."
    return words(where + str.__str__(name), CODE_LIMIT)


def said_by(error: BaseException, limit: int = MESSAGE_LIMIT) -> str:
    """What an exception says, as much of it as is kept: the one place where something of a value is called.

    An exception that only holds a value does not write all of it down: that may take for ever.
    """
    try:
        if not only_holds(error):
            return words(str(error), limit) or words(repr(error), limit)
        held = error.args
        text = len(held) == 1 and issubclass(type(held[0]), str) and type(error).__str__ is BaseException.__str__
        if text and str.__len__(held[0]):
            return words(held[0], limit)
        return words(_BRIEF.repr(held[0] if len(held) == 1 else held), limit) if held else f"{error_name(error)}()"
    except BaseException:
        return f"{error_name(error)} (its message can not be had)"


def only_holds(error: BaseException) -> bool:
    """Whether what it says is what it was made with, spelt out by Python."""
    return type(error).__str__ in (BaseException.__str__, KeyError.__str__)


def error_name(error: BaseException) -> str:
    """The name of its class."""
    return type_name(error).rpartition(".")[2]


class _Room:
    """What is left of the bytes that a value may have, about."""

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Unkept(f"is {_too_much(self.limit)}")


def _too_much(limit: int) -> str:
    return f"more than the {limit} bytes of JSON that are kept: write it to a file and give its path"


def _copy(value: Any, room: _Room, levels: int) -> Json:
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]
    room.take(1)
    if issubclass(kind, str):
        return _text(value, room)
    if issubclass(kind, int):
        number = int.__int__(value)
        if not -_LARGEST < number < _LARGEST:
            raise Unkept(f"has a number of more than {MOST_DIGITS} digits")
        return number
    if issubclass(kind, float):
        real = float.__float__(value)
        if not math.isfinite(real):
            raise Unkept(f"is not JSON: {real!r} is no number there")
        return real
    if not issubclass(kind, (dict, list, tuple)):
        raise Unkept(f"is not JSON: a value of type {type_name(value)} is in it" if levels < DEEPEST else "is not JSON")
    if levels == 0:
        raise Unkept(f"is nested more than {DEEPEST} deep")
    if issubclass(kind, dict):
        return {_key(key, room): _copy(item, room, levels - 1) for key, item in dict.items(value)}
    items = list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value)
    return [_copy(item, room, levels - 1) for item in items]


def _text(value: str, room: _Room) -> str:
    room.take(str.__len__(value))
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unkept("is not JSON: half a character (a lone surrogate) is in it") from None
    return text


def _key(key: Any, room: _Room) -> str:
    """The name of an entry, as JSON has it: numbers, truth values and null are spelt out."""
    plain = _copy(key, room, 0) if not issubclass(type(key), (dict, list, tuple)) else key
    if type(plain) is str:
        return plain
    if plain is None or type(plain) in (bool, int, float):
        return json.dumps(plain)
    raise Unkept(f"is not JSON: a key of type {type_name(key)} is in it")
