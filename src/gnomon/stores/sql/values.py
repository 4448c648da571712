"""Values as columns hold them: instants in microseconds, JSON as text, and back. Also the cursors of pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from gnomon.core.attempts import Failure
from gnomon.core.codec import job_from_json, job_to_json, schedule_from_json, schedule_to_json
from gnomon.core.errors import usage
from gnomon.core.handover import CODE_LIMIT, words
from gnomon.core.model import Job
from gnomon.core.rules import ScheduleSpec
from gnomon.core.values import canonical_json, digest, from_micros, to_micros


def micros(instant: datetime | None) -> int | None:
    """An instant or None, as kept."""
    return None if instant is None else to_micros(instant)


def instant(value: int | None) -> datetime | None:
    """The instant of `micros`."""
    return None if value is None else from_micros(value)


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def text(value: object) -> str | None:
    """JSON as kept, order of keys included; None is NULL."""
    return None if value is None else _encode(value)


def mapping_text(value: Mapping[str, Any]) -> str | None:
    """A mapping as kept; an empty one is NULL."""
    return _encode(dict(value)) if value else None


def label_text(key: str, value: str) -> str:
    """How one entry of a mapping of texts stands in `mapping_text`."""
    return f"{_encode(key)}:{_encode(value)}"


def clean(words: str | None) -> str | None:
    """Words from outside as a database takes them: what is no Unicode (undecodable bytes) is spelt out."""
    if words is None or words.isascii():
        return words
    return words.encode("utf-8", "backslashreplace").decode()


def value(kept: str | None) -> Any:
    """The JSON value of `text`. One that an older version kept and nobody could use (too deep, too long a number) is
    None, and half characters are spelt out: no value in the file may keep a step or a list from being made.
    """
    if kept is None:
        return None
    try:
        found = json.loads(kept)
        if "\\ud" in kept:
            found = _whole_characters(found)
        brackets = kept.count("[") + kept.count("{")
        return found if brackets <= _DEEPEST or _depth(found) <= _DEEPEST else None
    except (ValueError, RecursionError):
        return None


def mapping(kept: str | None) -> dict[str, Any]:
    """The mapping of `mapping_text`."""
    found = value(kept)
    return found if isinstance(found, dict) else {}


_DEEPEST = 1 << 8


def _depth(found: Any) -> int:
    """How many lists and maps are inside each other."""
    depth, level = 0, [found]
    while level := [item for one in level if isinstance(one, (list, dict)) for item in _inside(one)]:
        depth += 1
    return depth + 1


def _inside(one: Any) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


def _whole_characters(found: Any) -> Any:
    if isinstance(found, str):
        return clean(found)
    if isinstance(found, dict):
        return {clean(key): _whole_characters(item) for key, item in found.items()}
    return [_whole_characters(item) for item in found] if isinstance(found, list) else found


def failure(code: str | None, message: str | None) -> Failure | None:
    """The failure of its two columns."""
    return None if code is None else Failure(words(code, CODE_LIMIT), message or "")


def job_text(job: Job) -> str:
    """A definition as kept."""
    return canonical_json(job_to_json(job))


@lru_cache(maxsize=20_000)
def job_value(kept: str) -> Job:
    """The definition of `job_text`; equal texts may share one object."""
    return job_from_json(json.loads(kept))


def spec_text(spec: ScheduleSpec) -> str:
    """A schedule entry as kept."""
    return canonical_json(schedule_to_json(spec))


@lru_cache(maxsize=20_000)
def spec_value(kept: str) -> ScheduleSpec:
    """The entry of `spec_text`."""
    return schedule_from_json(json.loads(kept))


_LARGEST = 1 << 62


def to_cursor(scope: str, *key: str | int) -> str:
    """The key of a page's last row, opaque to the caller. `scope`: the list, and what else it must fit."""
    return base64.urlsafe_b64encode(json.dumps([*key, _seal(scope, key)]).encode()).decode().rstrip("=")


def from_cursor(cursor: str, scope: str, *kinds: type) -> tuple[Any, ...]:
    """The key of `to_cursor`.

    Raises:
        UsageError: `bad_cursor`, if it is none of ours, was changed, or belongs to another list or filter.
    """
    try:
        *key, seal = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        small = all(abs(part) < _LARGEST for part in key if isinstance(part, int))
        if small and [type(part) for part in key] == list(kinds) and seal == _seal(scope, key):
            return tuple(key)
    except (ValueError, TypeError, RecursionError):
        pass
    shown = cursor if len(cursor) <= 60 else f"{cursor[:60]}…"
    hint = "begin without a cursor, or use it with the filter it was given for"
    raise usage("bad_cursor", f"{shown!r} is no cursor of this list", key="cursor", hint=hint)


def _seal(scope: str, key: Sequence[object]) -> str:
    return digest([scope, *(str(part) for part in key)])[:10]
