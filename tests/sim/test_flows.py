"""Flows: shown, cancelled, rerun from the failed jobs; runs skipped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.errors import Conflict, NotFound
from gnomon.core.states import State
from gnomon.operations.flows import cancel_flow, list_flows, retry_flow, show_flow
from gnomon.operations.runs import skip_run
from gnomon.scheduler.views import Run
from gnomon.testing.virtual import VirtualScheduler

TRUE = {"type": "command", "command": ["true"]}


@pytest.fixture
def scheduler() -> VirtualScheduler:
    """a -> b -> d, a -> c -> d; always (finished) after b."""
    scheduler = VirtualScheduler()
    scheduler.add_job("a", task=TRUE)
    scheduler.add_job("b", task=TRUE, depends_on=["a"])
    scheduler.add_job("c", task=TRUE, depends_on=["a"])
    scheduler.add_job("d", task=TRUE, depends_on=["b", "c"])
    scheduler.add_job("always", task=TRUE, depends_on=[{"job": "b", "when": "finished"}])
    return scheduler


def newest(scheduler: VirtualScheduler, job: str) -> Run:
    again = {run.retry_of for run in scheduler.runs(job)}
    return next(run for run in scheduler.runs(job) if run.id not in again)


def states(scheduler: VirtualScheduler) -> dict[str, str]:
    return {job: str(newest(scheduler, job).state) for job in ("a", "b", "c", "d", "always")}


def count(scheduler: VirtualScheduler) -> dict[str, int]:
    """Attempts of each job."""
    jobs = [spec.job_id for spec in scheduler.started]
    return {job: jobs.count(job) for job in jobs}


def members(flow: Any) -> list[str]:
    return [run["job_id"] for run in flow["runs"]]


def test_a_flow_is_shown_in_the_order_of_its_dependencies(scheduler: VirtualScheduler) -> None:
    scheduler.when("b", takes=60)
    run = scheduler.run("a")
    flow: Any = show_flow(scheduler._desk, run.flow_id)
    assert members(flow) == ["a", "b", "c", "always", "d"]
    assert (flow["state"], flow["root"], flow["finished_at"]) == ("running", "a", None)
    assert flow["counts"] == {"running": 1, "succeeded": 2, "waiting": 2}
    waits = {r["job_id"]: r["waiting_for"] for r in flow["runs"] if r["state"] == "waiting"}
    assert waits["d"] == "upstream b (running)"
    scheduler.advance(seconds=60)
    flow = show_flow(scheduler._desk, newest(scheduler, "d").id[:20])
    assert (flow["id"], flow["state"], flow["counts"]) == (run.flow_id, "succeeded", {"succeeded": 5})


def test_rerun_from_the_failed_job(scheduler: VirtualScheduler) -> None:
    scheduler.when("b", fails=True)
    run = scheduler.run("a")
    assert states(scheduler) == {
        "a": "succeeded",
        "b": "failed",
        "c": "succeeded",
        "d": "skipped",
        "always": "succeeded",
    }
    scheduler.when("b")
    flow: Any = retry_flow(scheduler._desk, run.id)
    assert flow["state"] == "running"
    scheduler.advance(seconds=0)
    assert set(states(scheduler).values()) == {"succeeded"}
    assert count(scheduler) == {"a": 1, "b": 2, "c": 1, "d": 1, "always": 1}
    assert newest(scheduler, "b").flow_id == run.flow_id
    with pytest.raises(Conflict) as caught:
        retry_flow(scheduler._desk, run.id)
    assert caught.value.code == "nothing_to_retry"


def test_two_failures_one_below_the_other_keep_their_order(scheduler: VirtualScheduler) -> None:
    scheduler.when("b", fails=True)
    scheduler.when("always", fails=True)
    run = scheduler.run("a")
    scheduler.when("b", takes=60)
    scheduler.when("always")
    retry_flow(scheduler._desk, run.id)
    scheduler.advance(seconds=30)
    assert (newest(scheduler, "b").state, newest(scheduler, "always").state) == (State.RUNNING, State.WAITING)
    scheduler.advance(seconds=30)
    assert set(states(scheduler).values()) == {"succeeded"}
    assert count(scheduler)["always"] == 2


def test_two_failures_side_by_side_let_the_join_run_once(scheduler: VirtualScheduler) -> None:
    scheduler.when("b", fails=True)
    scheduler.when("c", fails=True)
    run = scheduler.run("a")
    scheduler.when("b")
    scheduler.when("c")
    retry_flow(scheduler._desk, run.id)
    scheduler.advance(seconds=0)
    assert set(states(scheduler).values()) == {"succeeded"}
    assert count(scheduler)["d"] == 1


def test_cancelling_a_flow_ends_all_that_is_open(scheduler: VirtualScheduler) -> None:
    scheduler.when("b", takes=60)
    run = scheduler.run("a")
    cancel_flow(scheduler._desk, run.flow_id)
    scheduler.advance(seconds=0)
    assert states(scheduler) == {
        "a": "succeeded",
        "b": "cancelled",
        "c": "succeeded",
        "d": "cancelled",
        "always": "cancelled",
    }
    with pytest.raises(Conflict) as caught:
        cancel_flow(scheduler._desk, run.flow_id)
    assert caught.value.code == "flow_over"
    retry_flow(scheduler._desk, run.flow_id)
    scheduler.advance(seconds=60)
    assert set(states(scheduler).values()) == {"succeeded"}


def test_a_flow_with_items_is_cancelled_and_rerun() -> None:
    scheduler = VirtualScheduler(concurrency=2)
    scheduler.add_job("each", task=TRUE, for_each=[1, 2, 3, 4])
    scheduler.add_job("after", task=TRUE, depends_on=["each"])
    scheduler.when("each", takes=60)
    run = scheduler.run("each")
    scheduler.advance(seconds=60)
    flow: Any = cancel_flow(scheduler._desk, run.flow_id)
    scheduler.advance(seconds=0)
    flow = show_flow(scheduler._desk, run.flow_id)
    assert flow["state"] == "cancelled"
    assert flow["runs"][0]["items"] == {"cancelled": 2, "succeeded": 2}
    retry_flow(scheduler._desk, run.flow_id)
    scheduler.advance(seconds=60)
    flow = show_flow(scheduler._desk, run.flow_id)
    assert flow["state"] == "succeeded"
    assert [r["items"] for r in flow["runs"]] == [{"cancelled": 2, "succeeded": 2}, {"succeeded": 2}, None, None]


def test_what_is_skipped_by_hand_lets_the_flow_go_on(scheduler: VirtualScheduler) -> None:
    scheduler.when("a", takes=60)
    scheduler.run("a")
    skip_run(scheduler._desk, newest(scheduler, "b").id)
    scheduler.advance(seconds=60)
    assert states(scheduler) == {
        "a": "succeeded",
        "b": "skipped",
        "c": "succeeded",
        "d": "succeeded",
        "always": "succeeded",
    }
    run = newest(scheduler, "b")
    assert (run.reason, run.error and run.error.message) == ("skipped_by_hand", "skipped by test")
    gates = str(scheduler.why("b")["gates"])
    assert "not skipped by hand" in gates


def test_a_retry_that_waits_may_be_skipped_and_a_running_job_may_not(scheduler: VirtualScheduler) -> None:
    scheduler.add_job("flaky", task=TRUE, restarts=3)
    scheduler.when("flaky", fails=True)
    run = scheduler.run("flaky")
    assert run.state is State.RETRY_WAIT
    skip_run(scheduler._desk, run.id)
    assert scheduler.get_run(run.id).state is State.SKIPPED
    with pytest.raises(Conflict) as caught:
        skip_run(scheduler._desk, run.id)
    assert caught.value.code == "run_over"
    scheduler.when("a", takes=60)
    with pytest.raises(Conflict) as caught:
        skip_run(scheduler._desk, scheduler.run("a").id)
    assert caught.value.code == "run_active"


def test_an_item_skipped_by_hand_is_no_failure() -> None:
    scheduler = VirtualScheduler(concurrency=1)
    scheduler.add_job("each", task=TRUE, for_each=[1, 2])
    scheduler.when("each", takes=60, result="done")
    run = scheduler.run("each")
    second = scheduler._store.read(lambda r: r.items(run.id))[1]
    skip_run(scheduler._desk, second.id)
    scheduler.advance(seconds=60)
    assert (scheduler.get_run(run.id).state, scheduler.get_run(run.id).result) == (State.SUCCEEDED, ["done", None])


def test_flows_of_more_than_one_job_are_listed_newest_first(scheduler: VirtualScheduler) -> None:
    scheduler.add_job("alone", task=TRUE)
    first = scheduler.run("a")
    scheduler.advance(seconds=1)
    scheduler.run("alone")
    second = scheduler.run("a")
    flows: Any = list_flows(scheduler._desk)
    assert [(f["id"], f["state"], f["root"]) for f in flows] == [
        (second.flow_id, "succeeded", "a"),
        (first.flow_id, "succeeded", "a"),
    ]
    assert len(list_flows(scheduler._desk, limit=1)) == 1
    assert list_flows(scheduler._desk, job_id="a") == [], "a is a root"
    assert len(list_flows(scheduler._desk, job_id="d", since=second.due_at)) == 1


def test_what_is_no_flow_is_said(scheduler: VirtualScheduler) -> None:
    with pytest.raises(NotFound):
        show_flow(scheduler._desk, "nothing")


def test_a_join_does_not_wait_for_a_root_that_is_gone() -> None:
    scheduler = VirtualScheduler()
    for root in "ab":
        scheduler.add_job(root, task=TRUE)
    scheduler.add_job("join", depends_on=["a", "b"], task=TRUE)
    scheduler.add_job("below", depends_on=["join"], task=TRUE)
    scheduler.run("a")
    assert scheduler.runs("join")[0].state is State.WAITING
    scheduler.remove_job("b")
    (join,), (below,) = scheduler.runs("join"), scheduler.runs("below")
    assert (join.state, join.reason, below.state) == (State.SKIPPED, "upstream_failed", State.SKIPPED)
    assert join.error is not None
    assert "upstream b is not in its source any more" in join.error.message
    scheduler.run("a")
    assert {run.state for run in scheduler.runs("join")} == {State.SKIPPED}, "nor does one that begins later"


def test_removing_a_job_in_the_middle_of_its_flow_lets_the_flow_end() -> None:
    """A run keeps the definition it was made with."""
    scheduler = VirtualScheduler()
    scheduler.add_job("a", task=TRUE)
    scheduler.add_job("b", task=TRUE, depends_on=["a"])
    scheduler.add_job("c", task=TRUE, depends_on=["b"])
    scheduler.when("a", takes=60)
    scheduler.run("a")
    scheduler.remove_job("b")
    scheduler.add_job("c", task={"type": "command", "command": ["false"]})
    scheduler.advance(minutes=5)
    assert [(run.job_id, run.state) for run in scheduler.runs() if run.state is not State.SUCCEEDED] == []
    assert [spec.arguments["command"] for spec in scheduler.started if spec.job_id == "c"] == [["true"]]


def test_two_people_who_rerun_a_flow_at_once_make_one_rerun(scheduler: VirtualScheduler) -> None:
    scheduler.when("b", fails=True)
    run = scheduler.run("a")
    scheduler.advance(seconds=1)
    scheduler.stop()
    retry_flow(scheduler._desk, run.flow_id)
    with pytest.raises(Conflict) as caught:
        retry_flow(scheduler._desk, run.flow_id)
    assert caught.value.code == "nothing_to_retry"
    scheduler.start()
    scheduler.advance(seconds=1)
    assert len(scheduler.runs("b")) == 2
