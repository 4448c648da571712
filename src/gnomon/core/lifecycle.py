"""What becomes of a run: when it starts, when an attempt ends, when someone cancels or its deadline passes.

Every function takes a run and returns the run as it is afterwards; nothing else changes.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from .attempts import Ended, Failure, Outcome
from .model import Backoff, Job, OnLost, Retry
from .records import Cause, RunRecord
from .replacing import replace
from .reports import BAD_REPORT, BAD_RESULT
from .states import RunEvent, State, advance

SKIPPED_BY_HAND = "skipped_by_hand"
"""The reason of a run that somebody took out of its flow: the flow goes on as if it had succeeded."""

_NOT_KEPT = re.compile(rf"(?:^|; )(?:{BAD_RESULT}|{BAD_REPORT}): (.*)", re.DOTALL)
MOST_LOST = 3
"""How often a run whose attempts vanish in crashes is run again."""


def start(run: RunRecord, now: datetime) -> RunRecord:
    """An attempt of it was claimed."""
    return replace(
        run, state=advance(run.state, RunEvent.START), attempts=run.attempts + 1, available_at=None, waiting_for=None
    )


def begun(run: RunRecord, at: datetime) -> RunRecord:
    """Its attempt began at `at`; the first gives the lateness: since it was due, or its upstreams were done."""
    if run.started_at is not None:
        return run
    due = max(run.due_at, run.queued_at) if _waited(run) and run.queued_at else run.due_at
    return replace(run, started_at=at, lateness_s=max(0.0, (at - due).total_seconds()))


def _waited(run: RunRecord) -> bool:
    """Whether it began with others, not at its due time."""
    return run.cause in (Cause.DOWNSTREAM, Cause.BACKFILL) or run.parent_id is not None


def after_attempt(run: RunRecord, job: Job, ended: Ended, now: datetime, uniform: float) -> RunRecord:
    """Where the run goes when its attempt has ended.

    Args:
        job: the definition the run was made with.
        uniform: entropy in [0, 1) for the jitter of the retry delay.
    """
    if ended.started_at is not None:
        run = begun(run, ended.started_at)
    run = replace(run, exit_code=ended.exit_code, error=ended.error, duration_s=ended.duration_s, result=ended.result)
    if run.cancel_requested_at is not None and ended.outcome is not Outcome.SUCCEEDED:
        return close(run, RunEvent.CANCEL, ended.finished_at, reason=run.cancel_reason or "cancelled")
    match ended.outcome:
        case Outcome.SUCCEEDED:
            run = replace(run, error=None, note=_noted(run.note, ended.error))
            return close(run, RunEvent.SUCCEED, ended.finished_at)
        case Outcome.CANCELLED:
            return close(run, RunEvent.CANCEL, ended.finished_at, reason="cancelled")
        case Outcome.LOST:
            return _after_loss(run, job, ended, now)
        case Outcome.FAILED | Outcome.TIMED_OUT:
            run = replace(run, failures=run.failures + 1)
            if run.failures <= job.restarts and _wanted(job.retry, ended):
                again = now + timedelta(seconds=retry_delay_s(job.retry, run.failures, uniform))
                return replace(run, state=advance(run.state, RunEvent.RETRY), available_at=again)
            return close(run, RunEvent.FAIL, ended.finished_at)


def retry_delay_s(retry: Retry, failures: int, uniform: float) -> float:
    """Seconds until the attempt after the `failures`-th failure (counts from 1).

    Fixed, or growing by `factor` and capped; jitter takes it from the upper half of that.
    """
    delay = retry.delay_s
    if retry.backoff is Backoff.EXPONENTIAL:
        try:
            grown = retry.factor ** (failures - 1)
        except OverflowError:
            grown = float("inf")
        delay = min(delay * grown, retry.max_delay_s) if delay else 0.0
    delay = min(delay, retry.max_delay_s)
    return delay * (0.5 + uniform / 2) if retry.jitter else delay


def arrive(run: RunRecord, now: datetime) -> RunRecord:
    """Its time has come: scheduled, or the delay before a retry is over."""
    return replace(run, state=advance(run.state, RunEvent.ARRIVE), queued_at=now, available_at=None)


def release(run: RunRecord, now: datetime) -> RunRecord:
    """What it waited for has happened."""
    return replace(run, state=advance(run.state, RunEvent.RELEASE), queued_at=now, waiting_for=None)


def skip(run: RunRecord, now: datetime, reason: str, message: str) -> RunRecord:
    """It will not run."""
    return replace(close(run, RunEvent.SKIP, now, reason=reason), error=Failure(reason, message))


def fail(run: RunRecord, now: datetime, code: str, message: str) -> RunRecord:
    """It failed without an attempt."""
    return close(replace(run, error=Failure(code, message)), RunEvent.FAIL, now)


def request_cancel(run: RunRecord, now: datetime, actor: str, reason: str = "cancelled") -> RunRecord:
    """Someone wants it stopped: at once if no attempt of it is live, else when the attempt has been stopped."""
    run = replace(run, cancel_requested_at=run.cancel_requested_at or now, cancel_actor=actor, cancel_reason=reason)
    return run if run.state is State.RUNNING else close(run, RunEvent.CANCEL, now, reason=reason)


def _after_loss(run: RunRecord, job: Job, ended: Ended, now: datetime) -> RunRecord:
    if ended.never_started:
        return replace(run, state=advance(run.state, RunEvent.REQUEUE), queued_at=now, error=None)
    run = replace(run, lost=run.lost + 1)
    if job.on_lost is OnLost.RERUN and run.lost <= MOST_LOST:
        return replace(run, state=advance(run.state, RunEvent.REQUEUE), queued_at=now)
    why = ended.error or Failure("lost", "the attempt vanished in a crash; nothing is known of its end")
    return close(replace(run, error=why), RunEvent.FAIL, ended.finished_at, reason="lost")


def why_no_result(run: RunRecord) -> str:
    """Why a run that has succeeded has no result though it gave one; "" if that is not so."""
    found = _NOT_KEPT.search(run.note or "")
    return "" if found is None else found[1]


def _noted(note: str | None, error: Failure | None) -> str | None:
    """The note of a run that has succeeded, with what is wrong all the same."""
    said = "" if error is None else f"{error.code}: {error.message}"
    return "; ".join(text for text in (note, said) if text) or None


def _wanted(retry: Retry, ended: Ended) -> bool:
    code = None if ended.error is None else ended.error.code
    if code == BAD_RESULT and ended.exit_code == 0:  # what was to be done is done: again only if somebody asks for it
        return code in retry.on
    if not retry.on or "any" in retry.on:
        return True
    return ended.exit_code in retry.on or ended.outcome.value in retry.on or code in retry.on


def close(run: RunRecord, event: RunEvent, at: datetime, reason: str | None = None) -> RunRecord:
    """It is over. A failure without a reason has its error's code."""
    if reason is None and event is RunEvent.FAIL and run.error is not None:
        reason = run.error.code
    return replace(
        run,
        state=advance(run.state, event),
        finished_at=at,
        available_at=None,
        deadline_at=None,
        waiting_for=None,
        reason=reason,
    )
