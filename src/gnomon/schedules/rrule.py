"""RFC 5545 recurrence rules on wall-clock time, from a local start, with our own gap and fold mapping.

The evaluator is our own: `next`, `latest` and `count` jump by arithmetic wherever DTSTART lies, and a rule that never
fires ends its search after a bounded number of steps. In a gap a time moves by the gap's length; in a fold the first
pass counts (section 3.3.5). UNTIL as a date alone includes that whole day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.core.rules import Rule
from gnomon.schedules.kinds import Canonical, Context, shown
from gnomon.schedules.moments import read_stamp
from gnomon.schedules.periods import PeriodWalls
from gnomon.schedules.rrule_cycles import DayCycle, FineWalls, Limited
from gnomon.schedules.rrule_parse import Recur, parse_rrule
from gnomon.schedules.walls import Walls, ZonedRule
from gnomon.schedules.zones import DAY, EPOCH_UTC, Zone, to_seconds, wall_seconds

_BASIC = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?")
_BUDGETS = {"YEARLY": 1000, "MONTHLY": 6000, "WEEKLY": 25_000, "DAILY": 50_000}


def unlimited(recur: Recur, start: datetime) -> Walls:
    """The members of a rule from `start` (naive), without COUNT and UNTIL."""
    rule, floor = recur.starting(start), wall_seconds(start)
    if recur.freq not in _BUDGETS:
        return FineWalls(rule, floor)
    cycle = DayCycle(rule)
    phase = cycle.number(floor // DAY)
    return PeriodWalls(cycle, every=rule.interval, phase=phase, floor=floor, budget=_BUDGETS[recur.freq])


def walls_of(recur: Recur, start: datetime, zone: Zone) -> Walls:
    """The members of a rule from `start` (naive, local to `zone`), up to COUNT or UNTIL."""
    walls = unlimited(recur, start)
    until: int | None = None
    if recur.until is not None and recur.until.tzinfo is not None:
        instant = to_seconds(recur.until)
        until = instant + zone.offset(instant)
    elif recur.until is not None:
        until = wall_seconds(recur.until)
    if recur.count is None and until is None:
        return walls
    return Limited(walls, wall_seconds(start), recur.count, until)


class RRuleKind:
    """`rrule: FREQ=MONTHLY;BYDAY=-1FR`, with `dtstart:`; as text `RRULE:…`."""

    name = "rrule"
    keys = ("rrule", "dtstart")

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """Text that begins with `RRULE:` or `FREQ=`."""
        head = text.lstrip()[:6].upper()
        return self.parse_mapping({"rrule": text}, context) if head.startswith(("RRULE:", "FREQ=")) else None

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """The rule in upper case and the start as local time."""
        problems: list[Problem] = []
        recur, start = None, None
        try:
            recur = parse_rrule(value["rrule"])
        except UsageError as error:
            problems += error.problems
        try:
            start = _start(value["dtstart"], context.zone) if value.get("dtstart") is not None else None
        except UsageError as error:
            problems += error.problems
        if problems or recur is None:
            raise UsageError(*problems)
        firsts = [start] if start else [datetime(2000, 1, day) for day in range(1, 8)]  # any weekday
        never = any(unlimited(recur, first).next(wall_seconds(first)) is None for first in firsts)
        if never or (start and walls_of(recur, start, context.zone).next(wall_seconds(start)) is None):
            message = f"{shown(recur.text)} never fires: no date satisfies all its parts"
            hint = "relax BYMONTHDAY, BYSETPOS, UNTIL or INTERVAL"
            if not start:  # else it would depend on the day on which the file was first read
                message += ", at least if it begins on some weekdays"
                hint += ", or give the dtstart that it begins with"
            raise usage("rrule_never_fires", message, key="rrule", hint=hint)
        rule: Canonical = {"rrule": recur.text}
        return rule | ({"dtstart": start.isoformat()} if start else {})

    def describe(self, rule: Mapping[str, object]) -> str:
        """`RRULE:…`, and the start where given."""
        return f"RRULE:{rule['rrule']}" + (f" from {rule['dtstart']}" if "dtstart" in rule else "")

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """From the rule's start, or from the local time at which the entry was first seen."""
        recur = parse_rrule(rule["rrule"])
        if "dtstart" in rule:
            start = datetime.fromisoformat(str(rule["dtstart"]))
        else:
            start = context.zone.local(context.anchor or EPOCH_UTC).replace(tzinfo=None, microsecond=0)
        walls = walls_of(recur, start, context.zone)
        return ZonedRule(walls, context.zone, gap="shift", fold="first", corrections=False)

    def warnings(self, rule: Mapping[str, object]) -> tuple[str, ...]:
        """What others read differently."""
        return parse_rrule(rule["rrule"]).warnings()


RRULE = RRuleKind()


def _start(value: object, zone: Zone) -> datetime:
    """DTSTART as local time without fractions; an instant with an offset is read on the zone's clock."""
    if isinstance(value, str) and len(value) <= 20 and (match := _BASIC.fullmatch(value.strip().upper())):
        clock = f"T{match[4]}:{match[5]}:{match[6]}{match[7]}" if match[4] else ""
        value = f"{match[1]}-{match[2]}-{match[3]}{clock}"
    stamp = read_stamp(value, "dtstart")
    local = zone.local(stamp) if stamp.tzinfo is not None else stamp
    return local.replace(tzinfo=None, microsecond=0)
