"""Readers of the job keys that are more than one value: retry, catch_up, depends_on, parameters, pool, rate, alerts."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, cast

from gnomon.core.fanout import MOST_ITEMS
from gnomon.core.model import Backoff, CatchUp, CatchUpMode, Dependency, Parameter, Rate, Retry, When
from gnomon.core.secrets import is_reference

from .readers import (
    BAD,
    Bad,
    Reader,
    boolean,
    decimal,
    duration,
    integer,
    mapping_of,
    named,
    none_or,
    one_of,
    plain,
    text,
    wrong_type,
)
from .report import At, folded_word, listed, nearest
from .tree import Mapping_, Seq, Value, shown

ALERT_EVENTS = ("failed", "late", "missed", "recovered")
_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float)}
_TYPES |= {"boolean": (bool,), "array": (list,), "object": (dict,)}
PARAMETER_TYPES = (*_TYPES, "any")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_RETRY_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:]{0,199}", re.ASCII)
_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*(.+)", re.ASCII | re.DOTALL)


def labels(value: Value, at: At) -> object:
    """A mapping of texts."""
    if not isinstance(value, Mapping_):
        return wrong_type(value, at, "a mapping of names to texts", "write for example `labels: {team: data}`")
    answer = {key: text(item, at.child(key)) for key, item in value.items()}
    return BAD if BAD in answer.values() else answer


def dependencies(value: Value, at: At) -> object:
    """Job ids or `{job, when}`, as a list (one alone needs no list)."""
    if not isinstance(value, Seq):
        one = _dependency(value, at)
        return BAD if isinstance(one, Bad) else (one,)
    answer: dict[str, Dependency] = {}
    bad = False
    for index, item in enumerate(value):
        if isinstance(item, str) and item in answer and at.report.full:  # only counted: a hundred thousand are quick
            at.report.count += 1
            bad = True
            continue
        one = _dependency(item, at.child(index))
        if isinstance(one, Bad):
            bad = True
        elif one.job in answer:
            at.child(index).problem("duplicate_dependency", f"{shown(one.job)} is listed twice", "keep one of them")
            bad = True
        else:
            answer[one.job] = one
    return BAD if bad else tuple(answer.values())


def _dependency(value: Value, at: At) -> Dependency | Bad:
    if not isinstance(value, Mapping_):
        name = named("job id")(value, at)
        return BAD if isinstance(name, Bad) else Dependency(str(name))
    entry = mapping_of({"job": named("job id"), "when": one_of(When)}, "a dependency", {"job_id": "job", "id": "job"})
    read = entry(value, at)
    if isinstance(read, Bad):
        return BAD
    if "job" not in cast(dict[str, object], read):
        at.problem("missing_key", "a dependency needs `job`", "write `{job: ID, when: finished}`")
        return BAD
    return Dependency(**cast(dict[str, Any], read))


def parameters(value: Value, at: At) -> object:
    """`name: default`, or `name: {type, default, required}`."""
    if not isinstance(value, Mapping_):
        return wrong_type(value, at, "a mapping of names to defaults", "write for example `parameters: {day: today}`")
    read = [_parameter(name, item, at.child(name)) for name, item in value.items()]
    return BAD if BAD in read else tuple(read)


def _parameter(name: str, value: Value, at: At) -> Parameter | Bad:
    if not _PARAMETER.fullmatch(name):
        at.problem("bad_name", f"{shown(name)} is no name of a parameter", "use letters, digits and `_`", of_key=True)
        return BAD
    if not isinstance(value, Mapping_) or not value or not set(value) <= {"type", "default", "required"}:
        return Parameter(name, default=plain(value))
    kind = value.get("type") or "any"
    if not isinstance(kind, str) or kind not in PARAMETER_TYPES:
        at.child("type").problem(
            "unknown_value", f"{shown(kind)} is no type of a parameter", nearest(str(kind), PARAMETER_TYPES)
        )
        return BAD
    required = boolean(value.get("required") or False, at.child("required"))
    if isinstance(required, Bad):
        return BAD
    default = plain(value.get("default"))
    if kind == "string" and isinstance(default, (int, float)) and not isinstance(default, bool):
        default = str(default)
    if default is not None and not fits(default, kind):
        at.child("default").problem("wrong_type", f"the default {shown(default)} is not of type {kind}")
        return BAD
    return Parameter(name, kind, default, bool(required))


def fits(value: object, kind: str) -> bool:
    """Whether a value is of a declared type."""
    if kind == "any":
        return True
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def for_each(value: Value, at: At) -> object:
    """A list, or a text that holds a reference."""
    if isinstance(value, Seq):
        if len(value) > MOST_ITEMS:
            text_ = f"for_each has {len(value):,} items; at most {MOST_ITEMS:,} are run"
            at.problem("for_each_too_large", text_, "let each item stand for a batch")
            return BAD
        return plain(value)
    if isinstance(value, str) and "${" in value:
        return value
    return wrong_type(value, at, "a list or a reference", "write a list, or for example `${runs.JOB.result}`")


_RETRY_OUTCOMES = ("any", "failed", "timed_out")
_RETRY_SLIPS = {"timeout": "timed_out", "fail": "failed", "failure": "failed", "all": "any"}


def _retry_on(value: Value, at: At) -> object:
    items = value if isinstance(value, Seq) else [value]
    answer: list[str | int] = []
    for index, item in enumerate(items):
        here = at.child(index) if isinstance(value, Seq) else at
        if isinstance(item, int) and not isinstance(item, bool):
            if isinstance(integer(0, 255)(item, here), Bad):
                return BAD
            answer.append(item)
        elif isinstance(item, str) and _RETRY_WORD.fullmatch(item):
            word = folded_word(item)
            meant = _RETRY_SLIPS.get(word) or next(iter(get_close_matches(word, _RETRY_OUTCOMES, 1, 0.75)), None)
            if item not in _RETRY_OUTCOMES and meant is not None and item[:1].islower():
                here.problem("unknown_value", f"{shown(item)} is no outcome", f"did you mean `{meant}`?")
                return BAD
            answer.append(item)
        else:
            return wrong_type(item, here, "an exit code, the name of an exception, `failed` or `timed_out`")
    return () if "any" in answer else tuple(dict.fromkeys(answer))


_retry_keys: dict[str, Reader] = {
    "delay": duration(zero=True),
    "backoff": one_of(Backoff),
    "factor": decimal(1, 100),
    "max_delay": duration(zero=True),
    "jitter": boolean,
    "on": _retry_on,
}


def retry(value: Value, at: At) -> object:
    """How further attempts are spaced."""
    if isinstance(value, int):
        return wrong_type(value, at, "a mapping", "the number of further attempts is `restarts`")
    read = mapping_of(_retry_keys, "`retry`")(value, at)
    return BAD if isinstance(read, Bad) else Retry(**_timed(read, "delay", "max_delay"))


_catch_up_keys: dict[str, Reader] = {
    "mode": one_of(CatchUpMode),
    "max_age": none_or(duration(zero=False)),
    "max_count": integer(1, 10_000),  # as many as the planner looks at one by one
}


def catch_up(value: Value, at: At) -> object:
    """A mode, or `{mode, max_age, max_count}`."""
    if isinstance(value, Mapping_):
        read = mapping_of(_catch_up_keys, "`catch_up`")(value, at)
        return BAD if isinstance(read, Bad) else CatchUp(**_timed(read, "max_age"))
    mode = one_of(CatchUpMode)(value, at)
    return BAD if isinstance(mode, Bad) else CatchUp(cast(CatchUpMode, mode))


def _timed(read: object, *durations: str) -> dict[str, Any]:
    values = cast(dict[str, Any], read)
    return {f"{key}_s" if key in durations else key: item for key, item in values.items()}


def pools(value: Value, at: At) -> object:
    """The name of a pool, or `{name: slots}`."""
    if not isinstance(value, Mapping_):
        name = named("name of a pool")(value, at)
        return BAD if isinstance(name, Bad) else {str(name): 1}
    return slots(value, at)


def slots(value: Value, at: At) -> object:
    """`{name: slots}`."""
    if not isinstance(value, Mapping_):
        return wrong_type(value, at, "a mapping of pools to slots", "write for example `{db: 2}`")
    answer: dict[str, object] = {}
    for key, item in value.items():
        count = integer(1, 100_000)(item, at.child(key))
        answer[key] = BAD if isinstance(named("name of a pool")(key, at.child(key)), Bad) else count
    return BAD if BAD in answer.values() else answer


def rate(value: Value, at: At) -> object:
    """`10/1m`, or `{count: 10, period: 1m}`."""
    if isinstance(value, Mapping_):
        keys: dict[str, Reader] = {"count": integer(1, 10**9), "period": duration(zero=False)}
        read = mapping_of(keys, "`rate`")(value, at)
        if isinstance(read, dict) and len(read) == 2:
            return Rate(read["count"], read["period"])
        if isinstance(read, dict):
            at.problem("missing_key", "`rate` needs `count` and `period`", "write for example `rate: 10/1m`")
        return BAD
    parts = _RATE.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        at.problem("bad_rate", f"{shown(value)} is no rate", "write starts per time, for example `10/1m`")
        return BAD
    period_text = parts[2] if parts[2][0].isdigit() else f"1{parts[2]}"
    count, period = integer(1, 10**9)(int(parts[1]), at), duration(zero=False)(period_text, at)
    return BAD if isinstance(count, Bad) or isinstance(period, Bad) else Rate(cast(int, count), cast(float, period))


def alerts(value: Value, at: At) -> object:
    """Names of channels: one, a list, or `{channels, on, late_after}` → always `{channels, on}` at least."""
    if value == "none":
        return {"channels": [], "on": []}
    if not isinstance(value, Mapping_):
        channels = _words("name of a channel")(value, at)
        return BAD if isinstance(channels, Bad) else {"channels": channels, "on": list(ALERT_EVENTS)}
    keys: dict[str, Reader] = {
        "channels": _words("name of a channel"),
        "on": _words("event", ALERT_EVENTS),
        "late_after": duration(zero=True),
    }
    read = mapping_of(keys, "`alerts`", {"channel": "channels", "to": "channels"})(value, at)
    if isinstance(read, dict) and "channels" in read:
        late = {"late_after": read["late_after"]} if "late_after" in read else {}
        return {"channels": read["channels"], "on": read.get("on", list(ALERT_EVENTS)), **late}
    if isinstance(read, dict):
        at.problem("missing_key", "`alerts` needs `channels`", "write for example `alerts: [ops]`")
    return BAD


def ping(value: Value, at: At) -> object:
    """An http(s) address, or a reference to a secret that holds one."""
    if not isinstance(value, str):
        return wrong_type(value, at, "an address", "write for example `ping: https://hc.example/UUID`")
    if is_reference(value) or value.lower().startswith(("http://", "https://")):
        return value
    at.problem("bad_address", f"{shown(value)} is no address", "begin with https:// (or refer to a secret: env:NAME)")
    return BAD


def _words(what: str, known: tuple[str, ...] = ()) -> Reader:
    def read(value: Value, at: At) -> object:
        items = list(enumerate(value)) if isinstance(value, Seq) else [(None, value)]
        answer: list[object] = []
        for index, item in items:
            here = at if index is None else at.child(index)
            word = named(what)(item, here)
            if not isinstance(word, Bad) and known and word not in known:
                here.problem("unknown_value", f"{shown(word)} is none of {listed(known)}", nearest(str(word), known))
                word = BAD
            answer.append(word)
        return BAD if BAD in answer else list(dict.fromkeys(answer))

    return read
