"""Fixed intervals: anchor + k * interval, in elapsed time. Nothing drifts and clock changes do not matter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gnomon.core.durations import format_duration, parse_duration
from gnomon.core.errors import Problem, UsageError
from gnomon.core.rules import Fire, Rule
from gnomon.schedules.kinds import Canonical, Context
from gnomon.schedules.moments import parse_moment
from gnomon.schedules.zones import EPOCH_UTC, Zone

_TEXT = re.compile(r"every[ \t]+(.{1,100})", re.IGNORECASE)
_CALENDAR_WORD = re.compile(r"(?:^|[^a-z])(?:days?|weeks?|months?|years?)(?:$|[^a-z])")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """A `Rule`: fires at `anchor` + k * `step`, for k from `first` on."""

    anchor: datetime
    step: timedelta
    first: int
    zone: Zone

    def next(self, after: datetime) -> Fire | None:
        """The first fire strictly after `after`, by division."""
        return self._fire(max((after - self.anchor) // self.step + 1, self.first))

    def latest(self, until: datetime) -> Fire | None:
        """The last fire at or before `until`, by division."""
        number = (until - self.anchor) // self.step
        return self._fire(number) if number >= self.first else None

    def count(self, after: datetime, until: datetime) -> int:
        """How many fires lie in (after, until]."""
        low = max((after - self.anchor) // self.step, self.first - 1)
        return max((until - self.anchor) // self.step - low, 0)

    def _fire(self, number: int) -> Fire | None:
        try:
            at = self.anchor + number * self.step
        except OverflowError:
            return None
        return Fire(at, self.zone.local(at))


class IntervalKind:
    """`every: 30s`, with `anchor:`; as text `every 30s`."""

    name = "every"
    keys = ("every", "anchor")

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """`every` and a duration. Days, weeks, months and years in words are calendar intervals."""
        match = _TEXT.fullmatch(text.strip())
        if match is None or _CALENDAR_WORD.search(match[1].lower()) or not match[1].strip()[:1].isdigit():
            return None
        return self.parse_mapping({"every": match[1]}, context)

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """The interval in canonical spelling, and the anchor as an instant."""
        problems: list[Problem] = []
        rule: Canonical = {}
        try:
            seconds = parse_duration(value["every"])
            if seconds < 0.001:
                message = f"an interval of {format_duration(seconds)} is too short: allowed are 1ms to 100 years"
                raise UsageError(Problem("interval_out_of_range", message, hint="write at least 1ms"))
            rule["every"] = format_duration(seconds)
        except UsageError as error:
            problems += [_with_calendar_hint(p, value["every"]) for p in error.problems]
        if value.get("anchor") is not None:
            try:
                moment = parse_moment(value["anchor"], context.zone, "anchor")
                rule["anchor"] = moment.at.isoformat().replace("+00:00", "Z")
            except UsageError as error:
                problems += error.problems
        if problems:
            raise UsageError(*problems)
        return rule

    def describe(self, rule: Mapping[str, object]) -> str:
        """`every 30s`, and the anchor where given."""
        return f"every {rule['every']}" + (f" from {rule['anchor']}" if "anchor" in rule else "")

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """Counts from the rule's anchor, which is a fire itself, or from one interval after the first sight."""
        step = timedelta(microseconds=round(parse_duration(rule["every"]) * 1_000_000))
        if "anchor" in rule:
            return Interval(datetime.fromisoformat(str(rule["anchor"])).astimezone(UTC), step, 0, context.zone)
        return Interval((context.anchor or EPOCH_UTC).astimezone(UTC), step, 1, context.zone)


EVERY = IntervalKind()


def _with_calendar_hint(problem: Problem, value: object) -> Problem:
    hint = problem.hint
    if isinstance(value, str) and len(value) <= 100 and re.search(r"month|year", value.lower()):
        hint = 'months and years differ in length: write calendar: {every: "1 month", day: 1, at: "09:00"}'
    return Problem(problem.code, problem.message, "every", hint)
