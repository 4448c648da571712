"""I3 and I6 in detail: max_active, rates, priorities, deadlines, catch-up, retries, pauses after failures."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from gnomon.core.attempts import Outcome
from gnomon.core.model import CatchUpMode, Job, Rate
from gnomon.core.records import AttemptRecord, Cause, RunRecord
from gnomon.core.states import State

from .parts import Part, Seen, demand


class Limits(Part):
    """Recounts what was claimed and made in each step, without the scheduler's code."""

    def after_step(self, seen: Seen) -> None:
        claims = seen.claims()
        self._max_active(seen, claims)
        self._rates(seen, claims)
        self._deadlines(claims)
        self._priorities(seen, claims)
        self._retries(seen, claims)
        self._catch_up(seen)
        self._pauses(seen)

    def _max_active(self, seen: Seen, claims: list[tuple[RunRecord, AttemptRecord]]) -> None:
        performing = Counter(run.job_id for run in seen.runs if run.state is State.RUNNING)
        for run, _ in claims:
            limit = seen.job_of(run).max_active
            if limit is not None and run.state is State.RUNNING:
                demand(
                    performing[run.job_id] <= limit,
                    f"I3: {performing[run.job_id]} runs of {run.job_id} are performed, max_active is {limit}",
                )

    def _rates(self, seen: Seen, claims: list[tuple[RunRecord, AttemptRecord]]) -> None:
        rated = [(run, attempt, rate) for run, attempt in claims if (rate := seen.job_of(run).rate) is not None]
        for run, attempt, rate in rated:
            count = _starts(seen, run.job_id, attempt.claimed_at, rate)
            demand(
                count <= rate.count, f"I3: {count} starts of {run.job_id} in {rate.period_s} s, {rate.count} allowed"
            )

    def _deadlines(self, claims: list[tuple[RunRecord, AttemptRecord]]) -> None:
        for run, attempt in claims:
            if attempt.number == 1 and run.deadline_at is not None:
                demand(
                    attempt.claimed_at <= run.deadline_at, f"start_deadline: {run.id} of {run.job_id} began after it"
                )

    def _priorities(self, seen: Seen, claims: list[tuple[RunRecord, AttemptRecord]]) -> None:
        """Nobody overtakes a run of higher priority that waits for nothing but its turn."""
        lowest = min(((run.priority, attempt.claimed_at) for run, attempt in claims), default=None)
        for run in seen.runs if lowest is not None else ():
            was = seen.before.get(run.id)
            if lowest is None or was is None or run.priority <= lowest[0] or was.attempts != run.attempts:
                continue
            late = run.deadline_at is not None and run.deadline_at < lowest[1]
            if run.state is State.QUEUED and was.state is State.QUEUED and not late:
                waits = run.waiting_for is not None
                demand(waits, f"priority: {run.id} of {run.job_id} was overtaken and waits for nothing")

    def _retries(self, seen: Seen, claims: list[tuple[RunRecord, AttemptRecord]]) -> None:
        """An attempt follows one that failed only while restarts are left and after what it may follow."""
        for run, attempt in claims:
            job, past = seen.job_of(run), seen.attempts[run.id][: attempt.number - 1]
            failed = [a for a in past if a.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)]
            demand(len(failed) <= job.restarts, f"I6: {run.id} is tried after {len(failed)} failures")
            wanted = all(_may_follow(job, a) for a in failed)
            demand(wanted, f"retry: {run.id} of {run.job_id} is tried again after {_words(failed)}, on: {job.retry.on}")

    def _catch_up(self, seen: Seen) -> None:
        caught_up = [run for run in seen.fresh() if "caught up" in (run.note or "")]
        by_entry: dict[tuple[str | None, int], list[RunRecord]] = {}
        for run in caught_up:
            by_entry.setdefault((run.schedule_id, run.version), []).append(run)
        for runs in by_entry.values():
            policy = seen.job_of(runs[0]).catch_up
            most = {CatchUpMode.NONE: 0, CatchUpMode.LATEST: 1, CatchUpMode.ALL: policy.max_count}[policy.mode]
            demand(
                len(runs) <= most, f"catch_up: {len(runs)} runs of {runs[0].schedule_id}, {policy.mode} allows {most}"
            )
            for run in runs:
                age = run.created_at - (run.fire_at or run.due_at)
                young = policy.max_age_s is None or age <= timedelta(seconds=policy.max_age_s)
                demand(young, f"catch_up: {run.id} was {age} old, max_age is {policy.max_age_s} s")
                demand(run.exclusive, f"catch_up: {run.id} does not queue behind the others")

    def _pauses(self, seen: Seen) -> None:
        ended = {r.job_id for r in seen.runs if r.state in (State.SUCCEEDED, State.FAILED) and not _same(seen, r)}
        for record in seen.reader.jobs_by_id(ended).values():
            limit = record.job.pause_after
            if limit is not None and record.failure_streak >= limit:
                demand(record.paused_at is not None, f"pause_after: {record.job_id} goes on after {limit} failures")


def _starts(seen: Seen, job_id: str, until: datetime, rate: Rate) -> int:
    since = until - timedelta(seconds=rate.period_s)
    mine = [a for run in seen.runs if run.job_id == job_id for a in seen.attempts.get(run.id, ())]
    return sum(since < a.claimed_at <= until for a in mine)


def _may_follow(job: Job, attempt: AttemptRecord) -> bool:
    facts = {attempt.exit_code, None if attempt.outcome is None else attempt.outcome.value}
    facts.add(None if attempt.error is None else attempt.error.code)
    return not job.retry.on or bool(facts & set(job.retry.on))


def _words(attempts: list[AttemptRecord]) -> str:
    return ", ".join(f"{a.outcome} (exit code {a.exit_code})" for a in attempts)


def _same(seen: Seen, run: RunRecord) -> bool:
    was = seen.before.get(run.id)
    return was is not None and was.state is run.state


def on_time(run: RunRecord) -> bool:
    """A run of a schedule that is not caught up: the overlap policy decided it."""
    return run.cause is Cause.SCHEDULE and "caught up" not in (run.note or "")
