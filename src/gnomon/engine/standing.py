"""Finds schedules that wait for a time they should not wait for: decided, or first seen, by a clock that was ahead."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gnomon.core.health import Check, Level
from gnomon.core.planning import stands_until
from gnomon.core.ports import Reader, Store
from gnomon.core.records import Page, ScheduleFilter, ScheduleRecord
from gnomon.core.values import rfc3339

from .context import Context, Rules

logger = logging.getLogger("gnomon")
PAGE = 200
"""Entries looked at in one step."""
PERIOD_S = 600.0
REMEDY = "`gnomon schedules reset ID` starts one anew"


@dataclass(slots=True)
class Standing:
    """Looks through all entries when a node begins to plan, when its clock was set, and every ten minutes."""

    context: Context
    _found: dict[str, datetime] = field(default_factory=dict)
    _looking: dict[str, datetime] = field(default_factory=dict)
    _cursor: str | None = None
    _next_s: float = 0.0

    def again(self) -> None:
        """The clock was set: look now."""
        self._looking, self._cursor, self._next_s = {}, None, 0.0

    def step(self, store: Store, now: datetime, steady_s: float) -> bool:
        """One page; whether there are more."""
        if self._cursor is None and steady_s < self._next_s:
            return False

        def ask(reader: Reader) -> Page[ScheduleRecord]:
            return reader.schedules(ScheduleFilter(), PAGE, self._cursor)

        page = store.read(ask)
        self._looking.update(astray(self.context.rules, page.items, now))
        self._cursor = page.next
        if page.next is not None:
            return True
        fresh = self._looking.keys() - self._found.keys()
        self._found, self._looking, self._next_s = self._looking, {}, steady_s + PERIOD_S
        if fresh:
            logger.error("%s", said(self._found))
        return False

    def checks(self) -> Iterator[Check]:
        """For health."""
        if self._found:
            yield Check("clock_schedules", Level.DEGRADED, said(self._found))


def astray(rules: Rules, entries: tuple[ScheduleRecord, ...], now: datetime) -> Iterator[tuple[str, datetime]]:
    """Those of these entries that wait for a time they should not wait for, each with that time."""
    for entry in entries:
        asleep = entry.paused_at is not None or not entry.spec.enabled or (entry.cursor and not entry.due_at)
        rule = None if asleep else rules.of(entry)
        until = None if rule is None else stands_until(entry, rule, now)
        if until is not None:
            yield entry.schedule_id, until


def said(found: dict[str, datetime]) -> str:
    """Which they are, in words."""
    shown = ", ".join(f"{name} until {rfc3339(until)}" for name, until in sorted(found.items())[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    verb = "schedule waits" if len(found) == 1 else "schedules wait"
    return f"{len(found)} {verb} for a time of a clock that was wrong: {shown}{more}; {REMEDY}"
