"""What a schedule is to the rest of the house: a pure function from instants to fire times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .values import JsonObject


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire time.

    Attributes:
        at: the instant, aware, UTC. The identity of the fire within its schedule. Jitter is not in it.
        local: the same instant in the schedule's zone (aware).
        note: why it is not what the expression says literally (a clock change, a rolled holiday), or None.
        excluded: the exclusion that removes it ("holidays:DE-BE 2026-12-25 Christmas Day"), or None: it counts.
    """

    at: datetime
    local: datetime
    note: str | None = None
    excluded: str | None = None


class Rule(Protocol):
    """When. Stateless: answers depend on the arguments only, never on when the process started."""

    def next(self, after: datetime) -> Fire | None:
        """The first fire strictly after `after` (aware), or None if there is none."""

    def latest(self, until: datetime) -> Fire | None:
        """The last fire at or before `until` (aware), or None. Cost does not grow with the distance."""

    def count(self, after: datetime, until: datetime) -> int:
        """How many fires lie in (after, until], excluded ones included; exact, and cheap for long stretches."""


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """A schedule entry as written, in canonical form: plain values, no evaluator.

    Attributes:
        kind: name of the schedule kind: cron, every, calendar, at, rrule, startup.
        rule: canonical arguments of that kind (JSON), e.g. {"cron": "30 2 * * *"}.
        timezone: IANA name of the zone the rule is read in.
        name: the entry's own name, or None.
        start, end: fires before `start` or after `end` do not exist (aware UTC), or None.
        jitter_s: seconds; a fire starts up to this much later, by a hash of (schedule, fire time).
        exclude: what removes fires: ISO dates, "holidays:DE-BE", "ical:/path/file.ics".
        roll: None (remove), "previous" or "next": move an excluded fire to the nearest day that is not.
        enabled: False keeps the entry and never fires it.
        parameters: values for the runs of this entry (JSON).
    """

    kind: str
    rule: JsonObject
    timezone: str = "UTC"
    name: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    jitter_s: float = 0.0
    exclude: tuple[str, ...] = ()
    roll: str | None = None
    enabled: bool = True
    parameters: JsonObject = field(default_factory=dict)


class ScheduleKinds(Protocol):
    """The schedule room as others see it: from what a person wrote to a rule that can be asked."""

    def names(self) -> Sequence[str]:
        """Names of the kinds there are."""

    def parse(self, value: object, *, default_timezone: str, job_id: str) -> ScheduleSpec:
        """Read one `schedule:` value (string or mapping) into canonical form.

        Raises:
            UsageError: with one problem per mistake; `key` is relative to the value ("" for a string,
                "cron", "calendar.day", …), and the message names field and allowed range.
        """

    def dump(self, spec: ScheduleSpec) -> JsonObject:
        """The canonical mapping of `spec` (JSON); `parse(dump(spec))` gives `spec` again."""

    def describe(self, spec: ScheduleSpec) -> str:
        """The rule as a person would write it in one line (the cron expression, "every 30s", …)."""

    def warnings(self, spec: ScheduleSpec, *, job_id: str) -> Sequence[str]:
        """What is legal and probably not meant, one sentence each."""

    def stamp(self, spec: ScheduleSpec) -> Hashable:
        """Another value whenever a file that `spec` names (a calendar) has changed, is gone, or is back; () if none."""

    def build(self, spec: ScheduleSpec, *, schedule_id: str, job_id: str, anchor: datetime) -> Rule:
        """The evaluator of `spec`, exclusions, window and zone applied.

        Args:
            anchor: the instant the entry was first seen; intervals without an anchor count from it.
        """
