"""Backfill: runs for fire times that have none. Cursors stay where they are; doing it twice makes nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.core.keys import backfill_key, fire_key
from gnomon.core.model import Overlap
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Cause, JobRecord, RunRecord, ScheduleRecord
from gnomon.core.rules import Fire
from gnomon.core.values import Json, JsonObject, rfc3339
from gnomon.engine.creation import Order, create

from .context import Desk
from .elsewhere import anywhere
from .lookup import find_job, find_schedule
from .parameters import checked_parameters
from .repeating import refuse_retired

MOST_FIRES = 10_000
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make good for.

    Attributes:
        since, until: fire times in [since, until), as far as they are decided.
        schedule_id: of this entry only; None: of all entries of the job.
        concurrency: at most so many runs at once.
        again: also where there is a run already.
        newest_first: the newest fire runs first.
        parameters: for every run, over those of the schedule.
    """

    job_id: str
    since: datetime
    until: datetime
    schedule_id: str | None = None
    concurrency: int = 1
    again: bool = False
    newest_first: bool = False
    parameters: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class _Gap:
    """A fire time to run. `key`: of the run it gets."""

    entry: ScheduleRecord
    fire: Fire
    key: str


@anywhere
def backfill(desk: Desk, wish: Wish, *, dry_run: bool = False) -> JsonObject:
    """Make a run for every fire time of the wish that has none (a skip is none), with everything downstream of it.

    Returns `{"job_id", "fires": [{"at", "local", "schedule_id", "run_id"}], "there": count, "dry_run"}`; `there`: fire
    times left out because they have a run.

    Raises:
        UsageError: `backfill_range`, `backfill_too_large`, `no_schedule`, a parameter that is not declared.
        Conflict: the job was removed.
    """
    if wish.concurrency < 1:
        raise usage("concurrency_invalid", f"concurrency is {wish.concurrency}", key="concurrency", hint="at least 1")
    if wish.until <= wish.since:
        text = f"the range ends ({rfc3339(wish.until)}) before it begins ({rfc3339(wish.since)})"
        raise usage("backfill_range", text, key="until", hint="give a later end")
    if dry_run:
        return desk.store.read(lambda r: _answer(desk, wish, *_gaps(desk, r, wish), {}, dry=True))

    def work(tx: Transaction) -> JsonObject:
        gaps, there = _gaps(desk, tx, wish)
        runs = _make(desk, tx, wish, gaps)
        if runs:
            after = {"from": rfc3339(wish.since), "until": rfc3339(wish.until), "runs": len(runs), "again": wish.again}
            desk.audit(tx, "job.backfill", wish.job_id, after=after)
        return _answer(desk, wish, gaps, there, {run.run_key: run for run in runs}, dry=False)

    return desk.store.write(work)


def backfilled(reader: Reader, schedule_id: str, fire_at: datetime) -> RunRecord | None:
    """The newest run that a backfill made for a fire time."""
    found = None
    generation = 0
    while (run := reader.run_by_key(backfill_key(schedule_id, fire_at, generation))) is not None:
        found, generation = run, generation + 1
    return found


def _make(desk: Desk, tx: Transaction, wish: Wish, gaps: Sequence[_Gap]) -> list[RunRecord]:
    now = desk.clock.now()
    record = find_job(tx, wish.job_id)
    refuse_retired(record)
    alone = wish.concurrency == 1 and record.job.overlap is not Overlap.ALLOW
    own = record.job.max_active if record.job.for_each is None else None
    orders = [
        Order(
            job=record,
            cause=Cause.BACKFILL,
            actor=desk.actor,
            due_at=now + number * _TICK,  # in this order
            run_key=gap.key,
            schedule=gap.entry,
            fire_at=gap.fire.at,
            exclusive=alone,
            parameters=_parameters(record, gap.entry, wish.parameters or {}),
            note=gap.fire.note,
            max_active=min(wish.concurrency, own or wish.concurrency),
        )
        for number, gap in enumerate(reversed(gaps) if wish.newest_first else gaps)
    ]
    made, _ = create(tx, orders, now + len(orders) * _TICK, desk.engine.new_id)
    return made


def _parameters(record: JobRecord, entry: ScheduleRecord, given: Mapping[str, Json]) -> dict[str, Json]:
    """Values of the schedule, what was given over them, and the defaults."""
    declared = {parameter.name for parameter in record.job.parameters}
    planned = dict(entry.spec.parameters)
    known = {name: value for name, value in planned.items() if name in declared}
    return planned | checked_parameters(record.job, {**known, **given})


def _gaps(desk: Desk, reader: Reader, wish: Wish) -> tuple[list[_Gap], int]:
    """Fire times that want a run, oldest first, and how many have one."""
    record = find_job(reader, wish.job_id)
    entries = reader.schedules_of([record.job_id]).get(record.job_id, ())
    if wish.schedule_id is not None:
        chosen = find_schedule(reader, wish.schedule_id)
        if chosen.job_id != record.job_id:
            names = ", ".join(entry.schedule_id for entry in entries) or "none"
            text = f"{chosen.schedule_id} is a schedule of {chosen.job_id}"
            raise usage("schedule_not_found", text, key="schedule", hint=f"those of {record.job_id}: {names}")
        entries = (chosen,)
    if not entries:
        text = f"job {record.job_id!r} has no schedule that names fire times"
        raise UsageError(Problem("no_schedule", text, hint=f"`gnomon run {record.job_id}` runs it now"))
    found = [(entry, fire) for entry in entries for fire in _fires(desk, record, entry, wish)]
    if len(found) > MOST_FIRES:
        text = f"the range has more than {MOST_FIRES} fire times"
        raise usage("backfill_too_large", text, hint="do it in parts, or name one schedule with --schedule")
    gaps: list[_Gap] = []
    for entry, fire in sorted(found, key=lambda pair: (pair[1].at, pair[0].schedule_id)):
        generation = 0
        while reader.run_by_key(backfill_key(entry.schedule_id, fire.at, generation)) is not None:
            generation += 1
        free = generation == 0 and reader.run_by_key(fire_key(entry.schedule_id, fire.at)) is None
        if free or wish.again:
            gaps.append(_Gap(entry, fire, backfill_key(entry.schedule_id, fire.at, generation)))
    return gaps, len(found) - len(gaps)


def _fires(desk: Desk, record: JobRecord, entry: ScheduleRecord, wish: Wish) -> Iterator[Fire]:
    """Those the scheduler has decided, or never will: what lies behind the cursor is its own."""
    rule = desk.engine.rules.of(entry)
    end = min(wish.until, desk.clock.now() + _TICK)
    if entry.due_at is not None and entry.cursor is not None and record.fires:
        end = min(end, entry.cursor)
    fire = None if rule is None else rule.next(wish.since - _TICK)
    for _ in range(2 * MOST_FIRES):
        if rule is None or fire is None or fire.at >= end:
            return
        if fire.excluded is None:
            yield fire
        fire = rule.next(fire.at)


def _answer(
    desk: Desk, wish: Wish, gaps: Sequence[_Gap], there: int, made: Mapping[str, RunRecord], *, dry: bool
) -> JsonObject:
    fires: list[Json] = []
    for gap in gaps:
        run = made.get(gap.key)
        view: dict[str, Json] = {"at": rfc3339(gap.fire.at), "local": gap.fire.local.isoformat()}
        fires.append(view | {"schedule_id": gap.entry.schedule_id, "run_id": None if run is None else run.id})
    return {"job_id": wish.job_id, "fires": fires, "there": there, "dry_run": dry}
