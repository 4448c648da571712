"""From due fire times to decisions: each becomes exactly one run or is covered by exactly one skip.

fires from the cursor to now  ->  long missed | late | on time
late     decided more than the misfire grace after it was due: catch-up says which still run
on time  the overlap policy says whether it runs, waits, is skipped or replaces
what is neither: one skip over the whole stretch, with its count
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .jitter import jitter
from .model import CatchUpMode, Job, Overlap
from .records import Activity, ScheduleRecord, SkipReason
from .rules import Fire, Rule

DEFAULT_GRACE = timedelta(seconds=60)
ONCE_WINDOW = timedelta(hours=24)
"""How old a one-time fire may be when its entry is first seen and still run (no `max_age` given)."""

MOST_AT_ONCE = 10_000
"""How many due fires of one entry are looked at one by one; older ones are skipped as a stretch."""

_MOST_JITTERED = 1000
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A fire that becomes a run. `exclusive`: it waits for the job's earlier runs."""

    fire: Fire
    due_at: datetime
    exclusive: bool
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class PlannedSkip:
    """`count` fires from `first_at` to `last_at` that become none."""

    first_at: datetime
    last_at: datetime
    count: int
    reason: SkipReason
    detail: str


@dataclass(frozen=True, slots=True)
class FirePlan:
    """Everything decided for one schedule entry in one step.

    Attributes:
        cursor: the next fire time not decided; None: there is none.
        due_at: when to look again (cursor and its jitter).
        replace: earlier active runs of the job are to be cancelled.
    """

    runs: Sequence[PlannedRun] = ()
    skips: Sequence[PlannedSkip] = ()
    cursor: datetime | None = None
    due_at: datetime | None = None
    replace: bool = False


def wake_at(entry: ScheduleRecord, rule: Rule, cursor: datetime | None) -> datetime | None:
    """When to look at an entry again: the earliest start of its fires from `cursor` on.

    Where the jitter is longer than the gap between fires, a later fire may start before the cursor's.
    """
    if cursor is None:
        return None
    best = cursor + jitter(entry.schedule_id, cursor, entry.spec.jitter_s)
    fire = rule.next(cursor) if entry.spec.jitter_s > 0 else None
    for _ in range(_MOST_JITTERED):
        if fire is None or fire.at >= best:
            break
        best = min(best, _due_at(entry, fire))
        fire = rule.next(fire.at)
    return best


def stands_still(entry: ScheduleRecord) -> bool:
    """Whether the planner could not evaluate its rule when it looked last: it looks again, and the fire waits."""
    if entry.due_at is None or entry.cursor is None:
        return False
    return not entry.cursor <= entry.due_at <= entry.cursor + timedelta(seconds=entry.spec.jitter_s)


def first_cursor(entry: ScheduleRecord, rule: Rule, now: datetime) -> datetime | None:
    """Where a newly seen entry begins: its next fire; of a one-time entry that one, however long past."""
    past = rule.latest(now) if entry.spec.kind == "at" else None
    only = past or rule.next(now)
    return None if only is None else only.at


def stands_until(entry: ScheduleRecord, rule: Rule, now: datetime) -> datetime | None:
    """For an entry that was decided, or counts, further than now (by a clock that was ahead): when it would go on.

    None if it waits for the fire it should wait for. What a few seconds of correction leave behind is not counted.
    """
    if entry.anchor > now + DEFAULT_GRACE:
        return entry.cursor or entry.anchor
    following = rule.next(now + DEFAULT_GRACE)
    if following is None:
        return None
    if entry.cursor is None:  # of a one-time entry that was decided before its time
        return following.at
    return entry.cursor if following.at < entry.cursor else None


def plan_fires(entry: ScheduleRecord, job: Job, rule: Rule, activity: Activity, now: datetime) -> FirePlan:
    """Decide every fire of `entry` that is due by `now`.

    Args:
        activity: the job's active runs at this moment.
    """
    if entry.cursor is None:
        return FirePlan()
    due = _due(entry, job, rule, now)
    counting = [f for f in due.fires if f.excluded is None]
    late = [f for f in counting if f.at in due.late]
    on_time = [f for f in counting if f.at not in due.late]
    caught_up, missed = _catch_up(entry, job, late, bool(on_time), now)
    runs = [PlannedRun(f, _due_at(entry, f), exclusive=True, caught_up=True) for f in caught_up]
    more, overlapped, replaces = _overlap(entry, job, on_time, _with(activity, len(runs)))
    skips = [*_missed_skips(due, missed), *_excluded_skips(due), *overlapped]
    ordered = sorted([*runs, *more], key=lambda run: run.fire.at)  # with jitter, an earlier fire may be the one on time
    return FirePlan(ordered, skips, due.cursor, wake_at(entry, rule, due.cursor), replaces)


