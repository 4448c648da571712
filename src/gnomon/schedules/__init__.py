"""When: every kind of schedule, one file each, pure. May import `gnomon.core` only.

A new kind is one file with an object that has the methods of `kinds.Kind`, and one entry in `BUILTIN`.
Text is offered to the kinds in that order; cron comes last because it claims everything.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.core.rules import Fire, Rule, ScheduleSpec
from gnomon.core.values import JsonObject
from gnomon.schedules.calendar import CALENDAR
from gnomon.schedules.cron import CRON
from gnomon.schedules.entries import COMMON_KEYS, common_mapping, from_elsewhere, read_common
from gnomon.schedules.exclusions import Exclusions
from gnomon.schedules.ical import stamp_of
from gnomon.schedules.interval import EVERY
from gnomon.schedules.kinds import Canonical, Context, Kind, nearest, shown
from gnomon.schedules.once import AT
from gnomon.schedules.rolling import Rolled
from gnomon.schedules.rrule import RRULE
from gnomon.schedules.startup import STARTUP
from gnomon.schedules.window import Windowed
from gnomon.schedules.zones import Zone, get_zone, load_zone, tzdata_versions

__all__ = ["BUILTIN", "Kinds", "load_zone", "next_fires", "tzdata_versions"]

BUILTIN: tuple[Kind, ...] = (STARTUP, RRULE, AT, EVERY, CALENDAR, CRON)
_MAX_TEXT = 10_000
_MAX_KEYS = 100
_MINUTE = timedelta(seconds=60)


class Kinds:
    """The schedule room as others see it (`core.rules.ScheduleKinds`)."""

    def __init__(self, kinds: Sequence[Kind] = BUILTIN) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def names(self) -> Sequence[str]:
        """Names of the kinds there are."""
        return list(self._kinds)

    def parse(self, value: object, *, default_timezone: str, job_id: str) -> ScheduleSpec:
        """Read one `schedule:` value into canonical form. Raises UsageError with all problems at once."""
        if isinstance(value, str):
            context = Context(get_zone(default_timezone), job_id)
            try:
                kind, rule = self._read_text(value, context)
            except UsageError as error:
                raise UsageError(*(replace(problem, key="") for problem in error.problems)) from None
            return ScheduleSpec(kind.name, cast(JsonObject, rule), context.zone.key)
        if not isinstance(value, Mapping):
            hint = 'write "30 2 * * *", "every 30s", or a mapping such as {cron: "30 2 * * *"}'
            raise usage("schedule_invalid", f"a schedule is a string or a mapping, not {shown(value)}", hint=hint)
        if len(value) > _MAX_KEYS:
            raise usage("schedule_invalid", f"a schedule has {len(value)} keys; at most {_MAX_KEYS} are allowed")
        return self._read_mapping(from_elsewhere(value), default_timezone, job_id)

    def dump(self, spec: ScheduleSpec) -> JsonObject:
        """The canonical mapping of `spec`; `parse` gives `spec` again."""
        return cast(JsonObject, {**spec.rule, **common_mapping(spec)})

    def describe(self, spec: ScheduleSpec) -> str:
        """The rule in one line."""
        return self._kind(spec.kind).describe(spec.rule)

    def warnings(self, spec: ScheduleSpec, *, job_id: str) -> tuple[str, ...]:
        """What is legal and probably not meant (both day fields restricted, `0-23`), or read differently by others."""
        if spec.kind == CRON.name:
            return CRON.warnings(spec.rule, job_id)
        return RRULE.warnings(spec.rule) if spec.kind == RRULE.name else ()

    def stamp(self, spec: ScheduleSpec) -> Hashable:
        """Another value whenever a calendar that `spec` names has changed, is gone, or is back."""
        return tuple(stamp_of(item[5:]) for item in spec.exclude if item.startswith("ical:"))

    def build(self, spec: ScheduleSpec, *, schedule_id: str, job_id: str, anchor: datetime) -> Rule:
        """The evaluator of `spec`; intervals without an anchor count from `anchor`, when the entry was first seen."""
        zone = get_zone(spec.timezone)
        rule = self._kind(spec.kind).build(spec.rule, Context(zone, job_id, anchor))
        exclusions = Exclusions(spec.exclude) if spec.exclude else None
        if exclusions is not None and spec.roll is not None:
            rule, exclusions = Rolled(rule, exclusions, zone, spec.roll), None
        if spec.start is None and spec.end is None and exclusions is None:
            return rule
        return Windowed(rule, spec.start, spec.end, exclusions)

    def _kind(self, name: str) -> Kind:
        if name not in self._kinds:
            hint = nearest(name, tuple(self._kinds))
            raise usage("kind_unknown", f"no schedule kind is called {shown(name)}", hint=hint)
        return self._kinds[name]

    def _read_text(self, text: str, context: Context) -> tuple[Kind, Canonical]:
        if len(text) > _MAX_TEXT or not text.strip():
            what = f"has {len(text)} characters; at most {_MAX_TEXT} are allowed" if text.strip() else "is empty"
            hint = 'write for example "30 2 * * *", "every 30s" or "2026-12-20T02:00:00Z"'
            raise usage("schedule_invalid", f"the schedule {what}", hint=hint)
        for kind in self._kinds.values():
            rule = kind.parse_text(text, context)
            if rule is not None:
                return kind, rule
        raise usage("schedule_invalid", f"{shown(text)} is not a schedule")

    def _read_mapping(self, value: Mapping[object, object], default_timezone: str, job_id: str) -> ScheduleSpec:
        problems: list[Problem] = []
        zone = get_zone("UTC")
        try:
            name = value.get("timezone")
            zone = get_zone(default_timezone if name is None else name)
        except UsageError as error:
            problems += error.problems
        kind = self._chosen(value, problems)
        known = (*COMMON_KEYS, *(kind.keys if kind else [key for k in self._kinds.values() for key in k.keys]))
        for key in value:
            if key not in known:
                problems.append(self._stray(key, kind, known))
        rule: Canonical = {}
        if kind is not None:
            try:
                own = {key: value[key] for key in kind.keys if key in value}
                rule = kind.parse_mapping(own, Context(zone, job_id))
            except UsageError as error:
                problems += error.problems
        common = read_common(value, zone)
        problems += common.problems
        if problems or kind is None:
            raise UsageError(*problems)
        spec = ScheduleSpec(
            kind=kind.name,
            rule=cast(JsonObject, rule),
            timezone=zone.key,
            name=common.name,
            start=common.start,
            end=common.end,
            jitter_s=common.jitter_s,
            exclude=common.exclude,
            roll=common.roll,
            enabled=common.enabled,
            parameters=cast(JsonObject, common.parameters),
        )
        if spec.roll is not None:
            self._check_roll(spec, zone, job_id)
        return spec

    def _chosen(self, value: Mapping[object, object], problems: list[Problem]) -> Kind | None:
        """The kind whose key is in the mapping."""
        present = [kind for kind in self._kinds.values() if kind.name in value]
        names = ", ".join(self._kinds)
        if not present:
            problems.append(Problem("rule_missing", f"a schedule needs one of {names}", hint='cron: "30 2 * * *"'))
            return None
        if len(present) > 1:
            both = " and ".join(kind.name for kind in present)
            message = f"{both} are given; a schedule has one rule"
            problems.append(Problem("rule_ambiguous", message, present[1].name, "write two entries under schedules:"))
        return present[0]

    def _stray(self, key: object, kind: Kind | None, known: tuple[str, ...]) -> Problem:
        """A key that does not belong here: unknown, or another kind's."""
        shown_key = key if isinstance(key, str) and len(key) <= 60 else shown(key)
        owner = next((k for k in self._kinds.values() if key in k.keys), None)
        if owner is not None and kind is not None:
            return Problem(
                "key_unknown", f"{shown_key} goes with {owner.name}:, not with {kind.name}:", shown_key, "remove it"
            )
        return Problem("key_unknown", f"{shown_key} is not a key of a schedule", shown_key, nearest(key, known))

    def _check_roll(self, spec: ScheduleSpec, zone: Zone, job_id: str) -> None:
        anchor = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        rule = self._kind(spec.kind).build(spec.rule, Context(zone, job_id, anchor))
        first = rule.next(anchor)
        if first is not None and first.at.year < 9999 and rule.count(first.at, first.at + _MINUTE) > 1:
            message = "roll needs a schedule that fires at most once a minute"
            raise usage("roll_too_often", message, key="roll", hint="drop roll: the fires are removed instead")


def next_fires(rule: Rule, after: datetime, count: int) -> Iterator[Fire]:
    """The next `count` fires strictly after `after`, excluded ones included (they carry `excluded`)."""
    for _ in range(count):
        fire = rule.next(after)
        if fire is None:
            return
        yield fire
        after = fire.at
