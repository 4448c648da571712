"""What the end of runs means for others: downstream runs of their flow, the failure streak of their job."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gnomon.core import lifecycle
from gnomon.core.flows import Verdict, judge, judge_window, newest_of
from gnomon.core.model import Job
from gnomon.core.ports import Transaction
from gnomon.core.records import Cause, RunRecord
from gnomon.core.replacing import replace
from gnomon.core.states import FINAL, State

from .acts import Acts, Line
from .alerting import Alerting
from .blame import OWN_FAULTS, blamed
from .context import Context
from .fanout import FanOut
from .upstreams import outside, window


@dataclass(slots=True)
class Progress:
    """Follows the ends of runs until nothing more follows from them."""

    context: Context
    fanout: FanOut = field(init=False)

    def __post_init__(self) -> None:
        self.fanout = FanOut(self.context)

    def step(self, tx: Transaction, ended: Sequence[RunRecord], now: datetime, acts: Acts) -> None:
        """Release or skip what waited for `ended`, and what waited for that in turn; count failures."""
        todo, over = list(ended), list[RunRecord]()
        while todo:
            todo += self.fanout.settle(tx, todo, now, acts)
            acts.over += [run for run in todo if run.state in FINAL]
            todo = [run for run in todo if run.parent_id is None]  # nobody waits for an item but its parent
            over += todo
            self._streaks(tx, todo, now, acts)
            flows = {*tx.waiting_flows({run.flow_id for run in todo}), *_joins(tx, todo)}
            flows |= {run.flow_id for run in todo if run.state is State.WAITING}
            todo = [skipped for flow_id in sorted(flows) for skipped in self._flow(tx, flow_id, now)]
        Alerting(self.context).ended(tx, over, now, acts)

    def _flow(self, tx: Transaction, flow_id: str, now: datetime) -> list[RunRecord]:
        """Judge every waiting run of a flow; returns those that will never run."""
        members = tx.flow(flow_id)
        waiting = [run for run in members if run.state is State.WAITING]
        if not waiting:
            return []
        newest = newest_of(members)
        definitions = self.context.definitions.of(tx, waiting)
        changes: list[RunRecord] = []
        for run in waiting:
            job = definitions.get((run.job_id, run.version))
            if job is None:
                text = f"version {run.version} of job {run.job_id} is not in the database"
                changes.append(lifecycle.skip(run, now, "definition_missing", text))
                continue
            try:
                changed = self._judged(tx, run, job, newest, now)
            except OWN_FAULTS as error:
                why = blamed(run, error)
                changed = lifecycle.fail(run, now, why.code, why.message)
            if changed is not None:
                changes.append(changed)
        refused = set(tx.update_runs([(run, State.WAITING) for run in changes])) if changes else set()
        return [run for run in changes if run.state in FINAL and run.id not in refused]

    def _judged(
        self, tx: Transaction, run: RunRecord, job: Job, newest: Mapping[str, RunRecord], now: datetime
    ) -> RunRecord | None:
        """A waiting run as it is now; None: it waits on, for the same."""
        own = run.schedule_id is not None
        if own:
            judgement = judge_window(job.depends_on, window(self.context, tx, run, job), job.restarts)
        else:
            judgement = judge(job.depends_on, {**outside(tx, run, job, newest.keys()), **newest})
        match judgement.verdict:
            case Verdict.GO:
                return _released(run, job, now)
            case Verdict.NEVER if own:
                return lifecycle.fail(run, now, judgement.reason, judgement.text)
            case Verdict.NEVER:
                return lifecycle.skip(run, now, judgement.reason, judgement.text)
            case Verdict.WAIT:
                pass
        if not own and (gone := _gone(tx, job, newest.keys())) is not None:
            text = f"upstream {gone} is not in its source any more and has no run here"
            return lifecycle.skip(run, now, "upstream_failed", text)
        return replace(run, waiting_for=judgement.text) if run.waiting_for != judgement.text else None

    def _streaks(self, tx: Transaction, ended: Sequence[RunRecord], now: datetime, acts: Acts) -> None:
        """Count failures in a row, and pause a job that has too many."""
        counted = [run for run in ended if run.state in (State.SUCCEEDED, State.FAILED)]
        jobs = dict(tx.jobs_by_id({run.job_id for run in counted})) if counted else {}
        for run in counted:
            record = jobs.get(run.job_id)
            if record is None or (run.state is State.SUCCEEDED and record.failure_streak == 0):
                continue
            if _of_another_time(tx, run):
                continue
            streak = 0 if run.state is State.SUCCEEDED else record.failure_streak + 1
            changed = replace(record, failure_streak=streak)
            limit = record.job.pause_after
            if limit is not None and streak >= limit and record.paused_at is None:
                why = f"{streak} runs failed in a row (pause_after: {limit})"
                changed = replace(changed, paused_at=now, paused_by="scheduler", pause_reason=why)
                acts.log.append(Line(logging.WARNING, f"{run.job_id} is paused: {why}", {"job_id": run.job_id}))
                acts.paused[run.job_id] = why
                entries = tx.schedules_of([run.job_id]).get(run.job_id, ())
                tx.put_schedules([replace(e, due_at=None) for e in entries])
            jobs[run.job_id] = changed
            tx.update_job(changed)


def _joins(tx: Transaction, ended: Sequence[RunRecord]) -> set[str]:
    """Other flows in which a job downstream of `ended` waits."""
    below = tx.downstream({run.job_id for run in ended})
    jobs = {job_id for some in below.values() for job_id in some}
    return {run.flow_id for job_id in jobs for run in tx.active_runs(job_id) if run.state is State.WAITING}


def _of_another_time(tx: Transaction, run: RunRecord) -> bool:
    """Whether it belongs to a backfill: that says nothing of today, and does not disturb the fires of today."""
    begun = run if run.id == run.flow_id else tx.run(run.flow_id)
    return begun is not None and begun.cause is Cause.BACKFILL


def _released(run: RunRecord, job: Job, now: datetime) -> RunRecord:
    released = lifecycle.release(run, now)
    if job.start_deadline_s is None:
        return replace(released, deadline_at=None)
    return replace(released, deadline_at=now + timedelta(seconds=job.start_deadline_s))


def _gone(tx: Transaction, job: Job, inside: Collection[str]) -> str | None:
    """An upstream that has no run in the flow and never will have one anywhere."""
    missing = [d.job for d in job.depends_on if d.job not in inside]
    known = tx.jobs_by_id(missing) if missing else {}
    return next((name for name in missing if name not in known or known[name].retired_at is not None), None)
