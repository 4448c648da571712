"""Which queued runs start now. Pure: facts in, choices out.

Order: priority (higher first), then due time, then id. A run that may not start lets those behind it pass;
within one job, exclusive runs keep their order. A run that waits for nothing but slots of a pool keeps its place
there: those behind it take none of that pool, or many small ones would keep a large one from starting for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .model import Rate
from .records import Activity, Cause, RunRecord

NOBODY = Activity()


@dataclass(slots=True)
class Room:
    """What is free, counted down while runs are chosen.

    Attributes:
        slots: free slots of this node. ahead: runs that may be claimed beyond them, to wait at their executor.
        pool_sizes: declared pools; `pool_used`: slots taken in each.
        activity: active runs per job.
        starts: claim times per job within its rate's period, oldest first.
        alone: of jobs whose runs may overlap, how many exclusive ones (caught up) have begun: those wait for each
            other, and not for the rest.
        awaited: pools of which an earlier run waits for slots.
    """

    slots: int
    pool_sizes: Mapping[str, int]
    pool_used: dict[str, int]
    activity: Mapping[str, Activity]
    starts: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    chosen_of: dict[str, int] = field(default_factory=dict)
    held_back: set[str] = field(default_factory=set)
    ahead: int = 0
    alone: dict[str, int] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)

    @property
    def full(self) -> bool:
        """Nothing more can be chosen."""
        return self.slots <= 0 and self.ahead <= 0


@dataclass(frozen=True, slots=True)
class Admission:
    """`chosen` start now; `waits`: run id -> what it waits for, in words; `retry_at`: when a rate limit frees.

    `closed`: the slots are used up and the next run is not one to claim ahead.
    """

    chosen: tuple[RunRecord, ...]
    waits: Mapping[str, str]
    retry_at: datetime | None = None
    closed: bool = False


def admit(
    candidates: Iterable[RunRecord],
    room: Room,
    rates: Mapping[tuple[str, int], Rate],
    now: datetime,
    short: Collection[tuple[str, int]] = (),
) -> Admission:
    """Choose among queued runs, given in admission order. `room` is used up as runs are chosen.

    Args:
        rates: the rate limit of each (job_id, version) that has one.
        short: (job_id, version) of jobs that take so little time that their runs may be claimed ahead. Beyond the
            slots, the first run that is not short ends the choice: nothing overtakes it.
    """
    chosen: list[RunRecord] = []
    waits: dict[str, str] = {}
    retry_at: datetime | None = None
    closed = False
    for run in candidates:
        if room.full:
            break
        rate = rates.get((run.job_id, run.version))
        early = room.slots <= 0
        if early and (run.pools or run.max_active is not None or rate or (run.job_id, run.version) not in short):
            room.ahead = 0
            closed = True
            break
        wait, again = _obstacle(run, room, rate, now)
        if again is not None:
            retry_at = again if retry_at is None else min(retry_at, again)
        if wait is not None:
            waits[run.id] = wait
            if run.exclusive:
                room.held_back.add(run.job_id)
            continue
        chosen.append(run)
        if early:
            room.ahead -= 1
        else:
            room.slots -= 1
        room.chosen_of[run.job_id] = room.chosen_of.get(run.job_id, 0) + 1
        if run.exclusive and run.job_id in room.alone:
            room.alone[run.job_id] += 1
        for pool, slots in run.pools.items():
            room.pool_used[pool] = room.pool_used.get(pool, 0) + slots
    return Admission(tuple(chosen), waits, retry_at, closed)


def _obstacle(run: RunRecord, room: Room, rate: Rate | None, now: datetime) -> tuple[str | None, datetime | None]:
    """What keeps `run` from starting, in words, and when to ask again if time alone removes it."""
    activity = room.activity.get(run.job_id, NOBODY)
    chosen = room.chosen_of.get(run.job_id, 0)
    before = room.alone.get(run.job_id, activity.started + chosen)
    if run.exclusive and (before > 0 or run.job_id in room.held_back):
        return "an earlier run of this job", None
    if run.cause is Cause.BACKFILL and run.job_id in room.held_back:  # the fires of today go first
        return "an earlier run of this job", None
    if run.max_active is not None and activity.performing + chosen >= run.max_active:
        return f"max_active: {run.max_active} of this job are running", None
    if rate is not None:
        period = timedelta(seconds=rate.period_s)
        recent = [t for t in room.starts.get(run.job_id, ()) if now - period < t <= now + period]
        if len(recent) + chosen >= rate.count:
            again = recent[0] + period if recent else now + period
            return f"rate: {rate.count} starts in {rate.period_s:g} s are used up", again
    return _pools_obstacle(run, room), None


def _pools_obstacle(run: RunRecord, room: Room) -> str | None:
    """What keeps `run` from its pools; it keeps its place in those that are short."""
    short = None
    for pool, slots in run.pools.items():
        size = room.pool_sizes.get(pool)
        if size is None:
            return f"pool {pool}, which is not declared anywhere"
        used = room.pool_used.get(pool, 0)
        if used + (min(slots, size) or slots) > size:  # a pool of size 0 lets nobody in
            room.awaited.add(pool)
            short = short or f"pool {pool}: {used} of {size} slots are taken"
        elif pool in room.awaited:
            short = short or f"pool {pool}: an earlier run waits for its slots"
    return short
