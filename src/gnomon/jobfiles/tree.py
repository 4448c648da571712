"""Values that know where they stand: a `dict` and a `list` with places beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from gnomon.core.errors import Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_VALUES = 200_000
MAX_PROBLEMS = 200

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""

Value: TypeAlias = "Mapping_ | Seq | str | int | float | bool | None"


class Mapping_(dict[str, "Value"]):  # noqa: N801 - `Mapping` is the protocol
    """A mapping: where it starts, and where each key and each value starts."""

    __slots__ = ("key_places", "place", "value_places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.key_places: dict[str, Place] = {}
        self.value_places: dict[str, Place] = {}

    def put(self, key: str, value: Value, key_place: Place, value_place: Place) -> None:
        """Add an entry."""
        self[key] = value
        self.key_places[key] = key_place
        self.value_places[key] = value_place


class Seq(list["Value"]):
    """A list: where it starts, and where each item starts."""

    __slots__ = ("place", "places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []

    def put(self, value: Value, place: Place) -> None:
        """Add an item."""
        self.append(value)
        self.places.append(place)


@dataclass(slots=True)
class Refused(Exception):
    """A text that is no document. `problems` is never empty."""

    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def one(cls, code: str, message: str, place: Place, hint: str = "") -> Refused:
        """A refusal for one reason."""
        return cls([Problem(code, message, "", hint, None, *place)])


def too_many_values(place: Place) -> Refused:
    """The refusal of a file with more than `MAX_VALUES` keys and values."""
    return Refused.one("too_many_values", f"a job file has at most {MAX_VALUES:,} values", place, "split the file")


def too_deep(place: Place) -> Refused:
    """The refusal of a file nested deeper than `MAX_DEPTH`."""
    return Refused.one("too_deep", "values are nested too deeply", place, f"use at most {MAX_DEPTH} levels")


def duplicate_key(key: str, first: Place, second: Place) -> Problem:
    """The problem of a key written twice in one mapping."""
    message = f"the key {shown(key)} is given twice: here and in line {first[0]}"
    return Problem("duplicate_key", message, "", "keep one of them", None, *second)


def shown(value: object) -> str:
    """A value in a message: quoted, and cut when it is long."""
    text = repr(value[:80]) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


class WrittenInt(int):
    """A whole number that is written otherwise than Python would: `0x1F`, `+5`. Its text is as it was written."""

    written: str

    def __repr__(self) -> str:
        return self.written


class WrittenFloat(float):
    """The same for another number: `1.10`, `1e3`."""

    written: str

    def __repr__(self) -> str:
        return self.written


def number_of(value: WrittenInt | WrittenFloat) -> int | float:
    """The number alone."""
    return int(value) if isinstance(value, WrittenInt) else float(value)


def as_written(value: int | float, text: str) -> int | float:
    """The number; where a text is wanted, `str` of it is what was written. JSON of it is JSON of the number."""
    if repr(value) == text:
        return value
    kept = WrittenInt(value) if isinstance(value, int) else WrittenFloat(value)
    kept.written = text
    return kept


def number(text: str, place: Place, written: str | None = None) -> int | float:
    """The number a decimal literal means, as `written`; refused when it fits in no 64-bit integer or float."""
    try:
        if len(text) > 400:
            raise OverflowError
        value: int | float = int(text) if text.lstrip("+-").isdigit() else float(text)
    except (OverflowError, ValueError):
        value = float("inf")
    if value - value == 0 and (isinstance(value, float) or -(2**63) <= value < 2**63):
        return as_written(value, written or text)
    size = f" of {len(text)} characters" if len(text) > 40 else ""
    hint = "quote it if it is a text"
    raise Refused.one("number_too_large", f"the number {shown(text)}{size} is too large", place, hint)
