"""A schedule entry around its rule: the mapping keys that every kind shares, and the spellings of other schedulers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gnomon.core.durations import format_duration, parse_duration
from gnomon.core.errors import Problem, UsageError
from gnomon.core.rules import ScheduleSpec
from gnomon.schedules.exclusions import parse_exclusions
from gnomon.schedules.kinds import choice, shown
from gnomon.schedules.moments import parse_moment, read_stamp
from gnomon.schedules.zones import Zone

COMMON_KEYS = ("name", "timezone", "start", "end", "jitter", "exclude", "roll", "enabled", "parameters")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_UNITS = ("milliseconds", "seconds", "minutes", "hours", "days", "weeks")
_MAX_PARAMETERS = 100_000


@dataclass(slots=True)
class Collected:
    """Values of the shared keys as they are read, and what was wrong with them."""

    name: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    jitter_s: float = 0.0
    exclude: tuple[str, ...] = ()
    roll: str | None = None
    enabled: bool = True
    parameters: Mapping[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_common(value: Mapping[object, object], zone: Zone) -> Collected:
    """Reads every shared key except `timezone`; an explicit null is the default."""
    got = Collected()
    given = {key: item for key, item in value.items() if isinstance(key, str) and item is not None}
    if "name" in given:
        name = given["name"]
        if isinstance(name, str) and _NAME.fullmatch(name):
            got.name = name
        else:
            message = f"{shown(name)} is not a name: 1 to 100 letters, digits, dot, underscore, hyphen"
            got.problems.append(Problem("name_invalid", message, "name", "write for example nightly-eu"))
    for key in ("start", "end"):
        if key in given:
            try:
                setattr(got, key, _edge(given[key], zone, key))
            except UsageError as error:
                got.problems += error.problems
    if got.start and got.end and got.end < got.start:
        message = f"end {got.end.isoformat()} is before start {got.start.isoformat()}"
        got.problems.append(Problem("window_empty", message, "end", "exchange them"))
    if "jitter" in given:
        try:
            got.jitter_s = parse_duration(given["jitter"])
        except UsageError as error:
            got.problems += [replace(problem, key="jitter") for problem in error.problems]
    if "exclude" in given:
        try:
            got.exclude = parse_exclusions(given["exclude"])
        except UsageError as error:
            got.problems += error.problems
    _read_roll(given, got)
    if "enabled" in given:
        if isinstance(given["enabled"], bool):
            got.enabled = given["enabled"]
        else:
            message = f"enabled must be true or false, not {shown(given['enabled'])}"
            got.problems.append(Problem("value_invalid", message, "enabled", "write true or false without quotes"))
    if "parameters" in given:
        _read_parameters(given["parameters"], got)
    return got


def common_mapping(spec: ScheduleSpec) -> dict[str, object]:
    """The shared keys of `spec` that differ from their defaults; the zone always."""
    found: dict[str, object] = {"timezone": spec.timezone}
    if spec.name is not None:
        found["name"] = spec.name
    for key, moment in (("start", spec.start), ("end", spec.end)):
        if moment is not None:
            found[key] = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if spec.jitter_s:
        found["jitter"] = format_duration(spec.jitter_s)
    if spec.exclude:
        found["exclude"] = list(spec.exclude)
    if spec.roll is not None:
        found["roll"] = spec.roll
    if not spec.enabled:
        found["enabled"] = False
    if spec.parameters:
        found["parameters"] = dict(spec.parameters)
    return found


def from_elsewhere(value: Mapping[object, object]) -> Mapping[object, object]:
    """Entries with a `type` (periodic, specific, cron) as ours; anything else unchanged.

    Raises:
        UsageError: an unknown `type`, or a part that is missing.
    """
    if "type" not in value:
        return value
    kind = value["type"]
    word = kind.strip().lower() if isinstance(kind, str) and len(kind) < 60 else None
    rest = {key: item for key, item in value.items() if key != "type"}
    if word in ("periodic", "interval"):
        return _periodic(rest)
    if word in ("specific", "once", "date"):
        return _renamed(rest, ("time", "at"), "at")
    if word in ("cron", "crontab"):
        return _renamed(rest, ("expression", "cron"), "cron")
    known = ("periodic", "specific", "cron")
    problem = choice(kind, "type", known)
    raise UsageError(problem or Problem("value_invalid", f"{shown(kind)} is not a type", "type", "periodic"))


def _periodic(rest: dict[object, object]) -> Mapping[object, object]:
    every, unit = rest.pop("every", None), rest.pop("unit", "seconds")
    word = unit.strip().lower() if isinstance(unit, str) else unit
    word = word if not isinstance(word, str) or word.endswith("s") else word + "s"
    problem = choice(word, "unit", _UNITS)
    number = isinstance(every, (int, float)) and not isinstance(every, bool) and 0 < every <= 1e12
    if isinstance(every, str) and re.fullmatch(r"[0-9]{1,12}", every.strip()):
        every, number = int(every), True
    problems = [problem] if problem else []
    if not number:
        message = f"every {shown(every)} must be a number from 1 up"
        problems.append(Problem("value_invalid", message, "every", "write for example 15, with unit: minutes"))
    if problems:
        raise UsageError(*problems)
    return {"every": f"{every} {word}", **rest}


def _renamed(rest: dict[object, object], old: tuple[str, str], new: str) -> Mapping[object, object]:
    names = [name for name in old if name in rest]
    if len(names) != 1:
        message = f"this type needs {old[0]}" if not names else f"{old[0]} and {old[1]} are the same key"
        raise UsageError(Problem("key_missing", message, old[0], f"add {old[0]}: or write {new}: without type"))
    return {new: rest.pop(names[0]), **rest}


def _edge(value: object, zone: Zone, key: str) -> datetime:
    """An edge of the window. A date alone is the start of that day for `start`, its last microsecond for `end`."""
    whole_day = key == "end" and (
        (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value.strip()[:16]))
        or (value.__class__.__name__ == "date")
    )
    if whole_day:
        last = read_stamp(value, key) + timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)
        return parse_moment(last, zone, key, "later").at
    return parse_moment(value, zone, key, "compatible").at


def _read_roll(given: Mapping[str, object], got: Collected) -> None:
    if "roll" not in given:
        return
    problem = choice(given["roll"], "roll", ("previous", "next"))
    if problem is not None:
        got.problems.append(problem)
    elif "exclude" not in given:
        message = "roll moves fires off excluded days, and nothing is excluded"
        got.problems.append(
            Problem("roll_without_exclude", message, "roll", "add exclude: [holidays:DE], or drop roll")
        )
    else:
        got.roll = str(given["roll"])


def _read_parameters(value: object, got: Collected) -> None:
    hint = "write a mapping of names to JSON values"
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        got.problems.append(Problem("value_invalid", f"parameters cannot be {shown(value)}", "parameters", hint))
        return
    try:
        text = json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"parameters are not JSON: {str(error)[:100]}"
        got.problems.append(Problem("value_invalid", message, "parameters", hint))
        return
    if len(text) > _MAX_PARAMETERS:
        message = f"parameters take {len(text)} characters; at most {_MAX_PARAMETERS} are allowed"
        got.problems.append(Problem("value_invalid", message, "parameters", "pass a reference to a file"))
        return
    got.parameters = json.loads(text)
