"""The kinds of keys a filter may have. Each reads its terms into fields of a filter, and writes them back.

`put` folds one term into the fields read so far; terms of one key widen the choice, `-` takes away.
`texts` gives the terms that make the same fields again.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from gnomon.core.filters import ANY
from gnomon.core.states import FINAL, State
from gnomon.core.values import rfc3339

from .reading import Reading, bad_value, bounds, bounds_text, moment, narrowed, one_of, task_types, wrong
from .text import Term, quoted

Fields = MutableMapping[str, Any]
_STATES = (*(str(state) for state in State), "timed_out", "active", "ended")
_FLAGS: Mapping[str, bool | None] = {"yes": True, "no": False, "true": True, "false": False}


class Key(Protocol):
    """How one key is read and written."""

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        """Fold a term into the fields of a filter. Raises UsageError."""

    def texts(self, name: str, of: object) -> list[str]:
        """The terms of this key, called `name`, in a filter."""


@dataclass(frozen=True, slots=True)
class Several:
    """Texts: any of them. `negative`: the field of those it must not be."""

    field: str
    negative: str | None = None

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        field = self.negative if term.negated else self.field
        if field is None:
            raise positive_only(term)
        fields[field] = _united(fields.get(field, ()), self.values(term, reading))

    def values(self, term: Term, reading: Reading) -> tuple[str, ...]:
        """The values as the filter has them."""
        return term.values

    def texts(self, name: str, of: object) -> list[str]:
        found = []
        for sign, field in (("", self.field), ("-", self.negative)):
            values = getattr(of, field) if field else ()
            if values:
                found.append(f"{sign}{name}:" + ",".join(quoted(str(value)) for value in values))
        return found


class Types(Several):
    """Task types by name, alias or group."""

    def values(self, term: Term, reading: Reading) -> tuple[str, ...]:
        return task_types(reading.task_types, term.values, term)


@dataclass(frozen=True, slots=True)
class Words:
    """What stands without a key: parts of an id."""

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        field = "not_words" if term.negated else "words"
        fields[field] = _united(fields.get(field, ()), (",".join(term.values),))

    def texts(self, name: str, of: Any) -> list[str]:
        return [quoted(w, word=True) for w in of.words] + ["-" + quoted(w, word=True) for w in of.not_words]


@dataclass(frozen=True, slots=True)
class One:
    """A single text."""

    field: str

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        fields[self.field] = _single(fields, self.field, term)

    def texts(self, name: str, of: object) -> list[str]:
        value = getattr(of, self.field)
        return [] if value is None else [f"{name}:{quoted(str(value))}"]


@dataclass(frozen=True, slots=True)
class States:
    """States of runs; `timed_out`, `active` and `ended` stand for others."""

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        words = [one_of(term, word, _STATES, "run state", "state_unknown") for word in term.values]
        if term.negated:
            words = self._others(fields, words, term)
        states = [s for word in words if word != "timed_out" for s in _states(word)]
        fields["states"] = states = list(dict.fromkeys([*(() if term.negated else fields.get("states", ())), *states]))
        fields["timed_out"] = State.FAILED not in states and (
            "timed_out" in words or (bool(fields.get("timed_out")) and not term.negated)
        )

    def _others(self, fields: Fields, words: list[str], term: Term) -> list[str]:
        """The states that are left."""
        if "timed_out" in words:
            fields["not_errors"] = _united(fields.get("not_errors", ()), ("timed_out",))
        gone = {s for word in words if word != "timed_out" for s in _states(word)}
        before = fields.get("states") or ([] if fields.get("timed_out") else list(State))
        left = [str(s) for s in before if s not in gone]
        if fields.get("timed_out") and not {"timed_out", "failed", "ended"} & set(words):
            left.append("timed_out")
        if not left:
            raise bad_value(term, "no state is left", "take one of the conditions away")
        return left

    def texts(self, name: str, of: Any) -> list[str]:
        words = [*(str(state) for state in of.states), *(["timed_out"] if of.timed_out else [])]
        return [f"{name}:" + ",".join(words)] if words else []


@dataclass(frozen=True, slots=True)
class Labels:
    """`NAME=VALUE`: all of them, and none of those with `-`."""

    field: str = "labels"
    negative: str = "not_labels"

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        for text in term.values:
            name, mark, value = text.partition("=")
            if not mark or not name:
                hint = f"write {term.place} NAME=VALUE" if term.place.startswith("-") else "write label:NAME=VALUE"
                raise wrong("label_invalid", term, f"{text[:100]!r} is no label", hint)
            if term.negated:
                fields[self.negative] = _united(fields.get(self.negative, ()), ((name, value),))
            elif fields.setdefault(self.field, {}).setdefault(name, value) != value:
                raise bad_value(term, f"{name[:100]!r} is asked for with two values", "a label has one value")

    def texts(self, name: str, of: object) -> list[str]:
        pairs = [("", pair) for pair in getattr(of, self.field).items()]
        pairs += [("-", pair) for pair in getattr(of, self.negative)]
        return [f"{sign}{name}:" + quoted(f"{key}={value}") for sign, (key, value) in pairs]


@dataclass(frozen=True, slots=True)
class Time:
    """An instant."""

    field: str

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        fields[self.field] = moment(term, _single(fields, self.field, term), reading)

    def texts(self, name: str, of: object) -> list[str]:
        at: datetime | None = getattr(of, self.field)
        return [] if at is None else [f"{name}:{rfc3339(at)}"]


@dataclass(frozen=True, slots=True)
class Seconds:
    """A range of durations; several narrow each other."""

    field: str

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        if term.negated:
            raise positive_only(term)
        for text in term.values:
            fields[self.field] = narrowed(fields.get(self.field, ANY), bounds(term, text))

    def texts(self, name: str, of: object) -> list[str]:
        return [f"{name}:{text}" for text in bounds_text(getattr(of, self.field))]


@dataclass(frozen=True, slots=True)
class Choices:
    """Some of a few words: any of them."""

    field: str
    known: type[StrEnum]
    what: str

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        names = [str(member) for member in self.known]
        words = [self.known(one_of(term, word, names, self.what)) for word in term.values]
        before = fields.get(self.field, ())
        if term.negated:
            words = [member for member in (before or self.known) if member not in words]
            if not words:
                raise bad_value(term, f"no {self.what} is left", "take one of the conditions away")
            before = ()
        fields[self.field] = _united(before, tuple(words))

    def texts(self, name: str, of: object) -> list[str]:
        words = getattr(of, self.field)
        return [f"{name}:" + ",".join(str(word) for word in words)] if words else []


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    field: str
    known: type[StrEnum]
    what: str

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        word = _single(fields, self.field, term)
        fields[self.field] = self.known(one_of(term, word, [str(member) for member in self.known], self.what))

    def texts(self, name: str, of: object) -> list[str]:
        word = getattr(of, self.field)
        return [] if word is None else [f"{name}:{word}"]


@dataclass(frozen=True, slots=True)
class Flag:
    """`yes` or `no`; `any` for a flag that is not asked for. `default`: what holds when nothing is said."""

    field: str
    default: bool | None = None

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        if self.field in fields:
            raise _twice(term)
        negated, plain = term.negated, Term(term.key, term.values, False, term.column, term.place)
        word = one_of(plain, _single(fields, self.field, plain), [*_FLAGS, "any"], "answer")
        value = _FLAGS.get(word)
        if negated and value is None:
            raise positive_only(term)
        fields[self.field] = value if value is None else value != negated

    def texts(self, name: str, of: object) -> list[str]:
        value = getattr(of, self.field)
        if value is self.default:
            return []
        return [f"{name}:" + ("any" if value is None else "yes" if value else "no")]


@dataclass(frozen=True, slots=True)
class Version:
    """The name of a configuration, or `NAME@VERSION`."""

    field: str

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        name, mark, number = _single(fields, self.field, term).rpartition("@")
        if not mark:
            fields[self.field] = number, None
            return
        if not (name and number.isascii() and number.isdigit() and len(number) < 10):
            raise bad_value(term, f"{term.values[0][:100]!r} names no version", "write config:NAME or config:NAME@3")
        fields[self.field] = name, int(number)

    def texts(self, name: str, of: object) -> list[str]:
        value = getattr(of, self.field)
        if value is None:
            return []
        return [f"{name}:" + quoted(value[0] if value[1] is None else f"{value[0]}@{value[1]}")]


def positive_only(term: Term) -> Exception:
    """A `-` before a key that cannot be taken away."""
    return bad_value(term, "it cannot be negated", f"write {term.key}: without the -")


def _twice(term: Term) -> Exception:
    return bad_value(term, "it is there twice", "say it once, with one value")


def _single(fields: Fields, field: str, term: Term) -> str:
    """The only value of a term, whose key is there only once."""
    if term.negated:
        raise positive_only(term)
    if fields.get(field) is not None or len(term.values) != 1:
        raise _twice(term)
    return term.values[0]


def _united(before: tuple[Any, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*before, *values]))


def _states(word: str) -> list[State]:
    if word in ("active", "ended"):
        return [s for s in State if (s in FINAL) == (word == "ended")]
    return [State(word)]
