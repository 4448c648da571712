"""The life of a run, as a table: (state, event) -> state. What is not in the table is illegal.

    scheduled --arrive--> queued --start--> running --succeed--> succeeded
        waiting --release--^   ^               |----fail-------> failed
                               |               |----requeue----> queued       (lost, or provably never begun)
                               +--arrive-- retry_wait <--retry--+
    any of scheduled, waiting, queued, retry_wait: --cancel--> cancelled, --skip--> skipped, --fail--> failed
    running --cancel--> cancelled

The last four states (succeeded, failed, cancelled, skipped) are final: nothing leads out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .errors import InvariantViolated, Problem


class State(StrEnum):
    """Where a run stands."""

    SCHEDULED = "scheduled"
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    RETRY_WAIT = "retry_wait"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class RunEvent(StrEnum):
    """What can happen to a run."""

    ARRIVE = "arrive"  # its time has come
    RELEASE = "release"  # what it waited for has happened
    START = "start"  # an attempt was claimed
    SUCCEED = "succeed"
    FAIL = "fail"
    RETRY = "retry"  # the attempt failed, another follows after a delay
    REQUEUE = "requeue"  # the attempt was lost or never began, another follows at once
    CANCEL = "cancel"
    SKIP = "skip"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SKIPPED})
ACTIVE = frozenset(State) - FINAL
PENDING = frozenset({State.SCHEDULED, State.WAITING, State.QUEUED})

TRANSITIONS: Mapping[tuple[State, RunEvent], State] = {
    (State.SCHEDULED, RunEvent.ARRIVE): State.QUEUED,
    (State.RETRY_WAIT, RunEvent.ARRIVE): State.QUEUED,
    (State.WAITING, RunEvent.RELEASE): State.QUEUED,
    (State.QUEUED, RunEvent.START): State.RUNNING,
    (State.RUNNING, RunEvent.SUCCEED): State.SUCCEEDED,
    (State.RUNNING, RunEvent.RETRY): State.RETRY_WAIT,
    (State.RUNNING, RunEvent.REQUEUE): State.QUEUED,
    **{(s, RunEvent.FAIL): State.FAILED for s in ACTIVE},
    **{(s, RunEvent.CANCEL): State.CANCELLED for s in ACTIVE},
    **{(s, RunEvent.SKIP): State.SKIPPED for s in PENDING | {State.RETRY_WAIT}},
}


def advance(state: State, event: RunEvent) -> State:
    """The state after `event`.

    Raises:
        InvariantViolated: if the table has no such transition.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvariantViolated(
            Problem("illegal_transition", f"a run that is {state} cannot {event}", hint="please report this")
        ) from None
