"""Why a job ran, did not run, or waits: a verdict and the gates the scheduler asked, from stored facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gnomon.core.errors import NotFound, usage
from gnomon.core.planning import stands_still
from gnomon.core.ports import Reader
from gnomon.core.records import JobRecord, RunFilter, RunRecord, ScheduleRecord, SkipRecord
from gnomon.core.rules import Fire
from gnomon.core.states import ACTIVE
from gnomon.core.values import JsonObject, rfc3339
from gnomon.engine.standing import astray, said

from .backfill import backfilled
from .context import Desk
from .elsewhere import anywhere
from .fires import around
from .gates import Gate, moment_gate, run_gates, skip_gates, verdict_of_run, verdict_of_skip
from .health import troubles
from .lookup import find_job, find_run
from .moments import Moment, parse_when
from .nodes import living_in, living_nodes
from .telling import told_gates

_FIRST_YEAR, _LAST_YEAR = 2, 9998


@dataclass(frozen=True, slots=True)
class Explanation:
    """`outcome`: a run's state, `skipped`, `no_fire`, `future`, `not_known`, `undecided`."""

    verdict: str
    outcome: str
    run_id: str | None
    gates: Sequence[Gate]

    def view(self) -> JsonObject:
        """The JSON object of the CLI and REST."""
        return {
            "verdict": self.verdict,
            "outcome": self.outcome,
            "run_id": self.run_id,
            "gates": [
                {"name": g.name, "passed": g.passed, "evidence": g.evidence, "at": rfc3339(g.at)} for g in self.gates
            ],
        }


def why(desk: Desk, job_id: str, moment: Moment | None = None) -> Explanation:
    """Explain the newest decision about a job, or what happened (or will happen) at a moment.

    Raises:
        NotFound: there is no such job. UsageError: `time_invalid`, at the ends of the calendar.
    """
    if moment is not None and not _FIRST_YEAR <= moment.at.year <= _LAST_YEAR:
        raise usage("time_invalid", f"{rfc3339(moment.at)} is no time that anybody plans for", key="at")

    def work(reader: Reader) -> Explanation:
        record = find_job(reader, job_id)
        entries = reader.schedules_of([record.job_id]).get(record.job_id, ())
        faulty = next((entry for entry in entries if stands_still(entry)), None)
        if faulty is not None and (moment is None or faulty.cursor is None or moment.end > faulty.cursor):
            return _unevaluable(desk, record, faulty)
        if moment is None:
            return _newest(desk, reader, record, entries)
        return _at(desk, reader, record, entries, moment)

    return desk.store.read(work)


@anywhere
def job_zone(desk: Desk, job_id: str) -> str:
    """The name of the zone in which people mean the times of a job: its own, its first schedule's, the default."""

    def work(reader: Reader) -> str:
        record = find_job(reader, job_id)
        return record.job.timezone or next((s.timezone for s in record.job.schedules), desk.timezone)

    return desk.store.read(work)


@anywhere
def explain(desk: Desk, what: str, time: str | None = None) -> Explanation:
    """Explain a job (at a time as people write it, in the zone of the job; else its newest decision), or a run.

    Raises:
        NotFound: there is neither; names the nearest job.
    """
    known = desk.store.read(lambda reader: reader.job(what)) is not None
    if not known and time is None:
        try:
            return why_run(desk, what)
        except NotFound:
            return why(desk, what)  # raises, naming the nearest job
    zone = ZoneInfo(job_zone(desk, what))
    return why(desk, what, None if time is None else parse_when(time, desk.clock.now(), zone))


def why_run(desk: Desk, run_id: str) -> Explanation:
    """Explain one run."""
    return desk.store.read(lambda reader: _run(desk, reader, find_run(reader, run_id)))


def _newest(desk: Desk, reader: Reader, record: JobRecord, entries: Sequence[ScheduleRecord]) -> Explanation:
    stands = None if _idle(record, None) else _stands(desk, record, entries, desk.clock.now())
    if stands is not None:
        return stands
    runs = reader.runs(RunFilter(job_id=record.job_id), limit=1).items
    skips = reader.skips(record.job_id, limit=1)
    if runs and (not skips or (runs[0].fire_at or runs[0].due_at) >= skips[0].last_at):
        return _run(desk, reader, runs[0])
    if skips:
        return _skip(skips[0])
    now = desk.clock.now()
    idle = _idle(record, None)
    if idle is not None:
        return Explanation(f"{record.job_id} has not run: {idle.evidence}.", "not_known", None, [idle])
    coming = [e for e in entries if e.due_at is not None]
    if not coming:
        what = (
            "it has no schedule and no upstream has started it" if not entries else "its schedules name no more fires"
        )
        gate = Gate("the moment matches", False, what, now)
        return Explanation(f"{record.job_id} has not run: {what}.", "no_fire", None, [gate])
    first = min(coming, key=lambda e: e.cursor or now)
    text = f"its first fire is {rfc3339(first.cursor)} ({first.schedule_id})"
    return Explanation(
        f"{record.job_id} has not run yet: {text}.", "future", None, [Gate("its time has come", False, text)]
    )


