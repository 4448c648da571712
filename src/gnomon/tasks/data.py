"""What `sql` and `mongo` share: judging arguments, keeping a bounded part of what a database gives, quiet messages."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from gnomon.core.errors import Problem, UsageError
from gnomon.core.secrets import is_reference
from gnomon.core.substitution import references_in
from gnomon.core.values import Json, JsonObject

from .performing import TaskFailed

MAX_BYTES = 60_000
"""JSON of rows that is kept: a result may have 64 KiB in all."""

CONNECT_S = 10
Judge = Callable[[Json, str], Json]


class Judging:
    """Takes arguments one by one into canonical form, and collects what is wrong with them.

    Args:
        filled: whether references are filled already; then `${` is a text like any other.
    """

    def __init__(self, arguments: JsonObject, type_name: str, *, filled: bool) -> None:
        self.arguments, self.type_name, self.filled = arguments, type_name, filled
        self.problems: list[Problem] = []
        self.canonical: dict[str, Json] = {}

    def problem(self, code: str, message: str, key: str, hint: str = "") -> None:
        """One more."""
        self.problems.append(Problem(code, message, key, hint))

    def known(self, keys: Sequence[str], given: JsonObject | None = None, prefix: str = "") -> None:
        """A problem for each key there is not, naming the nearest."""
        for key in self.arguments if given is None else given:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(keys)}"
                where = f"`{prefix[:-1]}` of a task" if prefix else "a task"
                self.problem("unknown_key", f"{where} of type {self.type_name} has no {key!r}", prefix + key, hint)

    def take(self, key: str, judge: Judge) -> None:
        """The argument, judged, if it is given."""
        if self.arguments.get(key) is not None:
            self.canonical[key] = self.open(self.arguments[key], key, judge)

    def open(self, value: Json, key: str, judge: Judge) -> Json:
        """`value` as it is while there are references in it to be filled; else judged."""
        return value if self.has_reference(value) else judge(value, key)

    def has_reference(self, value: Json) -> bool:
        """Whether `value` is a text that will be filled per run."""
        return not self.filled and isinstance(value, str) and bool(references_in(value))

    def text(self, value: Json, key: str) -> Json:
        """A text that says something."""
        if not isinstance(value, str):
            self.problem("bad_type", f"expected a text, not {value!r:.60}", key)
        elif not value.strip() or "\0" in value:
            self.problem("bad_value", "is blank" if not value.strip() else "holds a NUL character", key)
        return value

    def mapping(self, value: Json, key: str) -> Json:
        """A map of names to values."""
        if not isinstance(value, Mapping):
            self.problem("bad_type", f"expected a map of names to values, not {value!r:.60}", key)
        return value

    def flag(self, value: Json, key: str) -> Json:
        """true or false."""
        if not isinstance(value, bool):
            self.problem("bad_type", f"expected true or false, not {value!r:.60}", key)
        return value

    def count(self, least: int, most: int) -> Judge:
        """A whole number in a range."""

        def judge(value: Json, key: str) -> Json:
            if isinstance(value, str) and self.filled and value.strip().isdecimal():
                value = int(value)  # a parameter that came from a command line
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                text = f"{value!r:.60}: expected a whole number, {least} to {most}"
                self.problem("bad_value", text, key)
            return value

        return judge

    def word(self, words: Sequence[str]) -> Judge:
        """One of `words`, in any case."""

        def judge(value: Json, key: str) -> Json:
            folded = value.strip().lower() if isinstance(value, str) else ""
            if folded not in words:
                near = difflib.get_close_matches(folded, words, n=1)
                hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(words)}"
                self.problem("unknown_value", f"{value!r:.60} is no {key.rsplit('.')[-1]}", key, hint)
            return folded

        return judge

    def done(self) -> dict[str, Json]:
        """The canonical arguments.

        Raises:
            UsageError: all that was wrong.
        """
        if self.problems:
            raise UsageError(*self.problems)
        return self.canonical


def is_secret(value: Json) -> bool:
    """Whether the worker will look `value` up."""
    return is_reference(value)


def bad_arguments(error: UsageError) -> TaskFailed:
    """At the start of an attempt: arguments that are wrong only now that references are filled."""
    return TaskFailed("bad_arguments", "; ".join(f"{p.key}: {p.message}" for p in error.problems))


class Kept:
    """Rows up to a number and a size.

    Attributes:
        seen: how many there were.
    """

    def __init__(self, most: int) -> None:
        self.most, self.seen = most, 0
        self.rows: list[Json] = []
        self._room = MAX_BYTES

    def add(self, row: Json) -> None:
        """Keep it, if there is room for it and there was for all before it."""
        self.seen += 1
        if self._room >= 0 and len(self.rows) < self.most:
            self._room -= len(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 1
            if self._room >= 0:
                self.rows.append(row)

    @property
    def full(self) -> bool:
        """Whether no more than `most` need to be read: one above is known to be there."""
        return self.seen > self.most

    @property
    def truncated(self) -> bool:
        """Whether some were not kept."""
        return len(self.rows) < self.seen

    @property
    def count(self) -> int:
        """How many were read, at most `most`."""
        return min(self.seen, self.most)

    def note(self, what: str, key: str) -> str | None:
        """For the log: which limit was met."""
        if not self.truncated:
            return None
        limit = f"{key} is {self.most}" if len(self.rows) == self.most else f"results have {MAX_BYTES} bytes"
        return f"{len(self.rows)} {what} kept, there are more: {limit}"


def as_json(value: object) -> Json:
    """A value from a database as JSON: times in ISO 8601, durations in seconds, exact numbers as text, bytes marked."""
    match value:
        case None | bool() | str() | int():
            return value if type(value) in (bool, str, int, type(None)) else _plain(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return str(value) if value.is_finite() else None
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return {"base64": base64_of(bytes(value))}
        case Mapping():
            return {str(name): as_json(item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [as_json(item) for item in value]
        case _:
            return str(value)


def base64_of(data: bytes) -> str:
    """As text."""
    import base64

    return base64.b64encode(data).decode()


def _plain(value: object) -> Json:
    """Subclasses of str and int (enumerations, Int64) as what they are made of."""
    return int(value) if isinstance(value, int) else str(value)


def quiet(message: str, *given: Json) -> str:
    """A driver's message, on one line, without the values that were given to it."""
    for text in sorted(set(_texts(list(given))), key=len, reverse=True):
        message = message.replace(text, "***")
    message = " ".join(message.split())
    return message if len(message) <= 1000 else message[:999] + "…"


def deeper_than(most: int, value: Json) -> bool:
    """Whether there are more than so many maps and lists inside each other."""
    level = [value]
    for _ in range(most + 1):
        level = [
            item
            for one in level
            if isinstance(one, Mapping | Sequence) and not isinstance(one, str)
            for item in (one.values() if isinstance(one, Mapping) else one)
        ]
    return bool(level)


def _texts(value: Json) -> list[str]:
    """What is said in it, however deep."""
    found, left = [], [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            found += [one] if len(one) >= 3 else []
        elif isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, Sequence):
            left += one
        elif isinstance(one, int | float) and not isinstance(one, bool) and len(str(one)) >= 4:
            found.append(str(one))
    return found