def skip_through(
    entry: ScheduleRecord, rule: Rule, now: datetime, reason: SkipReason, detail: str
) -> tuple[tuple[PlannedSkip, ...], datetime | None]:
    """Give up every undecided fire up to `now` for one reason; returns the skip (or none) and the next cursor."""
    following = rule.next(now)
    cursor = None if following is None else following.at
    if entry.cursor is None:
        return (), cursor
    if entry.cursor > now:
        return (), entry.cursor
    count = rule.count(entry.cursor - _TICK, now)
    last = rule.latest(now)
    if count == 0 or last is None:
        return (), cursor
    return (PlannedSkip(entry.cursor, last.at, count, reason, detail),), cursor


def _due_at(entry: ScheduleRecord, fire: Fire) -> datetime:
    return fire.at + jitter(entry.schedule_id, fire.at, entry.spec.jitter_s)


@dataclass(frozen=True, slots=True)
class _Due:
    """The newest due fires that may matter, oldest first, excluded ones among them.

    `late`: fire times past their grace. `stretch`: what lies before those fires. `cursor`: the next one.
    """

    fires: Sequence[Fire]
    late: frozenset[datetime]
    stretch: PlannedSkip | None
    cursor: datetime | None


def _due(entry: ScheduleRecord, job: Job, rule: Rule, now: datetime) -> _Due:
    assert entry.cursor is not None
    cursor, horizon = entry.cursor, now
    newest = rule.latest(now)
    while newest is not None and newest.at >= cursor and _due_at(entry, newest) > now:  # held back by jitter
        horizon = newest.at - _TICK
        newest = rule.latest(horizon)
    following = rule.next(horizon)
    following_at = None if following is None else max(following.at, cursor)
    if newest is None or newest.at < cursor:
        return _Due((), frozenset(), None, following_at)
    keep, certain = _examined(job), _grace(job) + timedelta(seconds=entry.spec.jitter_s)
    fires: list[Fire] = []
    late: set[datetime] = set()
    counted, at, newer = 0, newest, following
    while True:
        fires.append(at)
        if _is_late(entry, job, at, newer, now):
            late.add(at.at)
            counted += at.excluded is None
        older = rule.latest(at.at - _TICK)
        if older is None or older.at < cursor:
            return _Due(fires[::-1], frozenset(late), None, following_at)
        if len(fires) >= MOST_AT_ONCE or (counted >= keep and now - older.at > certain):
            break
        at, newer = older, at
    count = rule.count(cursor - _TICK, older.at)
    stretch = PlannedSkip(cursor, older.at, count, SkipReason.CATCH_UP, _policy(job))
    return _Due(fires[::-1], frozenset(late), stretch, following_at)


def _examined(job: Job) -> int:
    """How many of the newest fires catch-up may want."""
    match job.catch_up.mode:
        case CatchUpMode.ALL:
            return job.catch_up.max_count
        case CatchUpMode.LATEST:
            return 1
        case CatchUpMode.NONE:
            return 0


def _grace(job: Job) -> timedelta:
    return DEFAULT_GRACE if job.misfire_grace_s is None else timedelta(seconds=job.misfire_grace_s)


def _is_late(entry: ScheduleRecord, job: Job, fire: Fire, following: Fire | None, now: datetime) -> bool:
    """Whether it is past its grace; by default that ends where the next fire begins, if that is earlier."""
    late = now - _due_at(entry, fire)
    if job.misfire_grace_s is None and following is not None and late > following.at - fire.at:
        return True
    return late > _grace(job)


