"""Durations as people write them: `500ms`, `30s`, `2h30m`, `1.5d`, or a number of seconds."""

from __future__ import annotations

import math
import re

from gnomon.core.errors import UsageError, usage

MAX_DURATION_S = 36525 * 86400
"""Longest duration anywhere: 100 years of 365.25 days, in seconds."""

_MAX_TEXT = 100
_UNITS_US = {"ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_SPELLINGS = {
    "ms": "ms millisecond milliseconds",
    "s": "s sec secs second seconds",
    "m": "m min mins minute minutes",
    "h": "h hr hrs hour hours",
    "d": "d day days",
    "w": "w week weeks",
}
_UNIT_OF = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_PART = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))?[ ]*([a-z]{1,12})[ ]*", re.ASCII)
_PLAIN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII)
_HINT = "write a number of seconds, or parts such as 500ms, 30s, 15m, 2h30m, 1d, 1w"


def parse_duration(value: object) -> float:
    """Seconds of a duration: a number of seconds, or a sum of parts with units ms, s, m, h, d, w.

    Exact to the microsecond. 0 is a duration; negative values and more than 100 years are not.

    Raises:
        UsageError: `duration_invalid` (not a duration) or `duration_out_of_range`; the key is "".
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise usage("duration_invalid", f"a duration cannot be a {type(value).__name__}", hint=_HINT)
    if isinstance(value, str):
        return _in_range(_text_us(value), _shown(value))
    if isinstance(value, int) and value.bit_length() > 64:
        raise _out_of_range("a number of more than 19 digits")
    if isinstance(value, float) and not math.isfinite(value):
        raise usage("duration_invalid", f"{value} is not a duration", hint=_HINT)
    if abs(value) > 2 * MAX_DURATION_S:
        raise _out_of_range(str(value))
    return _in_range(round(value * 1_000_000), str(value))


def format_duration(seconds: float) -> str:
    """The usual short spelling, 90 -> `1m30s`. `parse_duration` gives the same seconds back, to the microsecond."""
    left = round(seconds * 1_000_000)
    if left <= 0:
        return "0s"
    if left % _UNITS_US["w"] == 0:
        return f"{left // _UNITS_US['w']}w"
    text = ""
    for unit in ("d", "h", "m"):
        whole, left = divmod(left, _UNITS_US[unit])
        text += f"{whole}{unit}" if whole else ""
    if left % 1_000:
        return text + f"{left // 1_000_000}.{left % 1_000_000:06d}".rstrip("0") + "s"
    whole, left = divmod(left, 1_000_000)
    text += f"{whole}s" if whole else ""
    return text + (f"{left // 1_000}ms" if left else "")


def _text_us(text: str) -> int:
    body = text.strip().lower() if len(text) <= _MAX_TEXT else ""
    if not body:
        raise usage("duration_invalid", f"{_shown(text)} is not a duration", hint=_HINT)
    if _PLAIN.fullmatch(body):
        body += "s"
    total, at = 0, 0
    while at < len(body):
        part = _PART.match(body, at)
        unit = _UNIT_OF.get(part[3]) if part else None
        if part is None or unit is None:
            raise usage("duration_invalid", f"{_shown(text)} is not a duration (at {body[at : at + 12]!r})", hint=_HINT)
        fraction = part[2] or ""
        total += int(part[1]) * _UNITS_US[unit]
        if fraction:
            total += round(int(fraction) * _UNITS_US[unit] / 10 ** len(fraction))
        at = part.end()
    return total


def _in_range(us: int, shown: str) -> float:
    if us < 0 or us > MAX_DURATION_S * 1_000_000:
        raise _out_of_range(shown)
    return us / 1_000_000


def _out_of_range(shown: str) -> UsageError:
    return usage("duration_out_of_range", f"{shown} is not between 0 and 100 years", hint=_HINT)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}… ({len(text)} characters)"
