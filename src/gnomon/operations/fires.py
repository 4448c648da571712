"""When something fires next: a job's entries, or a schedule that is not saved anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import merge

from gnomon.core.errors import UsageError, usage
from gnomon.core.records import ScheduleRecord
from gnomon.core.rules import Fire, Rule, ScheduleKinds
from gnomon.core.values import JsonObject
from gnomon.jobfiles.readers import plain
from gnomon.jobfiles.reading import read

from .context import Desk
from .lookup import find_job
from .views import fire_view

MOST = 100_000
MOST_REMOVED = 10_000


def next_fires(
    desk: Desk, what: object, *, timezone: str | None = None, after: datetime | None = None, count: int = 5
) -> JsonObject:
    """The next `count` fires after `after` (default: now) of a job, or of anything a `schedule:` takes.

    Returns `{"fires": [{"at", "local", "note"}], "removed": […], "description": …}`; `removed`: what holidays and
    other exclusions take out of the same stretch.

    Raises:
        UsageError: neither a job nor a schedule; count out of range.
    """
    start = after or desk.clock.now()
    if isinstance(what, str) and (entries := _entries(desk, what)) is not None:
        rules = [desk.engine.rules.of(e) for e in entries]
        described = "; ".join(desk.kinds.describe(e.spec) for e in entries)
        return _answer([rule for rule in rules if rule is not None], described, start, count)
    return fires_of(desk.kinds, what, timezone=timezone or desk.timezone, after=start, count=count)


def fires_of(kinds: ScheduleKinds, what: object, *, timezone: str, after: datetime, count: int) -> JsonObject:
    """`next_fires` of a schedule that is saved nowhere."""
    spec = kinds.parse(what, default_timezone=timezone, job_id="preview")
    rule = kinds.build(spec, schedule_id="preview:default", job_id="preview", anchor=after)
    return _answer([rule], kinds.describe(spec), after, count)


def _answer(rules: list[Rule], description: str, after: datetime, count: int) -> JsonObject:
    if not 1 <= count <= MOST:
        raise usage("count_out_of_range", f"count is {count}", key="count", hint=f"1 to {MOST}")
    fires: list[Fire] = []
    removed: list[Fire] = []
    for fire in merge(*(_stream(rule, after) for rule in rules), key=lambda fire: fire.at):
        (fires if fire.excluded is None else removed).append(fire)
        if len(fires) == count or len(removed) >= MOST_REMOVED:
            break
    return {
        "fires": [fire_view(f) for f in fires],
        "removed": [fire_view(f) for f in removed],
        "description": description,
    }


def schedule_value(text: str) -> object:
    """What a person wrote as a schedule in one word of a command line: `{…}` is a mapping, in YAML, else it is text.

    Raises:
        UsageError: the mapping cannot be read.
    """
    if not text.lstrip().startswith("{"):
        return text
    document = read(text.encode("utf-8", "surrogateescape"), "schedule.yaml")
    if isinstance(document, list):
        raise UsageError(*(replace(problem, file=None) for problem in document))
    return plain(document.root)


def _entries(desk: Desk, name: str) -> tuple[ScheduleRecord, ...] | None:
    """The entries of the job called `name`, or None if there is no such job."""
    entry = desk.store.read(lambda reader: reader.schedule(name))
    if entry is not None:
        return (entry,)
    try:
        record = desk.store.read(lambda reader: find_job(reader, name))
    except UsageError:
        return None
    return desk.store.read(lambda reader: reader.schedules_of([record.job_id]).get(record.job_id, ()))


def _stream(rule: Rule, after: datetime) -> Iterator[Fire]:
    fire = rule.next(after)
    while fire is not None:
        yield fire
        fire = rule.next(fire.at)


def around(rule: Rule, moment: datetime) -> tuple[Fire | None, Fire | None]:
    """The last fire before `moment` and the first after it."""
    return rule.latest(moment - timedelta(microseconds=1)), rule.next(moment)
