"""One time: an instant with an offset, or local time in the schedule's zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gnomon.core.errors import Problem, UsageError
from gnomon.core.rules import Fire, Rule
from gnomon.schedules.kinds import Canonical, Context, choice
from gnomon.schedules.moments import DISAMBIGUATE, LOOKS_ISO, parse_moment


@dataclass(frozen=True, slots=True)
class Once:
    """A `Rule` with a single fire."""

    fire: Fire

    def next(self, after: datetime) -> Fire | None:
        """The fire, if it lies after `after`."""
        return self.fire if self.fire.at > after else None

    def latest(self, until: datetime) -> Fire | None:
        """The fire, if it is not later than `until`."""
        return self.fire if self.fire.at <= until else None

    def count(self, after: datetime, until: datetime) -> int:
        """1 if the fire lies in (after, until], else 0."""
        return 1 if after < self.fire.at <= until else 0


class OnceKind:
    """`at: 2026-12-20T02:00:00Z`, with `disambiguate:` for a local time in a clock change."""

    name = "at"
    keys = ("at", "disambiguate")

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """Anything that begins as an ISO date, optionally after the word `at`."""
        body = text.strip()
        body = body[3:].strip() if body[:3].lower() == "at " else body
        return self.parse_mapping({"at": body}, context) if LOOKS_ISO.fullmatch(body) else None

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """The time as written, in canonical ISO 8601: local times stay local."""
        how = value.get("disambiguate")
        problem = choice(how, "disambiguate", DISAMBIGUATE) if "disambiguate" in value else None
        problems: list[Problem] = [problem] if problem else []
        rule: Canonical = {}
        try:
            reading = str(how) if how is not None and problem is None else "compatible" if problem else None
            rule["at"] = parse_moment(value["at"], context.zone, "at", reading).text
        except UsageError as error:
            problems += error.problems
        if problems:
            raise UsageError(*problems)
        if how is not None:
            rule["disambiguate"] = how
        return rule

    def describe(self, rule: Mapping[str, object]) -> str:
        """`at 2026-12-20T02:00:00Z`."""
        return f"at {rule['at']}"

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """Resolved in the zone's data of today, so a changed zone moves a local time."""
        moment = parse_moment(rule["at"], context.zone, "at", str(rule.get("disambiguate", "compatible")))
        return Once(Fire(moment.at, context.zone.local(moment.at), moment.note))


AT = OnceKind()
