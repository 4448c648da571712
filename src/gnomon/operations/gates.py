"""The gates between a fire time and a running process, in the order the scheduler asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gnomon.core.lifecycle import SKIPPED_BY_HAND
from gnomon.core.records import AttemptRecord, Cause, RunRecord, SkipReason, SkipRecord
from gnomon.core.rules import Fire
from gnomon.core.states import FINAL, State
from gnomon.core.values import rfc3339


@dataclass(frozen=True, slots=True)
class Gate:
    """One question. `passed` None: not asked yet, or not known. `at`: when it was answered or became true."""

    name: str
    passed: bool | None
    evidence: str
    at: datetime | None = None


_FAILED_GATE = {
    SkipReason.PAUSED: "not paused",
    SkipReason.DISABLED: "not paused",
    SkipReason.EXCLUDED: "not excluded",
    SkipReason.OUTSIDE_WINDOW: "not excluded",
    SkipReason.CATCH_UP: "decided in time, or caught up",
    SkipReason.OVERLAP: "no overlap",
}
_NOBODY = "no scheduler is running on this database"
_SKIP_ORDER = ("the moment matches", "not paused", "not excluded", "decided in time, or caught up", "no overlap")


def moment_gate(schedule_id: str, fire: Fire) -> Gate:
    """The moment is a fire time of an entry."""
    note = f" ({fire.note})" if fire.note else ""
    local = f"{fire.local:%Y-%m-%d %H:%M:%S %Z}"
    return Gate("the moment matches", True, f"{schedule_id} names {local}{note}", fire.at)


def skip_gates(skip: SkipRecord) -> list[Gate]:
    """Gates of a fire time that made no run: passed up to the one that stopped it."""
    stopped = _FAILED_GATE[skip.reason]
    gates = []
    for name in _SKIP_ORDER:
        if name == stopped:
            gates.append(Gate(name, False, skip.detail, skip.decided_at))
            break
        evidence = f"{skip.schedule_id} names it" if name == "the moment matches" else "yes"
        gates.append(Gate(name, True, evidence, skip.first_at if skip.count == 1 else None))
    return gates


def verdict_of_skip(skip: SkipRecord) -> str:
    """One sentence."""
    if skip.count > 1:
        stretch = f"The {skip.count} fire times from {rfc3339(skip.first_at)} to {rfc3339(skip.last_at)}"
        return f"{stretch} of {skip.schedule_id} made no run ({skip.reason}): {skip.detail}."
    return f"{skip.job_id} did not run for {rfc3339(skip.first_at)} ({skip.reason}): {skip.detail}."


def run_gates(
    run: RunRecord, attempts: Sequence[AttemptRecord], nodes_alive: int, items: Mapping[State, int] | None = None
) -> list[Gate]:
    """Gates of a run, up to where it is. `items`: of a `for_each` run, how many are in which state."""
    gates = [_origin(run)]
    if run.cause is Cause.SCHEDULE:
        gates.append(Gate("not paused", True, "yes", run.created_at))
        gates.append(Gate("decided in time, or caught up", True, run.note or "yes", run.created_at))
    gates.append(_upstreams(run))
    if run.state in (State.QUEUED, State.SCHEDULED) and not attempts:
        text = f"{nodes_alive} running on this database" if nodes_alive else _NOBODY
        gates.append(Gate("a scheduler is there", nodes_alive > 0, text))
    if nodes_alive or attempts or run.state is not State.QUEUED:
        gates += _limits(run, attempts)
    gates += [_attempt(run, a) for a in attempts]
    if items is not None:
        over = run.state in FINAL
        gates.append(Gate("its items have ended", over, counted(items), run.finished_at if over else run.started_at))
    if run.state is State.RETRY_WAIT:
        gates.append(Gate("the delay before the retry is over", False, f"next attempt at {rfc3339(run.available_at)}"))
    if run.cancel_requested_at is not None:
        text = f"{run.cancel_reason} by {run.cancel_actor}"
        gates.append(Gate("not cancelled", False, text, run.cancel_requested_at))
    return gates


def counted(items: Mapping[State, int]) -> str:
    """How many items are in which state, in words."""
    total = sum(items.values())
    return f"{total} item{'s' * (total != 1)}: " + ", ".join(
        f"{count} {state}" for state, count in sorted(items.items())
    )


def verdict_of_run(
    run: RunRecord, attempts: Sequence[AttemptRecord], nodes_alive: int, items: Mapping[State, int] | None = None
) -> str:
    """One sentence."""
    when = f"{run.job_id}, due {rfc3339(run.due_at)},"
    match run.state:
        case State.SUCCEEDED:
            return f"{when} ran and succeeded: started {_lateness(run)}, took {run.duration_s or 0:.3f} s."
        case State.FAILED:
            why = f": {run.error.message}" if run.error else ""
            tries = f" after {run.attempts} attempt{'s' * (run.attempts != 1)}" if run.attempts else ""
            return f"{when} failed{tries}{why}."
        case State.CANCELLED:
            return f"{when} was cancelled by {run.cancel_actor or 'someone'} ({run.reason})."
        case State.SKIPPED:
            return f"{when} was skipped ({run.reason}): {run.error.message if run.error else 'no reason kept'}."
        case State.RUNNING if items is not None:
            return f"{when} is running, started {_lateness(run)}: {counted(items)}."
        case State.RUNNING:
            return f"{when} is running: attempt {run.attempts}, started {_lateness(run)}."
        case State.RETRY_WAIT:
            return f"{when} failed and is tried again at {rfc3339(run.available_at)} (failure {run.failures})."
        case State.WAITING:
            return f"{when} waits for {run.waiting_for or 'its upstreams'}."
        case State.QUEUED:
            if not nodes_alive:
                return f"{when} is queued: {_NOBODY}."
            return f"{when} is queued and waits for {run.waiting_for or 'a free slot'}."
        case State.SCHEDULED:
            return f"{when} is planned and waits for its time."


def _origin(run: RunRecord) -> Gate:
    match run.cause:
        case Cause.SCHEDULE:
            text = f"{run.schedule_id} names {rfc3339(run.fire_at)}" + (f" ({run.note})" if run.note else "")
            return Gate("the moment matches", True, text, run.fire_at)
        case Cause.STARTUP:
            return Gate("the scheduler started", True, f"{run.schedule_id} fires at every start", run.due_at)
        case Cause.DOWNSTREAM:
            return Gate("its flow began", True, f"flow {run.flow_id}", run.created_at)
        case Cause.BACKFILL:
            text = f"backfill by {run.actor}: {run.schedule_id} names {rfc3339(run.fire_at)}"
            return Gate("someone asked", True, text, run.created_at)
        case Cause.MANUAL:
            return Gate("someone asked", True, f"{run.cause} by {run.actor}", run.created_at)


def _upstreams(run: RunRecord) -> Gate:
    if run.state is State.WAITING:
        return Gate("upstreams are done", False, run.waiting_for or "not all have ended")
    if run.reason == "dependencies_not_met":
        return Gate("upstreams are done", False, run.error.message if run.error else run.reason, run.finished_at)
    if run.reason == SKIPPED_BY_HAND:
        return Gate("not skipped by hand", False, run.error.message if run.error else "", run.finished_at)
    if run.state is State.CANCELLED and run.queued_at is None and run.attempts == 0:
        return Gate("upstreams are done", False, "it was cancelled while it waited", run.finished_at)
    if run.cause is not Cause.DOWNSTREAM:
        return Gate("upstreams are done", True, "it waits for none, or they are")
    if run.state is State.SKIPPED and run.reason != "deadline":
        name = "not paused" if run.reason in ("paused", "disabled") else "upstreams are done"
        return Gate(name, False, run.error.message if run.error else str(run.reason), run.finished_at)
    return Gate("upstreams are done", True, "yes", run.queued_at)


def _limits(run: RunRecord, attempts: Sequence[AttemptRecord]) -> list[Gate]:
    name = "no overlap, and a free slot"
    if attempts:
        return [Gate(name, True, "yes", attempts[0].claimed_at)]
    if run.state is State.QUEUED:
        return [Gate(name, False, f"waits for {run.waiting_for or 'a free slot'}")]
    if run.state is State.SKIPPED and run.reason == "deadline":
        return [Gate("started by its deadline", False, run.error.message if run.error else "deadline", run.finished_at)]
    return []


def _attempt(run: RunRecord, attempt: AttemptRecord) -> Gate:
    name = f"attempt {attempt.number} on {attempt.node_id}"
    if attempt.outcome is None:
        text = "is running" if attempt.started_at else "is claimed, not started yet"
        return Gate(name, None, text, attempt.started_at or attempt.claimed_at)
    why = f": {attempt.error.message}" if attempt.error else ""
    return Gate(name, attempt.outcome == "succeeded", f"{attempt.outcome}{why}", attempt.finished_at)


def _lateness(run: RunRecord) -> str:
    late = run.lateness_s
    return "on time" if late is None or late < 1 else f"{late:.1f} s late"