def _unevaluable(desk: Desk, record: JobRecord, entry: ScheduleRecord) -> Explanation:
    """An entry that nobody can evaluate: the job does not fire until that is mended."""
    gate = Gate("its rule can be evaluated", False, desk.engine.rules.fault(entry), entry.cursor)
    text = f"{record.job_id} does not fire: {entry.schedule_id} stands still since its fire of {rfc3339(entry.cursor)}"
    return Explanation(f"{text}: {gate.evidence}.", "undecided", None, [gate])


def _at(
    desk: Desk, reader: Reader, record: JobRecord, entries: Sequence[ScheduleRecord], moment: Moment
) -> Explanation:
    run = _run_at(reader, record, moment)
    if run is not None:
        return _run(desk, reader, run)
    named = _fires_at(desk, entries, moment)
    for entry, fire in named:
        made_good = backfilled(reader, entry.schedule_id, fire.at)
        if made_good is not None:
            return _run(desk, reader, made_good)
    skips = reader.skips(record.job_id, moment.at, moment.end - timedelta(microseconds=1), limit=10)
    for skip in skips:
        if skip.count == 1 or not entries or any(e.schedule_id == skip.schedule_id for e, _ in named):
            return _skip(skip)
    if not named:
        return _no_fire(desk, record, entries, moment)
    entry, fire = named[0]
    return _undecided(desk, record, entry, fire)


def _run_at(reader: Reader, record: JobRecord, moment: Moment) -> RunRecord | None:
    """The run whose fire time or due time lies in the moment (jitter may move the due time a little)."""
    margin = timedelta(days=1)
    page = reader.runs(
        RunFilter(job_id=record.job_id, since=moment.at - timedelta(seconds=1), until=moment.end + margin), limit=500
    )
    for run in reversed(page.items):
        if moment.at <= (run.fire_at or run.due_at) < moment.end or moment.at <= run.due_at < moment.end:
            return run
    return None


def _fires_at(desk: Desk, entries: Sequence[ScheduleRecord], moment: Moment) -> list[tuple[ScheduleRecord, Fire]]:
    found = []
    for entry in entries:
        rule = desk.engine.rules.of(entry)
        fire = None if rule is None else rule.next(moment.at - timedelta(microseconds=1))
        if fire is not None and fire.at < moment.end:
            found.append((entry, fire))
    return found


def _run(desk: Desk, reader: Reader, run: RunRecord) -> Explanation:
    attempts = reader.attempts([run.id]).get(run.id, ())
    alive = len(living_in(desk, reader))
    items = reader.item_counts([run.id]).get(run.id)
    gates = [*run_gates(run, attempts, alive, items), *told_gates(reader, run)]
    verdict = verdict_of_run(run, attempts, alive, items)
    unwell = troubles(desk, reader) if run.state in ACTIVE else ()
    if unwell:
        gates += [Gate("the scheduler is well", False, check.message, check.since) for check in unwell]
        verdict = f"{verdict.removesuffix('.')}; the scheduler is not well: {unwell[0].message}."
    return Explanation(verdict, str(run.state), run.id, gates)


def _skip(skip: SkipRecord) -> Explanation:
    return Explanation(verdict_of_skip(skip), "skipped", None, skip_gates(skip))


def _no_fire(desk: Desk, record: JobRecord, entries: Sequence[ScheduleRecord], moment: Moment) -> Explanation:
    gates = []
    for entry in entries:
        beyond = _outside(desk, entry, moment)
        if beyond is not None:
            gate = Gate("within its start and end", False, beyond, moment.at)
            return Explanation(f"{record.job_id} does not run then: {beyond}.", "no_fire", None, [gate])
        rule = desk.engine.rules.of(entry)
        before, after = (None, None) if rule is None else around(rule, moment.at)
        near = f"the fire before is {_local(before)}, the next {_local(after)}"
        text = f"{entry.schedule_id} ({desk.kinds.describe(entry.spec)}, {entry.spec.timezone}): {near}"
        gates.append(Gate("the moment matches", False, text, moment.at))
    if not entries:
        gates.append(Gate("the moment matches", False, "the job has no schedule", moment.at))
    verdict = f"No schedule of {record.job_id} names {rfc3339(moment.at)}, and nobody ran it then."
    return Explanation(verdict, "no_fire", None, gates)


