"""Cron expressions: `30 2 * * *`, six and seven fields, macros.

The evaluator is our own. A job whose minute or hour field starts with `*` is a wildcard job, any other is fixed; across
a clock change of under three hours a fixed job runs exactly once, and a wildcard job just follows the clock (the rule
that Debian's cron documents).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from gnomon.core.errors import Problem, UsageError
from gnomon.core.rules import Rule
from gnomon.schedules.cron_days import DaySearch
from gnomon.schedules.cron_parse import Cron, normalise, parse_cron
from gnomon.schedules.kinds import Canonical, Context, choice, shown
from gnomon.schedules.walls import ZonedRule
from gnomon.schedules.zones import DAY, LAST

GAP = ("after", "skip")
FOLD = ("first", "second", "both")


class CronWalls:
    """The wall-clock seconds that an expression matches (a `Walls`)."""

    __slots__ = ("_days", "_first", "_first_second", "_hours", "_last", "_minutes", "_per_day", "_seconds")

    def __init__(self, cron: Cron) -> None:
        self._days = DaySearch(cron.days)
        self._seconds, self._minutes, self._hours = cron.seconds, cron.minutes, cron.hours
        self._first_second = _lowest(cron.seconds)
        self._first = _lowest(cron.hours) * 3600 + _lowest(cron.minutes) * 60 + self._first_second
        self._last = self._before(DAY - 1)
        self._per_day = cron.hours.bit_count() * cron.minutes.bit_count() * cron.seconds.bit_count()

    def next(self, wall: int) -> int | None:
        """The first match at or after `wall`."""
        if wall > LAST:
            return None
        day, second = divmod(wall, DAY)
        if self._days.has(day):
            found = self._at_or_after(second)
            if found is not None:
                return day * DAY + found
        later = self._days.next(day + 1)
        return None if later is None else later * DAY + self._first

    def prev(self, wall: int) -> int | None:
        """The last match at or before `wall`."""
        if wall < 0:
            return None
        day, second = divmod(wall, DAY)
        if self._days.has(day):
            found = self._before(second)
            if found >= 0:
                return day * DAY + found
        earlier = self._days.prev(day - 1)
        return None if earlier is None else earlier * DAY + self._last

    def count(self, low: int, high: int) -> int:
        """How many matches lie in [low, high): whole days by their number, the two ends by arithmetic."""
        first, first_second = divmod(low, DAY)
        last, last_second = divmod(high, DAY)
        head = self._below(first_second) if first_second and self._days.has(first) else 0
        tail = self._below(last_second) if last_second and self._days.has(last) else 0
        return self._days.count(first, last) * self._per_day - head + tail

    def _at_or_after(self, second: int) -> int | None:
        """The first time of day at or after `second`."""
        hour, rest = divmod(second, 3600)
        if self._hours >> hour & 1:
            minute, rest = divmod(rest, 60)
            if self._minutes >> minute & 1:
                left = self._seconds >> rest
                if left:
                    return second + (left & -left).bit_length() - 1
            left = self._minutes >> (minute + 1)
            if left:
                return hour * 3600 + (minute + (left & -left).bit_length()) * 60 + self._first_second
        left = self._hours >> (hour + 1)
        if not left:
            return None
        return (hour + (left & -left).bit_length()) * 3600 + self._first % 3600

    def _before(self, second: int) -> int:
        """The last time of day at or before `second`, or -1."""
        hour, rest = divmod(second, 3600)
        minute, rest = divmod(rest, 60)
        if self._hours >> hour & 1:
            if self._minutes >> minute & 1:
                left = self._seconds & ((2 << rest) - 1)
                if left:
                    return hour * 3600 + minute * 60 + left.bit_length() - 1
            left = self._minutes & ((1 << minute) - 1)
            if left:
                return hour * 3600 + (left.bit_length() - 1) * 60 + self._seconds.bit_length() - 1
        left = self._hours & ((1 << hour) - 1)
        if not left:
            return -1
        top = (self._minutes.bit_length() - 1) * 60 + self._seconds.bit_length() - 1
        return (left.bit_length() - 1) * 3600 + top

    def _below(self, second: int) -> int:
        """How many times of day lie before `second`."""
        hour, rest = divmod(second, 3600)
        minute, rest = divmod(rest, 60)
        per_minute = self._seconds.bit_count()
        total = (self._hours & ((1 << hour) - 1)).bit_count() * self._minutes.bit_count() * per_minute
        if self._hours >> hour & 1:
            total += (self._minutes & ((1 << minute) - 1)).bit_count() * per_minute
            if self._minutes >> minute & 1:
                total += (self._seconds & ((1 << rest) - 1)).bit_count()
        return total


class CronKind:
    """`cron: "30 2 * * *"`, with `gap: after|skip` and `fold: first|second|both`."""

    name = "cron"
    keys = ("cron", "gap", "fold")

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """Any text that no other kind claims is a cron expression."""
        return self.parse_mapping({"cron": text}, context)

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """Checks the expression and the two options."""
        problems: list[Problem] = []
        rule: Canonical = {}
        text = value["cron"]
        if isinstance(text, str):
            try:
                rule["cron"] = _cached(normalise(text), context.job_id).text
            except UsageError as error:
                problems += error.problems
        else:
            message = f"a cron expression is a string, not {shown(text)}"
            problems.append(Problem("cron_invalid", message, "cron", 'put it in quotes: "30 2 * * *"'))
        for key, allowed in (("gap", GAP), ("fold", FOLD)):
            if key in value:
                problem = choice(value[key], key, allowed)
                problems += [problem] if problem else []
                rule[key] = value[key]
        if problems:
            raise UsageError(*problems)
        return rule

    def describe(self, rule: Mapping[str, object]) -> str:
        """The expression, and the options where given."""
        return " ".join([str(rule["cron"]), *(f"{key}={rule[key]}" for key in ("gap", "fold") if key in rule)])

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """The evaluator in the context's zone."""
        cron = _cached(str(rule["cron"]), context.job_id)
        gap = str(rule.get("gap", "skip" if cron.wildcard else "after"))
        fold = str(rule.get("fold", "both" if cron.wildcard else "first"))
        return ZonedRule(CronWalls(cron), context.zone, gap=gap, fold=fold, corrections=True)

    def warnings(self, rule: Mapping[str, object], job_id: str) -> tuple[str, ...]:
        """What is legal and probably not meant."""
        return _cached(str(rule["cron"]), job_id).warnings


CRON = CronKind()


@lru_cache(maxsize=4096)
def _cached(text: str, job_id: str) -> Cron:
    return parse_cron(text, job_id if "h" in text.lower() else "")


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
