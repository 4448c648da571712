"""Values that user code may hand over, the worst of them. Each is made when it is needed: looking at some raises."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

METHODS = (
    *("__str__", "__repr__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__len__"),
    *("__iter__", "__bool__", "__int__", "__float__", "__index__", "__format__", "__getitem__", "__contains__"),
    *("__and__", "__add__", "items", "keys", "values", "get", "encode", "isascii", "replace", "strip"),
)


def trap(*args: object) -> Any:
    """Stands for every method of a hostile value."""
    raise AssertionError("a method of the value was called")


def hostile(base: type, *args: Any) -> Any:
    """A value of a subclass of which every method raises."""
    return type(f"Hostile_{base.__name__}", (base,), dict.fromkeys(METHODS, trap))(*args)


class Liar:
    """Says that it is a map, and raises whatever is asked."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return dict
        return trap()


class _Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        return trap()


class Untold(metaclass=_Meta):
    """A type that does not even tell its name."""


def nested(depth: int) -> object:
    """Lists and maps in turn, so many levels of them."""
    value: object = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def endless() -> object:
    """A list that holds itself."""
    value: list[object] = []
    value.append(value)
    return value


def laughing() -> object:
    """Little memory, 10**30 values."""
    value: object = "ha"
    for _ in range(30):
        value = [value] * 10
    return value


KEPT: dict[str, Callable[[], object]] = {
    "null": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "negative": lambda: -(2**70),
    "long": lambda: 10**599,
    "real": lambda: 1.5,
    "text": lambda: "ü\0\u2028\U0001f600",
    "empty": dict,
    "mixed keys": lambda: {1: 2, None: 3, False: 4, 1.5: 5},
    "tuple": lambda: (1, "b"),
    "hostile text": lambda: hostile(str, "x"),
    "hostile number": lambda: hostile(int, 3),
    "hostile real": lambda: hostile(float, 1.5),
    "hostile list": lambda: hostile(list, [1]),
    "hostile tuple": lambda: hostile(tuple, (1,)),
    "hostile map": lambda: hostile(dict, {"a": 1}),
    "as deep as is kept": lambda: nested(100),
    "as large as is kept": lambda: "x" * 65_534,
}
"""What is JSON, or built on it."""

UNKEPT: dict[str, Callable[[], object]] = {
    "infinity": lambda: float("inf"),
    "infinity inside": lambda: {"x": [-1e400]},
    "no number": lambda: float("nan"),
    "half a character": lambda: "\ud800",
    "half a character in a key": lambda: {"\udce9": 1},
    "too deep": lambda: nested(101),
    "deep": lambda: nested(980),
    "deeper": lambda: nested(50_000),
    "endless": endless,
    "laughing": laughing,
    "too long": lambda: 10**600,
    "longer": lambda: -(10**5000),
    "set": lambda: {1, 2},
    "bytes": lambda: b"bytes",
    "decimal": lambda: [Decimal(1)],
    "date": lambda: date(2030, 1, 1),
    "instant": lambda: datetime(2030, 1, 1, tzinfo=UTC),
    "user's map": lambda: UserDict(a=1),
    "key of a map": lambda: {(1, 2): 3},
    "object": object,
    "type": lambda: int,
    "generator": lambda: (n for n in (1, 2)),
    "exception": lambda: ValueError("x"),
    "liar": Liar,
    "untold": lambda: Untold,
    "too large": lambda: "x" * 65_535,
    "too large in bytes": lambda: ["é" * 40_000],
    "too many": lambda: [0] * 1_000_000,
}
"""What is none, or more of it than is kept."""

ANYTHING = {**KEPT, **UNKEPT}


def made(what: str) -> object:
    """The value called so; `random:N` is one made of several, the same for the same N."""
    kind, _, number = what.partition(":")
    return _random(Random(int(number)), 3) if kind == "random" else ANYTHING[what]()


def _random(chance: Random, levels: int) -> object:
    if not levels or chance.random() < 0.4:
        return ANYTHING[chance.choice(list(ANYTHING))]()
    parts = [_random(chance, levels - 1) for _ in range(chance.randint(0, 4))]
    kind = chance.choice([list, tuple, dict, set])
    if kind is set:
        return {id(part) for part in parts}
    if kind is dict:
        keys = [chance.choice(["a", "\udc80", 3, None, 1.5, "x" * 1000, (1,)]) for _ in parts]
        given: object = dict(zip(keys, parts, strict=True))
    else:
        given = kind(parts)
    return hostile(kind, given) if chance.random() < 0.3 else given
