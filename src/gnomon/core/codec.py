"""Jobs as JSON: the canonical form that the store keeps, digests are made of, and programs read.

Defaults are left out, durations are seconds, instants RFC 3339. `job_from_json(job_to_json(job)) == job`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

from .errors import InvariantViolated, Problem
from .model import Backoff, CatchUp, CatchUpMode, Dependency, Job, OnLost, Overlap, Parameter, Rate, Retry, Task, When
from .rules import ScheduleSpec
from .values import Json, JsonObject, digest, parse_rfc3339, rfc3339

T = TypeVar("T")


def job_to_json(job: Job) -> JsonObject:
    """The canonical JSON of a job: only what differs from the defaults."""
    return _dump(job)


def job_from_json(obj: object) -> Job:
    """The job of `job_to_json`. For what gnomon itself wrote; what people write goes through `gnomon.jobfiles`.

    Raises:
        InvariantViolated: `stored_job_corrupt`, if `obj` is no such JSON.
    """
    try:
        return _load(Job, obj)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvariantViolated(Problem("stored_job_corrupt", f"a stored job cannot be read: {error!r}")) from error


def schedule_to_json(spec: ScheduleSpec) -> JsonObject:
    """The canonical JSON of one schedule entry."""
    return _dump(spec)


def schedule_from_json(obj: object) -> ScheduleSpec:
    """The entry of `schedule_to_json`.

    Raises:
        InvariantViolated: `stored_schedule_corrupt`, if `obj` is no such JSON.
    """
    try:
        return _load(ScheduleSpec, obj)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvariantViolated(
            Problem("stored_schedule_corrupt", f"a stored schedule cannot be read: {error!r}")
        ) from error


def definition_digest(job: Job) -> str:
    """16 characters that change when, and only when, the definition changes: the order of mappings does not matter."""
    return digest(job_to_json(job))


# ---- out ----

_TIMED = (Job, Retry, CatchUp, Rate, ScheduleSpec)
_FLOATS = {item.name for shape in _TIMED for item in fields(shape) if item.name.endswith("_s")} | {"factor"}
_ALWAYS = {(Job, "job_id"), (Job, "task"), (Task, "type"), (ScheduleSpec, "kind"), (ScheduleSpec, "rule")}


def _dump(value: Any) -> dict[str, Json]:
    shape, answer = type(value), {}
    for name, default in _defaults(shape):
        item = getattr(value, name)
        if default is MISSING or (shape, name) in _ALWAYS or not _same(item, default):
            answer[name] = float(item) if name in _FLOATS and item is not None else _plain(item)
    return answer


def _plain(value: Any) -> Json:
    if type(value) in _NESTED:
        return _dump(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return cast(Json, value)


def _same(item: object, default: object) -> bool:
    """Equal and of one type: 1, 1.0 and True are different values in JSON."""
    if isinstance(item, bool) or isinstance(default, bool):
        return item is default
    return item == default


# ---- in ----

_NESTED: tuple[type, ...] = (Job, Task, ScheduleSpec, Dependency, Parameter, Retry, CatchUp, Rate)
_DEFAULTS: dict[type, tuple[tuple[str, object], ...]] = {}


def _defaults(shape: type) -> tuple[tuple[str, object], ...]:
    known = _DEFAULTS.get(shape)
    if known is None:
        known = _DEFAULTS[shape] = tuple((entry.name, _default(entry)) for entry in fields(shape))
    return known


def _default(entry: Field[Any]) -> object:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _tuple_of(shape: type) -> Any:
    return lambda items: tuple(_load(shape, item) for item in _checked(list, items))


_READERS: dict[tuple[type, str], Any] = {
    (Job, "task"): lambda obj: _load(Task, obj),
    (Job, "schedules"): _tuple_of(ScheduleSpec),
    (Job, "depends_on"): _tuple_of(Dependency),
    (Job, "parameters"): _tuple_of(Parameter),
    (Job, "retry"): lambda obj: _load(Retry, obj),
    (Job, "overlap"): Overlap,
    (Job, "catch_up"): lambda obj: _load(CatchUp, obj),
    (Job, "rate"): lambda obj: _load(Rate, obj),
    (Job, "on_lost"): OnLost,
    (Job, "labels"): lambda obj: _checked(dict, obj),
    (Job, "pools"): lambda obj: _checked(dict, obj),
    (Job, "job_id"): lambda obj: _checked(str, obj),
    (Task, "type"): lambda obj: _checked(str, obj),
    (Task, "arguments"): lambda obj: _checked(dict, obj),
    (ScheduleSpec, "kind"): lambda obj: _checked(str, obj),
    (ScheduleSpec, "rule"): lambda obj: _checked(dict, obj),
    (ScheduleSpec, "parameters"): lambda obj: _checked(dict, obj),
    (ScheduleSpec, "start"): parse_rfc3339,
    (ScheduleSpec, "end"): parse_rfc3339,
    (ScheduleSpec, "exclude"): lambda items: tuple(_checked(list, items)),
    (Dependency, "when"): When,
    (Retry, "backoff"): Backoff,
    (Retry, "on"): lambda items: tuple(_checked(list, items)),
    (CatchUp, "mode"): CatchUpMode,
}


def _load(shape: type[T], obj: object) -> T:
    known = {name for name, _ in _defaults(shape)}
    values = {}
    for name, item in _checked(dict, obj).items():
        if name not in known:
            raise ValueError(f"{shape.__name__} has no {name!r}")
        read = _READERS.get((shape, name))
        values[name] = item if read is None else read(item)
    return shape(**values)


def _checked(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, found {type(value).__name__}")
    return value
