"""The schedules of a job, in all the ways they may be written."""

from __future__ import annotations

from collections.abc import Mapping

from gnomon.core.errors import UsageError
from gnomon.core.rules import ScheduleSpec

from .context import Context, Given
from .readers import BAD, Bad, plain, wrong_type
from .report import At
from .tree import Mapping_, Seq, Value

MAX_SCHEDULES = 1_000


def read_schedules(given: Given, job_id: str, timezone: str, context: Context) -> tuple[ScheduleSpec, ...] | Bad:
    """All schedule entries of a job, in the order written."""
    if given.has("schedule"):
        value, at = given.value("schedule"), given.place("schedule")
        if isinstance(value, Seq):
            return wrong_type(value, at, "one schedule", "write `schedules:` for a list")
        return _entries([(value, at)], job_id, timezone, context)
    if given.has("schedules"):
        value, at = given.value("schedules"), given.place("schedules")
        if not isinstance(value, Seq):
            return wrong_type(value, at, "a list", "write `schedule:` for a single one")
        if len(value) > MAX_SCHEDULES:
            at.problem("out_of_range", f"a job has at most {MAX_SCHEDULES:,} schedules, this one {len(value):,}")
            return BAD
        entries = [(item, at.child(index)) for index, item in enumerate(value)]
        return _entries(entries, job_id, timezone, context)
    if given.has("interval_seconds") or given.has("start_time"):
        spec = _from_elsewhere(given, job_id, timezone, context)
        return BAD if isinstance(spec, Bad) else (spec,)
    return ()


def _entries(
    entries: list[tuple[Value, At]], job_id: str, timezone: str, context: Context
) -> tuple[ScheduleSpec, ...] | Bad:
    specs: list[ScheduleSpec] = []
    bad = False
    for value, at in entries:
        if not isinstance(value, (str, Mapping_)):
            bad = isinstance(wrong_type(value, at, "a schedule", "write a text or a mapping"), Bad)
            continue
        try:
            spec = context.kinds.parse(plain(value), default_timezone=timezone, job_id=job_id)
        except UsageError as error:
            at.refused(error)
            bad = True
            continue
        for sentence in context.kinds.warnings(spec, job_id=job_id):
            at.warning("schedule_warning", sentence)
        specs.append(spec)
    return BAD if bad else tuple(specs)


def _from_elsewhere(given: Given, job_id: str, timezone: str, context: Context) -> ScheduleSpec | Bad:
    """`interval_seconds` (from `start_time` on), or `start_time` alone: once."""
    value: Mapping[str, object]
    if given.has("interval_seconds"):
        seconds = given.value("interval_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            return wrong_type(seconds, given.place("interval_seconds"), "a number of seconds")
        value = {"every": seconds}
        if given.has("start_time"):
            start = plain(given.value("start_time"))
            value = {**value, "anchor": start, "start": start}
    else:
        value = {"at": plain(given.value("start_time"))}
    try:
        return context.kinds.parse(value, default_timezone=timezone, job_id=job_id)
    except UsageError as error:
        for item in error.problems:
            key = "interval_seconds" if item.key == "every" else "start_time"
            at = given.place(key)
            at.report.add(item.code, item.message, at.path, item.hint)
        return BAD
