"""The upstream runs that count for a run, also where they are part of other flows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from gnomon.core.flows import newest_of
from gnomon.core.model import Job
from gnomon.core.ports import Reader
from gnomon.core.records import Cause, RunFilter, RunRecord
from gnomon.core.states import State

from .context import Context

TICK = timedelta(microseconds=1)
_LOOKED_AT = 100
"""Runs among which the newest of a stretch of time is looked for: those of backfills are of another time."""
_MOST_EXCLUDED = 1000


def upstreams(context: Context, reader: Reader, run: RunRecord, job: Job) -> dict[str, RunRecord]:
    """The run that counts of each job: of its flow, and beside it what it waited for in others."""
    members = reader.flow(run.flow_id)
    mates = newest_of(members)
    begun = run if run.id == run.flow_id else next((r for r in members if r.id == run.flow_id), run)
    others: dict[str, RunRecord] = {}
    if begun.job_id == run.job_id:  # it, what it repeats, or what it is an item of began the flow
        if begun.cause is Cause.SCHEDULE and job.depends_on:
            others = {name: runs[-1] for name, runs in window(context, reader, begun, job).items()}
    else:
        others = outside(reader, run, job, mates.keys(), _went_on(reader, run))
    return {**others, **mates}


def window(context: Context, reader: Reader, run: RunRecord, job: Job) -> dict[str, list[RunRecord]]:
    """For a fire of a job with a schedule of its own: the runs of each upstream due in (previous fire, this fire],
    and their repetitions, oldest first. A fire that a holiday removed is none."""
    fire = run.fire_at or run.due_at
    entry = reader.schedule(run.schedule_id or "")
    rule = None if entry is None else context.rules.of(entry)
    before = None if rule is None else rule.latest(fire - TICK)
    for _ in range(_MOST_EXCLUDED):
        if rule is None or before is None or before.excluded is None:
            break
        before = rule.latest(before.at - TICK)
    found: dict[str, list[RunRecord]] = {}
    for dependency in job.depends_on:
        where = RunFilter(job_id=dependency.job, since=None if before is None else before.at + TICK, until=fire + TICK)
        newest = [run for run in reader.runs(where, limit=_LOOKED_AT).items if run.cause is not Cause.BACKFILL]
        if newest:
            mates = [r for r in reader.flow(newest[0].flow_id) if r.job_id == dependency.job]
            found[dependency.job] = sorted(mates, key=lambda r: (r.created_at, r.id))
    return found


def outside(
    reader: Reader, run: RunRecord, job: Job, inside: Collection[str], until: datetime | None = None
) -> dict[str, RunRecord]:
    """Upstreams that are not part of this flow: a success of theirs that no earlier run of this job used counts.

    Args:
        until: when the run went on, if it did: what succeeded later is not what it waited for.
    """
    missing = [d.job for d in job.depends_on if d.job not in inside]
    if not missing:
        return {}
    others = reader.runs(RunFilter(job_id=run.job_id, causes=(Cause.DOWNSTREAM,)), limit=_LOOKED_AT).items
    earlier = (r for r in others if r.flow_id != run.flow_id)  # a repetition takes what the repeated one took
    used = [at for r in earlier if (at := _went_on(reader, r)) is not None]
    since = max((at for at in used if until is None or at < until), default=None)
    found = {}
    for upstream in missing:
        newest = reader.runs(RunFilter(job_id=upstream, states=(State.SUCCEEDED,)), limit=_LOOKED_AT).items
        for success in newest[:1] if until is None else newest:
            ended = success.finished_at
            if ended is not None and (until is None or ended <= until) and (since is None or ended > since):
                found[upstream] = success
                break
    return found


def _went_on(reader: Reader, run: RunRecord) -> datetime | None:
    """When a run stopped waiting and took the successes it waited for, or None if it never did."""
    if run.queued_at is None:
        return None
    first = reader.attempt(run.id, 1)  # an attempt that is repeated moves `queued_at`
    return run.queued_at if first is None else min(run.queued_at, first.claimed_at)
