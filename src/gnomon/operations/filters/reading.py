"""What the values of a filter mean: times, states, task types; and complaints about those that mean nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, TypeVar

from gnomon.core.durations import format_duration, parse_duration
from gnomon.core.errors import Problem, UsageError
from gnomon.core.filters import Range
from gnomon.core.tasks import TaskTypes
from gnomon.operations.moments import parse_when

from .text import Term

if TYPE_CHECKING:
    from gnomon.operations.context import Desk

T = TypeVar("T")
GROUPS = {"db": ("sql", "mongo"), "database": ("sql", "mongo"), "api": ("http",), "files": ("file",)}
"""Words that stand for several task types, or for one that has another name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is read with: the time it is now, the zone of local times, and the task types there are."""

    now: datetime
    zone: tzinfo
    task_types: TaskTypes


def reading_of(desk: Desk, zone: tzinfo = UTC) -> Reading:
    """What filters are read with at a desk. `zone`: of times without an offset."""
    return Reading(desk.clock.now(), zone, desk.task_types)


def wrong(code: str, term: Term, message: str, hint: str) -> UsageError:
    """A value that a key does not take: says where it stands."""
    place = f" (at character {term.column})" if term.column else ""
    return UsageError(Problem(code, message + place, term.place or term.key, hint, column=term.column or None))


def bad_value(term: Term, message: str, hint: str) -> UsageError:
    """A value of a kind the key does not take."""
    return wrong("filter_value_invalid", term, f"{term.place or term.key}: {message}", hint)


def one_of(term: Term, word: str, known: Collection[str], what: str, code: str = "filter_value_invalid") -> str:
    """The word, if it is known.

    Raises:
        UsageError: `code`, naming the nearest.
    """
    found = word.lower()
    if found in known:
        return found
    near = difflib.get_close_matches(found[:100], list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(known)
    raise wrong(code, term, f"no {what} is called {word[:100]!r}", hint)


def moment(term: Term, text: str, reading: Reading) -> datetime:
    """The instant of a time as people write it."""
    return _placed(term, lambda: parse_when(text, reading.now, reading.zone).at)


def seconds(term: Term, text: str) -> float:
    """A duration in seconds."""
    return _placed(term, lambda: parse_duration(text))


def bounds(term: Term, text: str) -> Range:
    """`>5m`, `>=5m`, `<1h`, `<=1h`, `5m..1h`, `5m..`, `..1h` as seconds.

    Raises:
        UsageError: it is none of these, or its durations are none.
    """
    for sign in (">=", "<=", ">", "<"):
        if text.startswith(sign):
            value = seconds(term, text.removeprefix(sign))
            low, is_open = sign[0] == ">", len(sign) == 1
            return Range(low=value, low_open=is_open) if low else Range(high=value, high_open=is_open)
    low_text, dots, high_text = text.partition("..")
    if not dots or not (low_text or high_text):
        raise bad_value(term, f"{text[:60]!r} is no range", "write >5m, >=5m, <1h, <=1h, 5m..1h, 5m.. or ..1h")
    return Range(
        low=seconds(term, low_text) if low_text else None, high=seconds(term, high_text) if high_text else None
    )


def narrowed(one: Range, other: Range) -> Range:
    """What lies in both."""
    low, low_open = _inner(one.low, one.low_open, other.low, other.low_open, 1)
    high, high_open = _inner(one.high, one.high_open, other.high, other.high_open, -1)
    return Range(low, high, low_open, high_open)


def bounds_text(of: Range) -> list[str]:
    """The texts of a range: of its lower and its upper end, or of both."""
    low, high = (None if end is None else format_duration(end) for end in (of.low, of.high))
    if low and high and not of.low_open and not of.high_open:
        return [f"{low}..{high}"]
    texts = []
    if low:
        texts.append((">" if of.low_open else ">=") + low)
    if high:
        texts.append(("<" if of.high_open else "<=") + high)
    return texts


def task_types(known: TaskTypes, names: Iterable[str], term: Term | None = None) -> tuple[str, ...]:
    """Canonical names of the task types that these words mean: a name, an alias, or a group (`db`: sql and mongo).

    Raises:
        UsageError: nothing is called so; names what is.
    """
    place = term or Term("type", (), place="--type")
    found: list[str] = []
    for name in names:
        group = GROUPS.get(name.strip().lower(), (name,))
        kinds = [kind.name for word in group if (kind := known.resolve(word)) is not None]
        if not kinds:
            hint = "known: " + ", ".join([*known.names(), *GROUPS])
            raise wrong("task_type_unknown", place, f"no task type is called {name[:100]!r}", hint)
        found += kinds
    return tuple(dict.fromkeys(found))


def _placed(term: Term, read: Callable[[], T]) -> T:
    """The same error, with its place in the filter."""
    try:
        return read()
    except UsageError as error:
        problem = error.problems[0]
        raise wrong(problem.code, term, problem.message, problem.hint) from None


def _inner(
    one: float | None, one_open: bool, other: float | None, other_open: bool, sign: int
) -> tuple[float | None, bool]:
    """The end that is further in. `sign`: 1 for lower ends, -1 for upper ones."""
    if one is None or other is None:
        return (other, other_open) if one is None else (one, one_open)
    if one == other:
        return one, one_open or other_open
    return (one, one_open) if (one - other) * sign > 0 else (other, other_open)
