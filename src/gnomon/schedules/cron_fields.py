"""One field of a cron expression: from its text to a bit mask of values, plus the day operators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from gnomon.core.errors import Problem

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@dataclass(frozen=True, slots=True)
class Field:
    """What one position of an expression may hold: `low` to `high`, and names for some of the values."""

    name: str
    low: int
    high: int
    names: tuple[tuple[str, int], ...] = ()

    @property
    def span(self) -> str:
        """The allowed range for error messages."""
        extra = {"month": " or JAN-DEC", "day-of-week": " (0 and 7 are Sunday) or SUN-SAT"}.get(self.name, "")
        return f"{self.low}-{self.high}{extra}"


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day-of-month", 1, 31)
MONTH = Field("month", 1, 12, tuple((n, i) for i, n in enumerate(_MONTHS, 1)))
DAY_OF_WEEK = Field("day-of-week", 0, 7, tuple((n, i) for i, n in enumerate(_DAYS)))
YEAR = Field("year", 1970, 9999)


@dataclass(frozen=True, slots=True)
class FieldSet:
    """The values of one field.

    Attributes:
        mask: bit v is set when value v belongs to it (day-of-week: 0 to 6, Sunday is 0).
        open: the text starts with `*` or `?`: it does not restrict the day rule.
        ops: day operators: ("L", 0, 0), ("LW", 0, 0), ("W", day, 0), ("#", weekday, nth), ("dL", weekday, 0).
    """

    mask: int
    open: bool
    ops: tuple[tuple[str, int, int], ...] = ()


class FieldError(Exception):
    """A mistake inside one field; `parse_field` turns it into a Problem."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


def parse_field(field: Field, text: str, job_id: str) -> FieldSet | Problem:
    """The values of `text`, or what is wrong with it, naming the field, its text and the allowed range."""
    mask, ops = 0, []
    try:
        if text == "?" and field not in (DAY_OF_MONTH, DAY_OF_WEEK):
            raise FieldError("'?' belongs in the day fields only", "write * for every value")
        for item in text.split(","):
            op = _day_op(field, item.upper())
            if op is not None:
                ops.append(op)
            elif item == "?" and text != "?":
                raise FieldError("'?' must stand alone")
            else:
                mask |= _item(field, item.upper().replace("?", "*") if item == "?" else item.upper(), job_id)
    except FieldError as error:
        hint = error.hint or f"write values {field.low}-{field.high}, *, a list a,b, a range a-b or a step */n"
        message = f"{field.name} field {_shown(text)}: {error}; allowed: {field.span}"
        return Problem("cron_invalid", message, "cron", hint)
    return FieldSet(mask, text[:1] in ("*", "?"), tuple(dict.fromkeys(ops)))


_NUMBER = re.compile(r"[0-9]{1,4}")
_WEEKDAY = r"([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)"
_NTH = re.compile(_WEEKDAY + r"#([0-9]{1,4})")
_LAST = re.compile(_WEEKDAY + "L")
_NEAREST = re.compile(r"([0-9]{1,4})W")
_HASH = re.compile(r"H(?:\(([0-9]{1,4})-([0-9]{1,4})\))?(?:/([0-9]{1,4}))?")


def _day_op(field: Field, item: str) -> tuple[str, int, int] | None:
    """The day operator that `item` spells in this field, or None if it is an ordinary item."""
    if field is DAY_OF_MONTH:
        if item in ("L", "LW"):
            return item, 0, 0
        if near := _NEAREST.fullmatch(item):
            return "W", _value(field, near[1]), 0
    elif field is DAY_OF_WEEK:
        if nth := _NTH.fullmatch(item):
            if not 1 <= int(nth[2]) <= 5:
                raise FieldError(f"#{nth[2]} must be #1 to #5", "FRI#2 is the second Friday of the month")
            return "#", _value(field, nth[1]) % 7, int(nth[2])
        if last := _LAST.fullmatch(item):
            return "dL", _value(field, last[1]) % 7, 0
        if item == "L":
            raise FieldError("L needs a weekday before it", "FRIL or 5L is the last Friday of the month")
    if field not in (DAY_OF_MONTH, DAY_OF_WEEK) and item in ("L", "LW"):
        raise FieldError(f"{item!r} belongs in the day fields only")
    return None


def _item(field: Field, item: str, job_id: str) -> int:
    """The mask of one list item: `*`, a value, a range, each with a step, or H."""
    if not item:
        raise FieldError("an empty item", "remove the extra comma")
    if item.startswith("H") and field.name != "year" and (match := _HASH.fullmatch(item)):
        return _hashed(field, match, job_id)
    base, slash, step_text = item.partition("/")
    step = _step(field, step_text) if slash else 1
    if base == "*":
        values = range(field.low, _top(field) + 1)
    elif "-" in base:
        values_list = _range(field, base)
        return _bits(field, values_list[::step])
    else:
        first = _value(field, base)
        values = range(first, (max(first, _top(field)) if slash else first) + 1)
    return _bits(field, list(values[::step]))


def _range(field: Field, base: str) -> list[int]:
    """The values of `a-b` in order; `b` before `a` wraps around the end of the field."""
    first_text, _, last_text = base.partition("-")
    first, last = _value(field, first_text), _value(field, last_text)
    if field is DAY_OF_WEEK and first == 7 and last != 7:
        first = 0
    if first <= last:
        return list(range(first, last + 1))
    if field is YEAR:
        raise FieldError(f"{base} runs backwards", "write the earlier year first")
    return [*range(first, _top(field) + 1), *range(field.low, last + 1)]


def _step(field: Field, text: str) -> int:
    size = _top(field) - field.low + 1
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= size:
        raise FieldError(f"step {_shown(text)} must be a number from 1 to {size}", f"*/n means every n-th {field.name}")
    return int(text)


def _value(field: Field, text: str) -> int:
    for name, number in field.names:
        if text == name:
            return number
    if not _NUMBER.fullmatch(text):
        raise FieldError(f"{_shown(text)} is not a value")
    value = int(text)
    if not field.low <= value <= field.high:
        raise FieldError(f"{value} is out of range", _wrong_order(field, value))
    return value


def _wrong_order(field: Field, value: int) -> str:
    if field is MINUTE and value <= 9999:
        return "the order is: minute hour day-of-month month day-of-week"
    return "24:00 is 0:00 of the next day: write 0" if field is HOUR and value == 24 else ""


def _hashed(field: Field, match: re.Match[str], job_id: str) -> int:
    """`H`, `H(a-b)`, `H/n`, `H(a-b)/n`: a value of the range, by SHA-256 of (job id, field)."""
    low, high = field.low, 28 if field is DAY_OF_MONTH else _top(field)
    if match[1] is not None:
        low, high = _value(field, match[1]), _value(field, match[2])
        if low > high:
            raise FieldError(f"H({match[1]}-{match[2]}) runs backwards")
    draw = int.from_bytes(sha256(f"{job_id}\n{field.name}".encode("utf-8", "surrogatepass")).digest()[:8], "big")
    if match[3] is None:
        return _bits(field, [low + draw % (high - low + 1)])
    step = _step(field, match[3])
    return _bits(field, list(range(low + draw % min(step, high - low + 1), high + 1, step)))


def _top(field: Field) -> int:
    return 6 if field is DAY_OF_WEEK else field.high


def _bits(field: Field, values: list[int]) -> int:
    mask = 0
    for value in values:
        mask |= 1 << (value % 7 if field is DAY_OF_WEEK else value)
    return mask


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}… ({len(text)} characters)"