def _outside(desk: Desk, entry: ScheduleRecord, moment: Moment) -> str | None:
    """Whether only its `start` or `end` keeps an entry from firing at a moment, in words."""
    spec = entry.spec
    if spec.start is None and spec.end is None:
        return None
    rule = desk.engine.rules.of(replace(entry, spec=replace(spec, start=None, end=None)))
    fire = None if rule is None else rule.next(moment.at - timedelta(microseconds=1))
    if fire is None or fire.at >= moment.end:
        return None
    early = spec.start is not None and fire.at < spec.start
    bound = f"it starts {rfc3339(spec.start)}" if early else f"it ended {rfc3339(spec.end)}"
    return f"{entry.schedule_id} would name {rfc3339(fire.at)}, but {bound}"


def _undecided(desk: Desk, record: JobRecord, entry: ScheduleRecord, fire: Fire) -> Explanation:
    """The definition of today names the moment, but neither a run nor a skip stands for it."""
    now = desk.clock.now()
    matched = moment_gate(entry.schedule_id, fire)
    if fire.excluded is not None:
        gate = Gate("not excluded", False, fire.excluded, fire.at)
        return Explanation(f"{record.job_id} does not run then: {fire.excluded}.", "skipped", None, [matched, gate])
    idle = _idle(record, entry)
    if idle is not None and (idle.at is None or fire.at >= idle.at):
        return Explanation(f"{record.job_id} does not run then: {idle.evidence}.", "skipped", None, [matched, idle])
    stands = _stands(desk, record, [entry], now) if fire.at > now else None
    if stands is not None and (entry.cursor is None or fire.at < entry.cursor):
        return stands
    if fire.at > now:
        text = f"it is due {rfc3339(fire.at)}, in {fire.at - now}"
        gates = [matched, Gate("its time has come", False, text, fire.at)]
        return Explanation(f"{record.job_id} will run: {text}.", "future", None, gates)
    seen = max(entry.anchor, record.created_at)
    if fire.at <= seen or fire.at <= record.updated_at:
        text = f"the schedule in its present form is known since {rfc3339(max(seen, record.updated_at))}"
        gates = [matched, Gate("the schedule was known", False, text, seen)]
        return Explanation(f"{record.job_id} did not run: {text}.", "not_known", None, gates)
    if entry.cursor is not None and fire.at >= entry.cursor:
        alive = living_nodes(desk)
        text = "a scheduler runs and decides it now" if alive else "no scheduler is running on this database"
        gates = [matched, Gate("a scheduler decides it", False, text, now)]
        return Explanation(f"{rfc3339(fire.at)} is not decided yet: {text}.", "undecided", None, gates)
    text = "its run is older than the retention and was removed"
    return Explanation(f"{record.job_id}: {text}.", "not_known", None, [matched, Gate("history is kept", False, text)])


def _stands(desk: Desk, record: JobRecord, entries: Sequence[ScheduleRecord], now: datetime) -> Explanation | None:
    """Of a job whose entries were decided, or first seen, by a clock that was ahead."""
    found = dict(astray(desk.engine.rules, tuple(entries), now))
    if not found:
        return None
    gate = Gate("the clock was right", False, said(found), now)
    return Explanation(f"{record.job_id} does not run: {gate.evidence}.", "undecided", None, [gate])


def _idle(record: JobRecord, entry: ScheduleRecord | None) -> Gate | None:
    """Why the job fires nothing at present, and since when."""
    if record.retired_at is not None:
        return Gate("not paused", False, "the job is not in its source any more", record.retired_at)
    if record.paused_at is not None:
        why_ = f" ({record.pause_reason})" if record.pause_reason else ""
        return Gate("not paused", False, f"the job is paused by {record.paused_by}{why_}", record.paused_at)
    if not record.job.enabled:
        return Gate("not paused", False, "the job is disabled (enabled: false)", record.updated_at)
    if entry is not None and entry.paused_at is not None:
        return Gate("not paused", False, f"the schedule is paused by {entry.paused_by}", entry.paused_at)
    if entry is not None and not entry.spec.enabled:
        return Gate("not paused", False, "the schedule is disabled (enabled: false)", record.updated_at)
    return None


def _local(fire: Fire | None) -> str:
    return "none" if fire is None else f"{rfc3339(fire.at)} ({fire.local:%a %Y-%m-%d %H:%M:%S %Z})"
