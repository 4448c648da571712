"""When something fires next: a job's entries, or a schedule that is not saved anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import merge

from gnomon.core.errors import UsageError, usage
from gnomon.core.jitter import jitter
from gnomon.core.ports import Reader
from gnomon.core.records import JobRecord, ScheduleRecord
from gnomon.core.rules import Fire, Rule, ScheduleKinds, ScheduleSpec
from gnomon.core.values import JsonObject, rfc3339
from gnomon.jobfiles.readers import plain
from gnomon.jobfiles.reading import read

from .context import Desk
from .elsewhere import anywhere
from .lookup import find_job, find_schedule
from .views import fire_view

MOST = 100_000
MOST_REMOVED = 10_000


@anywhere
def next_fires(
    desk: Desk, what: object, *, timezone: str | None = None, after: datetime | None = None, count: int = 5
) -> JsonObject:
    """The next `count` fires after `after` (default: now) of a job, or of anything a `schedule:` takes.

    Returns `{"fires": [{"at", "local", "note"}], "removed": […], "description": …, "why": …}`; `removed`: what holidays
    and other exclusions take out of the same stretch; `why`: in words, why there are none, or none will run.

    Raises:
        UsageError: neither a job nor a schedule; count out of range.
    """
    start = after or desk.clock.now()
    if isinstance(what, str) and (known := _known(desk, what)) is not None:
        return _of_entries(desk, *known, start, count)
    return fires_of(desk.kinds, what, timezone=timezone or desk.timezone, after=start, count=count)


def job_fires(desk: Desk, job_id: str, after: datetime | None = None, count: int = 5) -> JsonObject:
    """`next_fires` of a job that must be there.

    Raises:
        NotFound: naming the nearest id.
    """

    def work(reader: Reader) -> tuple[JobRecord, Sequence[ScheduleRecord]]:
        record = find_job(reader, job_id)
        return record, reader.schedules_of([record.job_id]).get(record.job_id, ())

    return _of_entries(desk, *desk.store.read(work), after or desk.clock.now(), count)


def schedule_fires(desk: Desk, schedule_id: str, after: datetime | None = None, count: int = 5) -> JsonObject:
    """`next_fires` of an entry that must be there.

    Raises:
        NotFound: naming the nearest id.
    """

    def work(reader: Reader) -> tuple[JobRecord, Sequence[ScheduleRecord]]:
        entry = find_schedule(reader, schedule_id)
        return find_job(reader, entry.job_id), (entry,)

    return _of_entries(desk, *desk.store.read(work), after or desk.clock.now(), count)


def fires_of(kinds: ScheduleKinds, what: object, *, timezone: str, after: datetime, count: int) -> JsonObject:
    """`next_fires` of a schedule that is saved nowhere."""
    spec = kinds.parse(what, default_timezone=timezone, job_id="preview")
    rule = kinds.build(spec, schedule_id="preview:default", job_id="preview", anchor=after)
    return _answer([_Source(rule, spec, None)], kinds.describe(spec), after, count)


@dataclass(frozen=True, slots=True)
class _Source:
    """What fires; without an id nobody knows its jitter yet."""

    rule: Rule
    spec: ScheduleSpec
    schedule_id: str | None

    def fires(self, after: datetime) -> Iterator[Fire]:
        for fire in _stream(self.rule, after):
            yield replace(fire, note="; ".join(p for p in (fire.note, self._jitter(fire)) if p) or None)

    def _jitter(self, fire: Fire) -> str | None:
        if self.spec.jitter_s <= 0 or fire.excluded is not None:
            return None
        most = f"{timedelta(seconds=self.spec.jitter_s)}"
        if self.schedule_id is None:
            return f"starts up to {most} later (jitter); how much depends on the id of the schedule"
        begin = fire.local + jitter(self.schedule_id, fire.at, self.spec.jitter_s)
        return f"starts {begin.time().isoformat('milliseconds')} (jitter, up to {most})"


def _why_none(record: JobRecord, entries: Sequence[ScheduleRecord]) -> str | None:
    """Why a job has no fires, or none that will run."""
    if record.retired_at is not None:
        return f"{record.job_id} is not in its source any more: it never fires"
    if record.paused_at is not None:
        return f"{record.job_id} is paused by {record.paused_by}: these fires are skipped until it is resumed"
    if not record.job.enabled:
        return f"{record.job_id} is disabled (enabled: false): these fires are skipped"
    if not entries:
        above = ", ".join(dependency.job for dependency in record.job.depends_on)
        return f"{record.job_id} has no schedule: it runs " + (f"after {above}" if above else "by hand only")
    asleep = [entry.schedule_id for entry in entries if entry.paused_at is not None or not entry.spec.enabled]
    return f"paused or disabled: {', '.join(asleep)}; its fires are skipped" if asleep else None


def _of_entries(
    desk: Desk, record: JobRecord, entries: Sequence[ScheduleRecord], after: datetime, count: int
) -> JsonObject:
    rules = [(rule, entry) for entry in entries if (rule := desk.engine.rules.of(entry)) is not None]
    described = "; ".join(desk.kinds.describe(e.spec) for e in entries)
    lost = [entry for entry in entries if all(entry is not known for _, known in rules)]
    faults = [f"{entry.schedule_id} stands still: {desk.engine.rules.fault(entry)}" for entry in lost]
    why = _why_none(record, entries) or "; ".join(faults) or None
    return _answer([_Source(r, e.spec, e.schedule_id) for r, e in rules], described, after, count, why)


def _answer(
    sources: Sequence[_Source], description: str, after: datetime, count: int, why: str | None = None
) -> JsonObject:
    if not 1 <= count <= MOST:
        raise usage("count_out_of_range", f"count is {count}", key="count", hint=f"1 to {MOST}")
    fires: list[Fire] = []
    removed: list[Fire] = []
    for fire in merge(*(source.fires(after) for source in sources), key=lambda fire: fire.at):
        (fires if fire.excluded is None else removed).append(fire)
        if len(fires) == count or len(removed) >= MOST_REMOVED:
            break
    return {
        "fires": [fire_view(f) for f in fires],
        "removed": [fire_view(f) for f in removed],
        "description": description,
        "why": why if why or fires else _ended(sources),
    }


def _ended(sources: Sequence[_Source]) -> str:
    ends = [source.spec.end for source in sources if source.spec.end is not None]
    return f"its end was {rfc3339(max(ends))}" if ends else "it names no time after that"


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


def _known(desk: Desk, name: str) -> tuple[JobRecord, Sequence[ScheduleRecord]] | None:
    """The job called `name` with its entries, or that of the entry `name` with this one; None if there is neither."""

    def work(reader: Reader) -> tuple[JobRecord, Sequence[ScheduleRecord]] | None:
        entry = reader.schedule(name)
        if entry is not None:
            return find_job(reader, entry.job_id), (entry,)
        try:
            record = find_job(reader, name)
        except UsageError:
            return None
        return record, reader.schedules_of([record.job_id]).get(record.job_id, ())

    return desk.store.read(work)


def _stream(rule: Rule, after: datetime) -> Iterator[Fire]:
    fire = rule.next(after)
    while fire is not None:
        yield fire
        fire = rule.next(fire.at)


def around(rule: Rule, moment: datetime) -> tuple[Fire | None, Fire | None]:
    """The last fire before `moment` and the first after it."""
    return rule.latest(moment - timedelta(microseconds=1)), rule.next(moment)
