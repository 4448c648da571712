"""Readers of single values. Each takes a value and its place, and gives what it means, or `BAD` after saying why."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from gnomon.core.durations import parse_duration
from gnomon.core.errors import UsageError
from gnomon.core.identity import JOB_ID_RULE, is_job_id
from gnomon.core.values import Json

from .report import At, folded_word, listed, nearest
from .tree import Mapping_, Seq, Value, shown


class Bad:
    """What a reader gives for a value it has complained about."""


BAD = Bad()
Reader = Callable[[Value, At], object]
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NAMES = {bool: "true or false", int: "a number", float: "a number", str: "a text", type(None): "nothing"}


def kind_of(value: Value) -> str:
    """What a value is, in a message."""
    if isinstance(value, Mapping_):
        return "a mapping"
    if isinstance(value, Seq):
        return "a list"
    return next(name for kind, name in _NAMES.items() if isinstance(value, kind))


def wrong_type(value: Value, at: At, wanted: str, hint: str = "") -> Bad:
    """Complain about the type of a value."""
    said = (
        kind_of(value) if isinstance(value, (Mapping_, Seq)) or value is None else f"{kind_of(value)} ({shown(value)})"
    )
    at.problem("wrong_type", f"{wanted} is expected here, not {said}", hint)
    return BAD


def text(value: Value, at: At) -> object:
    """A text; numbers are taken as they are written."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return wrong_type(value, at, "a text", "quote it" if isinstance(value, bool) else "")


def boolean(value: Value, at: At) -> object:
    """true or false; also the words yes, no, on, off, which YAML 1.1 took for booleans."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    return wrong_type(value, at, "true or false")


def integer(low: int, high: int) -> Reader:
    """A whole number from `low` to `high`."""

    def read(value: Value, at: At) -> object:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "write it without quotes" if isinstance(value, str) and value.strip().isdigit() else ""
            return wrong_type(value, at, "a whole number", hint)
        if not low <= value <= high:
            at.problem("out_of_range", f"{value} is not from {low} to {high}", f"write a number from {low} to {high}")
            return BAD
        return value

    return read


def decimal(low: float, high: float) -> Reader:
    """A number from `low` to `high`."""

    def read(value: Value, at: At) -> object:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return wrong_type(value, at, "a number")
        if not low <= value <= high:
            at.problem("out_of_range", f"{value} is not from {low:g} to {high:g}")
            return BAD
        return float(value)

    return read


def duration(*, zero: bool) -> Reader:
    """Seconds of a duration; `zero`: whether 0 is one."""

    def read(value: Value, at: At) -> object:
        try:
            seconds = parse_duration(value)
        except UsageError as error:
            at.refused(error)
            return BAD
        if seconds == 0 and not zero:
            at.problem("out_of_range", "0 is too short", "leave the key out for no limit")
            return BAD
        return seconds

    return read


def none_or(read: Reader) -> Reader:
    """The word `none`, or what `read` reads."""
    return lambda value, at: None if value == "none" else read(value, at)


def one_of(choices: type[StrEnum]) -> Reader:
    """A member of `choices`, in any case, with `-` or `_`."""
    words = [str(item) for item in choices]

    def read(value: Value, at: At) -> object:
        if not isinstance(value, str):
            return wrong_type(value, at, f"one of {listed(words)}")
        if folded_word(value) in words:
            return choices(folded_word(value))
        at.problem("unknown_value", f"{shown(value)} is none of {listed(words)}", nearest(value, words))
        return BAD

    return read


def named(what: str) -> Reader:
    """A name by the rule of job ids."""

    def read(value: Value, at: At) -> object:
        name = text(value, at)
        if isinstance(name, Bad):
            return BAD
        if not is_job_id(str(name)):
            code = "bad_job_id" if what == "job id" else "bad_name"
            said = "an empty text" if name == "" else shown(name)
            at.problem(code, f"{said} is no {what}", f"use {JOB_ID_RULE}: {_mended(str(name))}")
            return BAD
        return name

    return read


def _mended(name: str) -> str:
    mended = re.sub(r"[^A-Za-z0-9._/-]+", "-", name.strip()).strip("-")[:200]
    return f"`{mended}`" if mended else "`my-job`"


def mapping_of(keys: Mapping[str, Reader], what: str, spellings: Mapping[str, str] | None = None) -> Reader:
    """A mapping with only these keys → dict of the values read (keys with null are left out)."""
    other = spellings or {}

    def read(value: Value, at: At) -> object:
        if not isinstance(value, Mapping_):
            return wrong_type(value, at, f"a mapping with {listed(list(keys))}")
        answer: dict[str, object] = {}
        bad = False
        for key, item in value.items():
            name = other.get(key, key)
            if name not in keys:
                at.child(key).unknown("unknown_key", f"{what} has no key {shown(key)}", key, (*keys, *other))
                bad = True
            elif name in answer:
                at.child(key).problem(
                    "conflicting_keys", f"{shown(key)} and `{name}` mean the same", "keep one of them"
                )
                bad = True
            elif item is not None:
                answer[name] = keys[name](item, at.child(key))
                bad |= isinstance(answer[name], Bad)
        return BAD if bad else answer

    return read


def plain(value: Value) -> Json:
    """The value without its places: fresh dicts and lists."""
    if isinstance(value, Mapping_):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Seq):
        return [plain(item) for item in value]
    return value
