"""Pipelines: who is below whom, and what upstreams say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gnomon.core.flows import Verdict, belongs_to_flow, closure, judge, newest_of
from gnomon.core.model import Dependency, When
from gnomon.core.rules import ScheduleSpec
from gnomon.core.states import ACTIVE, FINAL, State

from .facts import at, job, run


def below(graph: Mapping[str, Sequence[str]]):
    return lambda level: {job_id: graph.get(job_id, ()) for job_id in level}


def test_closure_is_nearest_first_each_once_without_the_roots() -> None:
    diamond = {"a": ["c", "b"], "b": ["d"], "c": ["d", "e"], "d": ["f"]}
    assert closure(["a"], below(diamond)) == ["b", "c", "d", "e", "f"]
    assert closure(["b", "c"], below(diamond)) == ["d", "e", "f"]
    assert closure(["x"], below(diamond)) == []


def test_closure_ends_even_if_the_graph_has_a_cycle() -> None:
    assert closure(["a"], below({"a": ["b"], "b": ["a", "c"], "c": ["b"]})) == ["b", "c"]


# For each `when`: the final states that satisfy it. Everything else final means never.
SATISFIED = {
    When.SUCCEEDED: {State.SUCCEEDED},
    When.FINISHED: set(FINAL),
    When.FAILED: {State.FAILED},
}


@pytest.mark.parametrize("when", list(When))
@pytest.mark.parametrize("state", list(State))
def test_judge_of_one_upstream(when: When, state: State) -> None:
    judgement = judge([Dependency("a", when)], {"a": run(job_id="a", state=state, reason="deadline")})
    if state in ACTIVE:
        assert judgement.verdict is Verdict.WAIT
        assert f"a ({state})" in judgement.text
    elif state in SATISFIED[when]:
        assert judgement.verdict is Verdict.GO
    else:
        assert judgement.verdict is Verdict.NEVER
        assert judgement.reason == ("upstream_not_failed" if when is When.FAILED else "upstream_failed")
        assert f"upstream a ended {state} (deadline), {when} is required" in judgement.text


def test_all_upstreams_must_be_satisfied_and_one_bad_end_decides_at_once() -> None:
    needs = [Dependency("a"), Dependency("b"), Dependency("c")]
    done, busy = run("1", state=State.SUCCEEDED), run("2", state=State.RUNNING)
    bad = run("3", state=State.FAILED)
    assert judge(needs, {"a": done, "b": done, "c": done}).verdict is Verdict.GO
    waiting = judge(needs, {"a": done, "b": busy})
    assert (waiting.verdict, waiting.text) == (Verdict.WAIT, "upstream b (running), c (no run yet)")
    assert judge(needs, {"a": busy, "c": bad}).verdict is Verdict.NEVER
    assert judge([], {}).verdict is Verdict.GO


def test_the_run_that_counts_is_the_newest_that_nobody_ran_again() -> None:
    first = run("r9", job_id="a", state=State.FAILED)
    again = run("r1", job_id="a", retry_of="r9")  # made in the same microsecond, with a smaller id
    later = run("r5", job_id="b", created_at=at(5))
    earlier = run("r6", job_id="b", created_at=at(4))
    assert newest_of([first, again, later, earlier]) == {"a": again, "b": later}
    assert newest_of([again, first]) == {"a": again}


def test_only_a_job_without_schedules_of_its_own_runs_in_flows() -> None:
    spec = ScheduleSpec("cron", {"cron": "* * * * *"})
    assert belongs_to_flow(job(depends_on=(Dependency("a"),)))
    assert not belongs_to_flow(job(depends_on=(Dependency("a"),), schedules=(spec,)))
    assert not belongs_to_flow(job())
