"""The `[alerts]` table of the settings: channels, and what holds for jobs that say nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gnomon.core.alerts import LATE_AFTER_S, Defaults
from gnomon.core.durations import parse_duration
from gnomon.core.errors import GnomonError, Problem
from gnomon.core.identity import is_job_id
from gnomon.core.secrets import is_reference

if TYPE_CHECKING:
    from gnomon.alerts import Channel

HEARTBEAT_S = 60.0


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Attributes:

    channels: by name.
    general: of jobs that say nothing.
    heartbeat: URL that is pinged every `heartbeat_s` while the scheduler is well, or None.
    given: there was such a table at all.
    """

    channels: Mapping[str, Channel] = field(default_factory=dict)
    general: Defaults = field(default_factory=Defaults)
    heartbeat: str | None = None
    heartbeat_s: float = HEARTBEAT_S
    given: bool = False


def read_alerts(value: object, path: Path | None, problems: list[Problem]) -> AlertSettings:
    """The settings of the table; what is wrong is added to `problems`, with the file."""
    file = None if path is None else str(path)
    if not isinstance(value, Mapping):
        problems.append(Problem("setting_invalid", "alerts must be a table", "alerts", file=file))
        return AlertSettings()
    if not value:
        return AlertSettings()
    found: dict[str, object] = {}
    channels: dict[str, Channel] = {}
    for name, item in value.items():
        try:
            if name in _KEYS:
                found[name] = _KEYS[name](item)
            elif isinstance(item, Mapping):
                channels[name] = _channel(str(name), item)
            else:
                near = difflib.get_close_matches(str(name), _KEYS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"a channel is a table: [alerts.{name}]"
                raise ValueError(f"has no key {name!r}: {hint}")
        except GnomonError as error:
            here = f"alerts.{name}"
            problems += [Problem(p.code, p.message, p.key or here, p.hint, file) for p in error.problems]
        except ValueError as error:
            problems.append(Problem("setting_invalid", f"alerts {error}", f"alerts.{name}", file=file))
    default = cast(tuple[str, ...], found.get("default", ()))
    for name in default:
        if name not in value:
            hint = channel_hint(name, channels)
            problems.append(Problem("channel_unknown", f"there is no channel {name!r}", "alerts.default", hint, file))
    general = Defaults(
        default, cast(float, found.get("late_after", LATE_AFTER_S)), cast("float | None", found.get("remind"))
    )
    every = cast(float, found.get("heartbeat_every", HEARTBEAT_S))
    return AlertSettings(channels, general, cast("str | None", found.get("heartbeat")), every, given=True)


def channel_hint(name: str, known: Collection[str]) -> str:
    """What to do about a channel that is not there."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    there = f"; there are: {', '.join(sorted(known))}" if known else ""
    return f"declare [alerts.{name}] in gnomon.toml{there}"


def _channel(name: str, table: Mapping[str, object]) -> Channel:
    from gnomon.alerts import read_channel

    if not is_job_id(name):
        raise ValueError(f"has a channel {name!r}: use letters, digits, . _ - /")
    return read_channel(name, table)


def _names(value: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if isinstance(value, Mapping):
        raise ValueError("default is the list of channels of jobs that name none: give a channel another name")
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("default must be a list of names of channels")
    return tuple(dict.fromkeys(items))


def _seconds(value: object) -> float:
    seconds = parse_duration(value)
    if seconds < 1:
        raise ValueError("wants a duration of at least a second here")
    return seconds


def _late(value: object) -> float:
    return parse_duration(value)


def _url(value: object) -> str:
    if isinstance(value, str) and (is_reference(value) or value.lower().startswith(("http://", "https://"))):
        return value
    raise ValueError("heartbeat must begin with http:// or https:// (or be a reference such as env:NAME)")


_KEYS: Mapping[str, Callable[[object], object]] = {
    "default": _names,
    "late_after": _late,
    "remind": _seconds,
    "heartbeat": _url,
    "heartbeat_every": _seconds,
}
