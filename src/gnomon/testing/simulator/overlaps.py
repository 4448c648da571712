"""The overlap policies, told from outside: what each fire met, and what became of both."""

from __future__ import annotations

from collections import Counter

from gnomon.core.model import Overlap
from gnomon.core.records import RunRecord, SkipReason
from gnomon.core.states import FINAL, State

from .limits import on_time
from .parts import Part, Seen, demand

_BUSY = frozenset({State.WAITING, State.QUEUED, State.RUNNING, State.RETRY_WAIT})


class Overlaps(Part):
    """A run that is active before a step and after it was active when the step decided fires."""

    def __init__(self) -> None:
        self._skips = 0

    def after_step(self, seen: Seen) -> None:
        fresh = [run for run in seen.fresh() if on_time(run)]
        for run in fresh:
            self._met(seen, run, [other for other in seen.runs if _met_by(seen, run, other)])
        modes = {run.id: seen.job_of(run).overlap for run in fresh}
        single = Counter(r.job_id for r in fresh if modes[r.id] not in (Overlap.ALLOW, Overlap.QUEUE_ALL))
        for job_id, count in single.items():
            demand(count <= 1, f"overlap: {count} runs of {job_id} were made in one step")
        self._explained(seen)

    def _met(self, seen: Seen, run: RunRecord, others: list[RunRecord]) -> None:
        match seen.job_of(run).overlap:
            case Overlap.SKIP:
                demand(not others, f"overlap skip: {run.id} of {run.job_id} was made while {_ids(others)} was not over")
            case Overlap.QUEUE_ONE:
                waiting = [o for o in others if o.state is State.QUEUED and seen.before[o.id].state is State.QUEUED]
                demand(not waiting, f"overlap queue_one: {run.id} of {run.job_id} is queued behind {_ids(waiting)}")
            case Overlap.REPLACE:
                left = [o for o in others if o.cancel_requested_at is None]
                demand(not left, f"overlap replace: {run.id} of {run.job_id} did not replace {_ids(left)}")
            case Overlap.ALLOW:
                demand(not run.exclusive, f"overlap allow: {run.id} of {run.job_id} waits for others")
            case Overlap.QUEUE_ALL:
                demand(run.exclusive, f"overlap queue_all: {run.id} of {run.job_id} waits for nobody")

    def _explained(self, seen: Seen) -> None:
        """A fire is skipped for an overlap only if there was one: something active before this step, or new."""
        jobs = {run.job_id for run in seen.runs}
        found = [s for job_id in sorted(jobs) for s in seen.reader.skips(job_id, limit=100) if s.id > self._skips]
        busy = {run.job_id for run in seen.before.values() if run.state not in FINAL}
        busy |= {run.job_id for run in seen.fresh()}
        for skip in found:
            if skip.reason is SkipReason.OVERLAP:
                demand(skip.job_id in busy, f"overlap: {skip.schedule_id} at {skip.first_at} was skipped for nothing")
        self._skips = max((s.id for s in found), default=self._skips)


def _met_by(seen: Seen, run: RunRecord, other: RunRecord) -> bool:
    """Whether `other` was certainly busy when `run` was decided. Items of a run are not runs of their own here."""
    was = seen.before.get(other.id)
    if was is None or other.job_id != run.job_id or other.parent_id is not None:
        return False
    return was.state in _BUSY and other.state in _BUSY


def _ids(runs: list[RunRecord]) -> str:
    return ", ".join(run.id for run in runs)
