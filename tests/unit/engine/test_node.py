"""A node, stepped by hand: decide, commit, act; deadlines, cancels and the end of its work."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.model import Dependency
from gnomon.core.records import Cause, SkipReason
from gnomon.core.states import State
from gnomon.engine.settings import EngineSettings
from gnomon.operations.runs import cancel_run, start_run

from .deployment import BEGIN, Deployment, begun, finish, over, report


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def test_a_due_fire_becomes_a_run_that_is_started_after_the_commit(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, executor = d.node()
    assert node.step() is not None
    assert not executor.started
    d.clock.advance(60)
    node.step()
    (spec,) = executor.started
    run = d.run("a")
    assert (spec.run_id, spec.number, spec.job_id) == (run.id, 1, "a")
    assert spec.environment["GNOMON_FENCE"] == str(spec.token)
    assert (run.state, run.cause, d.seconds(run.fire_at)) == (State.RUNNING, Cause.SCHEDULE, 60)
    report(node, begun(spec, d.clock.now()))
    d.clock.advance(2)
    report(node, over(spec, d.clock.now(), exit_code=0))
    node.step()
    assert d.run("a").state is State.SUCCEEDED
    assert executor.forgotten == [(run.id, 1)]


def test_the_step_says_when_the_next_is_needed(d: Deployment) -> None:
    d.add("a", "every 300s")
    node, _ = d.node()
    wake = node.step()
    assert wake is not None
    assert wake <= BEGIN + timedelta(seconds=10), "the lease is renewed before two thirds of it are over"
    d.add("b", "every 5s")
    assert node.step() == BEGIN + timedelta(seconds=5)


# ---- janitor, deadlines, cancels, drain ----------------------------------------------------------


def test_the_janitor_removes_old_runs_with_their_logs(d: Deployment) -> None:
    d.settings = EngineSettings(retention_days=1.0)
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    finish(d, node, executor)
    gone = d.run("a").id
    d.clock.advance(86400 * 2)
    start_run(d.desk, "a")
    node.step()
    assert [r.state for r in d.runs("a")] == [State.RUNNING]
    assert d.logs.deleted == [(gone, 1)]


def test_a_run_not_started_by_its_start_deadline_is_skipped(d: Deployment) -> None:
    d.settings = EngineSettings(concurrency=0)
    d.add("a", "every 60s", start_deadline_s=30)
    d.add("below", depends_on=(Dependency("a"),))
    node, _ = d.node()
    d.clock.advance(60)
    node.step()
    d.clock.advance(29.9)
    node.step()
    assert d.run("a").state is State.QUEUED
    d.clock.advance(0.1)
    node.step()
    assert (d.run("a").state, d.run("a").reason) == (State.SKIPPED, "deadline")
    assert (d.run("below").state, d.run("below").reason) == (State.SKIPPED, "upstream_failed")


def test_a_cancelled_run_is_stopped_once_and_the_end_decides(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    (spec,) = executor.started
    cancel_run(d.desk, spec.run_id)
    node.step()
    node.step()
    assert executor.cancelled == [(spec.run_id, 1)]
    report(node, over(spec, d.clock.now(), Outcome.CANCELLED))
    node.step()
    run = d.run("a")
    assert (run.state, run.cancel_actor) == (State.CANCELLED, "alice")


def test_a_draining_node_claims_nothing_more_but_takes_reports(d: Deployment) -> None:
    d.add("a")
    d.add("b")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    start_run(d.desk, "b")
    node.draining = True
    finish(d, node, executor)
    assert d.states() == {"a": "succeeded", "b": "queued"}
    node.leave()
    successor, other = d.node("n2")
    successor.step()
    assert successor.elector.leading
    assert [s.job_id for s in other.started] == ["b"]


def test_leaving_takes_the_last_reports_and_leaves_work_to_whoever_comes_however_late(d: Deployment) -> None:
    """A node that stopped days ago, with a command still running, must still be found."""
    d.add("a")
    d.add("b")
    start_run(d.desk, "a")
    start_run(d.desk, "b")
    node, executor = d.node()
    node.step()
    by_job = {s.job_id: s for s in executor.started}
    report(node, over(by_job["b"], d.clock.now()))
    node.leave()
    assert d.states() == {"a": "running", "b": "succeeded"}
    d.clock.advance(86400 * 3)
    successor, other = d.node("n2")
    successor.step()
    assert [a.spec.run_id for a in other.adopted] == [by_job["a"].run_id]
    assert other.adopted[0].spec.token > by_job["a"].token


def test_too_many_failures_in_a_row_pause_the_job(d: Deployment) -> None:
    d.add("a", "every 60s", pause_after=2)
    node, executor = d.node()
    for _ in range(2):
        d.clock.advance(60)
        node.step()
        finish(d, node, executor, Outcome.FAILED)
    record = d.read(lambda r: r.job("a"))
    assert record is not None
    assert record.paused_by == "scheduler"
    assert "2 runs failed in a row" in (record.pause_reason or "")
    d.clock.advance(300)
    node.step()
    assert len(d.runs("a")) == 2
    assert {s.reason for s in d.skips("a")} <= {SkipReason.PAUSED}
