"""The gate for what executors report: whoever wrote them, the step of all jobs gets plain and bounded values only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from .attempts import Ended, Event, Failure, Handle, Heartbeat, Outcome, Started
from .handover import MESSAGE_LIMIT, Unkept, code_of, kept, real, type_name, whole, words

BAD_RESULT = "bad_result"
"""The code of a result that is no JSON, or more of it than is kept."""
BAD_REPORT = "bad_report"
"""The code of an end of which what was said cannot be kept."""
_MOST = (1 << 63) - 1
_ID_LIMIT = 1000


def received(event: Event, now: datetime) -> Event | None:
    """The event as it may be kept; None if it cannot even be told which attempt it is about. Raises nothing.

    A result that cannot be kept takes nothing from an attempt that has succeeded: it is null, and the error of the
    attempt says why.
    """
    try:
        who = _attempt(event)
        if who is None:
            return None
        if isinstance(event, Started):
            return Started(*who, _instant(event.at, now), _handle(event.handle))
        if isinstance(event, Heartbeat):
            return Heartbeat(*who, _instant(event.at, now))
        return _ended(event, who, now)
    except Exception as error:  # attributes that raise: an event of a type that only looks like one
        return unwritable(event, error, now)


def unwritable(event: Event, why: Exception, now: datetime) -> Event | None:
    """What is left of a report that cannot be read or written: that it came. What has succeeded stays so."""
    who = _attempt(event)
    if who is None or type(event) is Heartbeat:
        return None
    if type(event) is Started:
        return Started(*who, now, Handle(""))
    good = getattr(event, "outcome", None) is Outcome.SUCCEEDED
    text = f"what was reported of its end cannot be kept ({type_name(why)})"
    return Ended(*who, Outcome.SUCCEEDED if good else Outcome.FAILED, now, error=Failure(BAD_REPORT, text))


def _attempt(event: Event) -> tuple[str, int, int] | None:
    if type(event) not in (Started, Ended, Heartbeat):
        return None
    number, token = whole(event.number, 0, _MOST), whole(event.token, 0, _MOST)
    run_id = words(event.run_id, _ID_LIMIT)
    return None if not run_id or number is None or token is None else (run_id, number, token)


def _ended(event: Ended, who: tuple[str, int, int], now: datetime) -> Ended:
    outcome = event.outcome if type(event.outcome) is Outcome else Outcome.FAILED
    error = None if event.error is None else _failure(event.error)
    if error is None and outcome is not event.outcome:
        error = Failure(BAD_REPORT, "the report names no outcome")
    result = None
    try:
        result = kept(event.result)
    except Unkept as why:
        error = without_result(outcome, error, str(why))
    return Ended(
        *who,
        outcome,
        _instant(event.finished_at, now),
        started_at=None if event.started_at is None else _instant(event.started_at, now),
        duration_s=_seconds(event.duration_s),
        exit_code=whole(event.exit_code, -_MOST, _MOST),
        error=error,
        result=result,
        log_bytes=whole(event.log_bytes, 0, _MOST) or 0,
        never_started=event.never_started is True,
    )


def without_result(outcome: Outcome, error: Failure | None, why: str) -> Failure:
    """The error of an attempt whose result is not kept: its own one with that added, or that alone."""
    if error is None or outcome is Outcome.SUCCEEDED:
        return Failure(BAD_RESULT, words(why))
    return Failure(error.code, words(f"{error.message} ({why})"))


def _failure(error: Failure) -> Failure:
    if type(error) is not Failure:
        return Failure(BAD_REPORT, f"the report has an error of type {type_name(error)}")
    return Failure(code_of(error.code), words(error.message, MESSAGE_LIMIT))


def _seconds(said: object) -> float | None:
    seconds = real(said)
    return None if seconds is None else max(0.0, seconds)


def _instant(at: datetime, now: datetime) -> datetime:
    if type(at) is not datetime or at.tzinfo is None:
        return now
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _handle(handle: Handle) -> Handle:
    if type(handle) is not Handle:
        return Handle("")
    try:
        process = kept(handle.process)
    except Unkept:
        process = None
    return Handle(words(handle.worker, _ID_LIMIT), process if isinstance(process, Mapping) else {})
