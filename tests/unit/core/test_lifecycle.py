"""What becomes of a run when its attempt ends, for every outcome and policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core import lifecycle
from gnomon.core.attempts import Ended, Failure, Outcome
from gnomon.core.errors import InvariantViolated
from gnomon.core.lifecycle import MOST_LOST, after_attempt, begun, request_cancel, retry_delay_s
from gnomon.core.model import Backoff, OnLost, Retry
from gnomon.core.records import Cause, RunRecord
from gnomon.core.states import ACTIVE, FINAL, State

from .facts import at, job, run

RUNNING = run(state=State.RUNNING, attempts=1)


def ended(outcome: Outcome, **fields: Any) -> Ended:
    given_: dict[str, Any] = {"finished_at": at(100), "started_at": at(1), "duration_s": 99.0}
    return Ended("r1", 1, 7, outcome, **(given_ | fields))


def after(run_: RunRecord, outcome: Outcome, *, uniform: float = 0.5, ended_: Any = None, **policy: Any) -> RunRecord:
    return after_attempt(run_, job(**policy), ended(outcome, **(ended_ or {})), at(100), uniform)


def test_success_closes_the_run_with_its_result() -> None:
    done = after(RUNNING, Outcome.SUCCEEDED, ended_={"exit_code": 0, "result": {"n": 1}})
    assert (done.state, done.exit_code, done.result, done.error) == (State.SUCCEEDED, 0, {"n": 1}, None)
    assert (done.finished_at, done.started_at, done.duration_s, done.lateness_s) == (at(100), at(1), 99.0, 1.0)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMED_OUT])
def test_without_restarts_a_failure_is_final_and_says_why(outcome: Outcome) -> None:
    done = after(RUNNING, outcome, ended_={"error": Failure(outcome.value, "why")})
    assert (done.state, done.reason, done.failures) == (State.FAILED, outcome.value, 1)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMED_OUT])
def test_a_failed_or_timed_out_attempt_is_retried_restarts_times(outcome: Outcome) -> None:
    one = RUNNING
    for failures in (1, 2):
        one = after(one, outcome, restarts=2, retry=Retry(delay_s=10, jitter=False))
        assert (one.state, one.failures) == (State.RETRY_WAIT, failures)
        assert one.available_at == at(100) + timedelta(seconds=10 * 2 ** (failures - 1))
        one = lifecycle.start(lifecycle.arrive(one, at(200)), at(200))
    assert one.attempts == 3
    assert after(one, outcome, restarts=2).state is State.FAILED


@pytest.mark.parametrize(
    ("on", "fields", "outcome", "wanted"),
    [
        ((), {"exit_code": 1}, Outcome.FAILED, True),
        (("any",), {"exit_code": 9}, Outcome.TIMED_OUT, True),
        ((75,), {"exit_code": 75}, Outcome.FAILED, True),
        ((75,), {"exit_code": 1}, Outcome.FAILED, False),
        (("timed_out",), {"exit_code": -9}, Outcome.TIMED_OUT, True),
        (("timed_out",), {"exit_code": 1}, Outcome.FAILED, False),
        (("failed",), {"exit_code": 1}, Outcome.FAILED, True),
        (("ConnectionError",), {"error": Failure("ConnectionError", "no")}, Outcome.FAILED, True),
        (("ConnectionError",), {"error": Failure("ValueError", "no")}, Outcome.FAILED, False),
        ((75, "timed_out"), {"exit_code": None}, Outcome.TIMED_OUT, True),
    ],
)
def test_retry_on_exit_codes_exception_names_and_outcomes(
    on: tuple[str | int, ...], fields: dict[str, Any], outcome: Outcome, wanted: bool
) -> None:
    done = after(RUNNING, outcome, ended_=fields, restarts=1, retry=Retry(on=on))
    assert done.state is (State.RETRY_WAIT if wanted else State.FAILED)


def test_backoff_grows_by_factor_up_to_max_delay() -> None:
    retry = Retry(delay_s=10, factor=3, max_delay_s=200, jitter=False)
    assert [retry_delay_s(retry, n, 0.0) for n in range(1, 6)] == [10, 30, 90, 200, 200]
    fixed = Retry(delay_s=10, backoff=Backoff.FIXED, jitter=False)
    assert [retry_delay_s(fixed, n, 0.9) for n in (1, 2, 50)] == [10, 10, 10]


@given(
    st.builds(
        Retry,
        delay_s=st.floats(0, 1e6),
        backoff=st.sampled_from(list(Backoff)),
        factor=st.floats(1, 100),
        max_delay_s=st.floats(0, 1e6),
        jitter=st.booleans(),
    ),
    st.integers(1, 10_000),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_never_more_than_max_delay_nor_less_than_half(retry: Retry, failures: int, uniform: float) -> None:
    delay = retry_delay_s(retry, failures, uniform)
    calm = retry_delay_s(replace(retry, jitter=False), failures, uniform)
    assert 0 <= delay <= retry.max_delay_s
    assert calm / 2 <= delay <= calm


def test_lost_is_rerun_at_most_three_times_and_not_counted_as_a_failure() -> None:
    one = RUNNING
    for number in range(1, MOST_LOST + 1):
        one = after(one, Outcome.LOST)
        assert (one.state, one.lost, one.failures) == (State.QUEUED, number, 0)
        one = lifecycle.start(one, at(100))
    done = after(one, Outcome.LOST)
    assert (done.state, done.reason, done.failures) == (State.FAILED, "lost", 0)
    assert done.error is not None


def test_lost_with_on_lost_fail_never_runs_again() -> None:
    done = after(RUNNING, Outcome.LOST, on_lost=OnLost.FAIL, restarts=5)
    assert (done.state, done.reason) == (State.FAILED, "lost")


def test_what_provably_never_began_is_done_again_whatever_on_lost_says() -> None:
    done = after(RUNNING, Outcome.LOST, ended_={"never_started": True, "started_at": None}, on_lost=OnLost.FAIL)
    assert (done.state, done.lost, done.failures, done.started_at) == (State.QUEUED, 0, 0, None)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_cancelled_run_ends_cancelled_unless_it_succeeded_first(outcome: Outcome) -> None:
    wanted = request_cancel(RUNNING, at(50), "alice")
    assert wanted.state is State.RUNNING, "its process must be stopped first"
    done = after(wanted, outcome, restarts=9)
    assert done.state is (State.SUCCEEDED if outcome is Outcome.SUCCEEDED else State.CANCELLED)
    assert done.cancel_actor == "alice"
    never = after(wanted, Outcome.LOST, ended_={"never_started": True})
    assert never.state is State.CANCELLED


def test_an_executor_that_cancels_by_itself_cancels_the_run() -> None:
    assert after(RUNNING, Outcome.CANCELLED, restarts=9).state is State.CANCELLED


@pytest.mark.parametrize("state", sorted(ACTIVE - {State.RUNNING}))
def test_a_run_without_a_live_attempt_is_cancelled_at_once(state: State) -> None:
    done = request_cancel(run(state=state), at(5), "bob", "replaced")
    assert (done.state, done.reason, done.finished_at) == (State.CANCELLED, "replaced", at(5))


def test_a_second_cancel_request_keeps_the_time_of_the_first() -> None:
    twice = request_cancel(request_cancel(RUNNING, at(5), "a"), at(9), "b")
    assert twice.cancel_requested_at == at(5)


@pytest.mark.parametrize("state", sorted(set(State) - {State.RUNNING}))
def test_the_end_of_an_attempt_of_a_run_that_does_not_run_is_a_bug(state: State) -> None:
    with pytest.raises(InvariantViolated):
        after(run(state=state), Outcome.SUCCEEDED)


def test_lateness_is_actual_start_minus_due_time_and_that_of_the_first_start() -> None:
    first = begun(run(due_at=at(0)), at(7))
    assert first.lateness_s == 7
    assert begun(first, at(50)) is first
    assert begun(run(due_at=at(10)), at(7)).lateness_s == 0


def test_a_downstream_run_is_late_from_its_release() -> None:
    below = lifecycle.release(run(state=State.WAITING, cause=Cause.DOWNSTREAM, due_at=at(0)), at(3600))
    assert begun(below, at(3602)).lateness_s == 2


def test_skip_keeps_reason_and_message() -> None:
    done = lifecycle.skip(run(state=State.WAITING), at(9), "upstream_failed", "upstream a ended failed")
    assert (done.state, done.reason, done.finished_at) == (State.SKIPPED, "upstream_failed", at(9))
    assert done.error == Failure("upstream_failed", "upstream a ended failed")


@given(st.lists(st.sampled_from(list(Outcome)), max_size=30), st.integers(0, 4), st.sampled_from(list(OnLost)))
def test_attempts_are_bounded_and_every_sequence_of_ends_is_legal(
    outcomes: list[Outcome], restarts: int, on_lost: OnLost
) -> None:
    """I6: attempts ≤ restarts + 1 + MOST_LOST; with on_lost: fail, a lost attempt is the last."""
    one = lifecycle.start(run(), at(0))
    for outcome in outcomes:
        if one.state in FINAL:
            break
        one = after(one, outcome, restarts=restarts, on_lost=on_lost)
        if one.state is State.RETRY_WAIT:
            one = lifecycle.arrive(one, at(100))
        if one.state is State.QUEUED:
            assert not (outcome is Outcome.LOST and on_lost is OnLost.FAIL)
            one = lifecycle.start(one, at(100))
    assert one.attempts <= restarts + 1 + MOST_LOST