def _catch_up(
    entry: ScheduleRecord, job: Job, late: list[Fire], newer: bool, now: datetime
) -> tuple[list[Fire], list[tuple[Fire, str]]]:
    """Which late fires run, and which do not, with the policy that says so. `newer`: a fire on time follows."""
    policy = job.catch_up
    max_age = None if policy.max_age_s is None else timedelta(seconds=policy.max_age_s)
    if max_age is None and entry.spec.kind == "at" and late and late[0].at < entry.anchor:
        max_age = ONCE_WINDOW
    young = late if max_age is None else [f for f in late if now - f.at <= max_age]
    match policy.mode:
        case CatchUpMode.ALL:
            chosen = young[len(young) - min(len(young), policy.max_count) :]
        case CatchUpMode.LATEST:
            chosen = [] if newer else young[-1:]
        case CatchUpMode.NONE:
            chosen = []
    kept = {f.at for f in chosen}
    aged = {f.at for f in late} - {f.at for f in young}
    why = _policy(job)
    age = f"older than {max_age} when the scheduler could decide it"
    return chosen, [(f, age if f.at in aged else why) for f in late if f.at not in kept]


def _policy(job: Job) -> str:
    return f"missed while no scheduler ran or it was late; catch_up: {job.catch_up.mode}"


def _missed_skips(due: _Due, missed: list[tuple[Fire, str]]) -> list[PlannedSkip]:
    """One skip per stretch of neighbours that were missed for the same reason."""
    why = {f.at: text for f, text in missed}
    found = [] if due.stretch is None else [due.stretch]
    extends = bool(found)
    for fire in due.fires:
        text = why.get(fire.at)
        if text is None:
            extends = False
        elif extends and found[-1].detail == text:
            found[-1] = replace(found[-1], last_at=fire.at, count=found[-1].count + 1)
        else:
            found.append(PlannedSkip(fire.at, fire.at, 1, SkipReason.CATCH_UP, text))
            extends = True
    return found


def _excluded_skips(due: _Due) -> list[PlannedSkip]:
    excluded = [f for f in due.fires if f.excluded is not None]
    return [PlannedSkip(f.at, f.at, 1, SkipReason.EXCLUDED, str(f.excluded)) for f in excluded]


@dataclass(slots=True)
class _Tally:
    runs: list[PlannedRun] = field(default_factory=list)
    skips: list[PlannedSkip] = field(default_factory=list)
    replace: bool = False


def _overlap(
    entry: ScheduleRecord, job: Job, fires: Sequence[Fire], activity: Activity
) -> tuple[list[PlannedRun], list[PlannedSkip], bool]:
    """Apply the overlap policy to fires that are on time, in order."""
    tally = _Tally()
    busy, pending = activity.busy, activity.pending
    for fire in fires:
        match job.overlap:
            case Overlap.ALLOW | Overlap.QUEUE_ALL:
                refused = None
            case Overlap.SKIP:
                refused = _describe(activity, len(tally.runs)) if busy else None
            case Overlap.QUEUE_ONE:
                refused = "one run of this job is queued already" if pending else None
            case Overlap.REPLACE:
                refused = None
                tally.replace = tally.replace or busy
                superseded, tally.runs = tally.runs, []
                tally.skips += [_overlap_skip(r.fire, "replaced by the next fire at once") for r in superseded]
        if refused is not None:
            tally.skips.append(_overlap_skip(fire, refused))
            continue
        tally.runs.append(PlannedRun(fire, _due_at(entry, fire), exclusive=job.overlap is not Overlap.ALLOW))
        busy, pending = True, pending + 1
    return tally.runs, tally.skips, tally.replace and activity.busy


def _overlap_skip(fire: Fire, detail: str) -> PlannedSkip:
    return PlannedSkip(fire.at, fire.at, 1, SkipReason.OVERLAP, detail)


def _describe(activity: Activity, planned: int) -> str:
    parts = [f"{n} {word}" for n, word in _counts(activity, planned) if n]
    return "an earlier run of this job is not finished: " + ", ".join(parts)


def _counts(activity: Activity, planned: int) -> list[tuple[int, str]]:
    return [
        (activity.running, "running"),
        (activity.retry_wait, "waiting to be retried"),
        (activity.queued + activity.waiting + planned, "queued"),
    ]


def _with(activity: Activity, queued: int) -> Activity:
    return replace(activity, queued=activity.queued + queued)
