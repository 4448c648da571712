"""Calendar intervals: every n days, weeks, months or years, at a time of the wall clock.

Occurrence k is anchor + k * unit, never previous + unit: "the 31st" comes back after a short month. In a gap the time
moves by the gap's length (RFC 5545 does the same); in a fold the first pass counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date

from gnomon.core.rules import Rule
from gnomon.schedules.calendar_parse import (
    LAST_OF_MONTH,
    MONTHS,
    WEEKDAYS,
    Plan,
    canonical,
    clock,
    parse_plan,
    parse_sentence,
    plan_of,
)
from gnomon.schedules.cron_days import LAST_DAY, month_length
from gnomon.schedules.kinds import Canonical, Context
from gnomon.schedules.periods import PeriodWalls
from gnomon.schedules.walls import ZonedRule
from gnomon.schedules.zones import DAY, EPOCH_UTC


@dataclass(frozen=True, slots=True)
class CalendarCycle:
    """The members of one day, week, month or year of a plan (a `Cycle`)."""

    plan: Plan

    def number(self, day: int) -> int:
        """Number of the day, week (from Monday), month or year that holds `day`; day 0 is 0001-01-01, a Monday."""
        if self.plan.unit in ("day", "week"):
            return day if self.plan.unit == "day" else day // 7
        at = date.fromordinal(day + 1)
        return at.year - 1 if self.plan.unit == "year" else (at.year - 1) * 12 + at.month - 1

    def members(self, number: int) -> list[int]:
        """The wall seconds of a period, ascending."""
        plan = self.plan
        if plan.unit == "day":
            days = [number]
        elif plan.unit == "week":
            days = [number * 7 + weekday for weekday in plan.weekdays]
        elif plan.unit == "month":
            days = self._in_month(number // 12 + 1, number % 12 + 1)
        else:
            days = [day for month in plan.months for day in self._in_month(number + 1, month)]
        return [day * DAY + time for day in days if day <= LAST_DAY for time in plan.times]

    def onward(self, number: int) -> int:
        """Any period may have members."""
        return number

    def whole(self, periods: range) -> int:
        """By their number where all periods are alike."""
        if self.plan.even:
            return len(periods) * self.plan.per_period
        return sum(len(self.members(period)) for period in periods)

    def _in_month(self, year: int, month: int) -> list[int]:
        length = month_length(year, month)
        clamp = self.plan.clamp
        days = {min(day, length) for day in self.plan.days if clamp or day <= length or day == LAST_OF_MONTH}
        first = date(year, month, 1).toordinal() - 2
        return [first + day for day in sorted(days)]


class CalendarKind:
    """`calendar: {every: "1 month", day: 31, at: "09:00"}`, or the sentence `every month on day 31 at 09:00`."""

    name = "calendar"
    keys = ("calendar",)

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """Any sentence that begins with `every`."""
        body = text.strip()
        if body[:6].lower().rstrip() != "every":
            return None
        return {"calendar": canonical(parse_sentence(body))}

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """The keys every, day, on, month, at, missing, anchor, or a sentence."""
        written = value["calendar"]
        if isinstance(written, str):
            return {"calendar": canonical(parse_sentence(written))}
        return {"calendar": canonical(parse_plan(written))}

    def describe(self, rule: Mapping[str, object]) -> str:
        """The sentence, which reads back as the same rule."""
        plan = plan_of(rule["calendar"])
        units = plan.unit if plan.every == 1 else f"{plan.every} {plan.unit}s"
        on = ""
        if plan.unit == "week":
            on = " on " + ", ".join(WEEKDAYS[day] for day in plan.weekdays)
        elif plan.unit in ("month", "year"):
            days = ", ".join("the last day" if day == LAST_OF_MONTH else str(day) for day in plan.days)
            months = ", ".join(MONTHS[month - 1] for month in plan.months) if plan.unit == "year" else "day"
            on = f" on {months} {days}".replace("day the last day", "the last day")
        times = ", ".join(clock(time) for time in plan.times)
        missing = "" if plan.clamp or plan.unit in ("day", "week") else " or skip"
        start = f" from {plan.anchor.isoformat()}" if plan.anchor else ""
        return f"every {units}{on} at {times}{missing}{start}"

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """Counts periods from the rule's anchor date, or from the one in which the entry was first seen."""
        plan = plan_of(rule["calendar"])
        cycle = CalendarCycle(plan)
        if plan.anchor is not None:
            day, floor = plan.anchor.toordinal() - 1, (plan.anchor.toordinal() - 1) * DAY
        else:
            seen = context.zone.local((context.anchor or EPOCH_UTC).astimezone(UTC))
            day, floor = seen.toordinal() - 1, 0
        walls = PeriodWalls(cycle, every=plan.every, phase=cycle.number(day), floor=floor, budget=_BUDGET)
        return ZonedRule(walls, context.zone, gap="shift", fold="first", corrections=False)


CALENDAR = CalendarKind()
_BUDGET = 100  # 29 February comes at least every 8 years, whatever multiple of a year is asked for
