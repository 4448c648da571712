"""What a step starts: in which order, within which limits, and the runs that can not be started."""

from __future__ import annotations

import pytest

from gnomon.core.model import Dependency, Overlap, Rate, Task
from gnomon.core.states import State
from gnomon.engine.settings import EngineSettings
from gnomon.operations.runs import start_run

from .deployment import Deployment, finish


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def test_a_bad_reference_fails_the_run_and_says_which(d: Deployment) -> None:
    d.add("a", task=Task("command", {"command": ["echo", "${runs.nothing.result}"]}))
    d.add("b")
    node, executor = d.node()
    start_run(d.desk, "a")
    start_run(d.desk, "b")
    node.step()
    assert [s.job_id for s in executor.started] == ["b"], "the others start"
    node.step()
    run = d.run("a")
    assert (run.state, run.reason) == (State.FAILED, "unknown_reference")
    assert run.error is not None
    assert "${runs.nothing.result} is not known here" in run.error.message


def test_an_error_nobody_foresaw_in_one_run_fails_that_run(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    import gnomon.engine.dispatcher as dispatcher

    real = dispatcher.attempt_spec

    def sometimes(context, reader, run, *rest):  # type: ignore[no-untyped-def]
        if run.job_id == "a":
            raise RecursionError("deep")
        return real(context, reader, run, *rest)

    monkeypatch.setattr(dispatcher, "attempt_spec", sometimes)
    for job_id in "ab":
        d.add(job_id)
        start_run(d.desk, job_id)
    node, executor = d.node()
    node.step()
    node.step()
    assert d.run("a").reason == "internal_error"
    assert [s.job_id for s in executor.started] == ["b"]


def test_an_unknown_task_type_fails_the_run(d: Deployment) -> None:
    d.add("a", task=Task("teleport", {}))
    start_run(d.desk, "a")
    node, _ = d.node()
    node.step()
    node.step()
    assert d.run("a").reason == "task_type_unknown"


def test_a_missing_definition_ends_the_run_and_those_below(d: Deployment) -> None:
    """Rows lost by hand or by a bug must not leave a run running for ever."""
    d.add("a", restarts=3)
    d.add("b", depends_on=(Dependency("a"),))
    start_run(d.desk, "a")
    node, _ = d.node()
    object.__setattr__(node.context, "definitions", type("D", (), {"of": lambda _, reader, runs: {}})())
    node.step()
    node.step()
    assert (d.run("a").state, d.run("a").reason) == (State.FAILED, "definition_missing")
    assert d.run("b").state is State.SKIPPED


def test_thousands_of_runs_that_may_not_start_do_not_hide_one_that_may(d: Deployment) -> None:
    d.add("slow", overlap=Overlap.QUEUE_ALL)
    d.add("free")
    node, executor = d.node()
    for _ in range(2300):
        start_run(d.desk, "slow")
    d.clock.advance(1)
    start_run(d.desk, "free")
    for _ in range(3):
        node.step()
    assert sorted(s.job_id for s in executor.started) == ["free", "slow"]


def test_a_blocked_queue_of_any_length_costs_a_bounded_step_and_then_rests(
    d: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.engine.dispatcher.PAGE", 5)
    monkeypatch.setattr("gnomon.engine.dispatcher.MOST_PAGES", 2)
    d.add("slow", overlap=Overlap.QUEUE_ALL)
    node, executor = d.node()
    for _ in range(42):
        start_run(d.desk, "slow")
    steps = 1
    while node.step() == d.clock.now():
        steps += 1  # there is more to look at
        assert steps < 42, "once round, it waits for something to happen"
    assert steps > 4
    assert len(executor.started) == 1
    finish(d, node, executor)
    assert len(executor.started) == 1, "the next in line"


def test_slots_are_counted_per_node_and_pools_rates_and_max_active_in_the_cluster(d: Deployment) -> None:
    d.settings = EngineSettings(concurrency=3)
    d.store.write(lambda tx: tx.put_pools({"db": 1}, "settings"))
    d.add("pooled", pools={"db": 1}, overlap=Overlap.ALLOW)
    d.add("capped", max_active=1, overlap=Overlap.ALLOW)
    d.add("rated", rate=Rate(1, 60), overlap=Overlap.ALLOW)
    d.add("plain", overlap=Overlap.ALLOW)
    for job_id in ("pooled", "capped", "rated", "plain"):
        d.clock.advance(1)
        for _ in range(3):
            start_run(d.desk, job_id)
    one, first = d.node("n1")
    two, second = d.node("n2")
    one.step()
    two.step()
    started = [s.job_id for s in first.started + second.started]
    assert len(first.started) == 3
    assert {job_id: started.count(job_id) for job_id in set(started)} == {
        "pooled": 1,
        "capped": 1,
        "rated": 1,
        "plain": 3,
    }
    waits = {r.job_id: r.waiting_for for r in d.runs() if r.waiting_for}
    assert waits.keys() >= {"pooled", "capped", "rated"}
    d.clock.advance(60)
    finish(d, one, first)
    finish(d, two, second)
    assert "rated" in [s.job_id for s in first.started + second.started]


def test_priority_goes_before_due_time(d: Deployment) -> None:
    d.settings = EngineSettings(concurrency=1)
    d.add("low")
    d.add("high", priority=5)
    start_run(d.desk, "low")
    d.clock.advance(1)
    start_run(d.desk, "high")
    node, executor = d.node()
    node.step()
    assert [s.job_id for s in executor.started] == ["high"]
