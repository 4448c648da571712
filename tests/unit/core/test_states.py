"""The state table, walked whole."""

from __future__ import annotations

import itertools

import pytest

from gnomon.core.errors import InvariantViolated
from gnomon.core.states import ACTIVE, FINAL, PENDING, TRANSITIONS, RunEvent, State, advance

PAIRS = list(itertools.product(State, RunEvent))
# Written down a second time, from architecture.md: what may happen to a run in each state.
MAY = {
    State.SCHEDULED: {"arrive", "fail", "cancel", "skip"},
    State.WAITING: {"release", "fail", "cancel", "skip"},
    State.QUEUED: {"start", "fail", "cancel", "skip"},
    State.RUNNING: {"succeed", "fail", "retry", "requeue", "cancel"},
    State.RETRY_WAIT: {"arrive", "fail", "cancel", "skip"},
}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair_is_in_the_table_or_a_bug(state: State, event: RunEvent) -> None:
    if event.value in MAY.get(state, set()):
        assert advance(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(InvariantViolated) as caught:
        advance(state, event)
    assert caught.value.code == "illegal_transition"
    assert caught.value.exit_code == 70


def test_nothing_leads_out_of_a_final_state() -> None:
    assert not {state for state, _ in TRANSITIONS} & FINAL
    assert {state.value for state in FINAL} == {"succeeded", "failed", "cancelled", "skipped"}
    assert set(State) == FINAL | ACTIVE
    assert PENDING < ACTIVE


def test_every_state_can_be_reached_and_every_active_one_can_end() -> None:
    entered = {State.SCHEDULED, State.WAITING, State.QUEUED}
    assert entered | set(TRANSITIONS.values()) == set(State)
    for state in ACTIVE:
        assert any(TRANSITIONS.get((state, event)) in FINAL for event in RunEvent)


def test_only_running_begins_an_attempt_and_only_from_queued() -> None:
    into = {state for (state, event), target in TRANSITIONS.items() if target is State.RUNNING}
    assert into == {State.QUEUED}
