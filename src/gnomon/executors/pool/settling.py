"""From what a worker wrote down to the one `Ended` of an attempt."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

from gnomon.core.attempts import AttemptSpec, Ended, Failure, Outcome
from gnomon.core.values import EPOCH, from_micros
from gnomon.executors.files import Intent, Reason

from .wire import Over


def instant(seconds: float) -> datetime:
    """Seconds since 1970 as an instant."""
    return from_micros(round(seconds * 1e6))


def seconds(at: datetime) -> float:
    """An instant as seconds since 1970."""
    return (at.astimezone(UTC) - EPOCH).total_seconds()


def ended(spec: AttemptSpec, over: Over, intent: Intent | None, log_bytes: int) -> Ended:
    """It ran to an end of its own; an intent that stands decides all the same: none is made of what has ended."""
    stopped = intent
    if over.stopped:
        stopped = Intent(Reason(over.stopped), instant(over.at))
    error = Failure(over.code, over.message) if over.code or not over.ok else None
    outcome = Outcome.SUCCEEDED if over.ok else Outcome.FAILED
    if stopped is not None:
        outcome, error = stopping(spec, stopped)
    return Ended(
        spec.run_id,
        spec.number,
        spec.token,
        outcome,
        finished_at=instant(over.at),
        started_at=instant(over.at - over.seconds),
        duration_s=over.seconds,
        exit_code=over.exit if stopped is None else None,
        error=error,
        result=over.result if stopped is None else None,
        log_bytes=log_bytes,
    )


def stopping(spec: AttemptSpec, intent: Intent) -> tuple[Outcome, Failure]:
    """The end of what we stopped."""
    if intent.reason is Reason.TIMED_OUT:
        return Outcome.TIMED_OUT, Failure("timed_out", f"not done within its timeout of {spec.timeout_s} s: stopped")
    return Outcome.CANCELLED, Failure("cancelled", "the call was stopped: cancelled")


def died(
    spec: AttemptSpec,
    began: float,
    now: datetime,
    intent: Intent | None,
    code: int | None,
    *,
    ours: bool,
    log_bytes: int = 0,
    survivors: str = "",
    lost: str = "",
) -> Ended:
    """Its worker is gone in the middle of it.

    Args:
        code: of the worker, -N for signal N.
        ours: we were its scheduler.
        lost: why, if it was not alone in its worker: nobody knows whose fault it was.
    """
    if intent is not None and intent.reason is not Reason.LOST:
        outcome, error = stopping(spec, intent)
    elif lost:
        outcome, error = Outcome.LOST, Failure("lost", f"{lost}: {how(code)}" if ours else lost)
    elif ours:
        outcome, error = Outcome.FAILED, Failure("worker_died", f"the worker process died of it: {how(code)}")
    else:
        text = "its scheduler died, then its worker process; nobody saw how it ended"
        outcome, error = Outcome.LOST, Failure("lost", text)
    if survivors:
        error = Failure(error.code, f"{error.message}; {survivors}")
    return Ended(
        spec.run_id,
        spec.number,
        spec.token,
        outcome,
        finished_at=now,
        started_at=instant(began),
        duration_s=max(0.0, seconds(now) - began),
        exit_code=code,
        error=error,
        log_bytes=log_bytes,
    )


def how(code: int | None) -> str:
    """What became of a worker, in words."""
    if code is None:
        return "nothing is known of its exit"
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    hint = "; the kernel does that when memory runs out" if code == -signal.SIGKILL else ""
    return f"killed by signal {-code}{name}{hint}"


def never(spec: AttemptSpec, now: datetime, outcome: Outcome, code: str, message: str) -> Ended:
    """It has not begun and never will."""
    error = Failure(code, message)
    return Ended(spec.run_id, spec.number, spec.token, outcome, finished_at=now, error=error, never_started=True)
