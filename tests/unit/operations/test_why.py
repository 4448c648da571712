"""`why` answers from stored facts: for runs, skips, and moments at which nothing happened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.model import CatchUp, CatchUpMode, Dependency
from gnomon.engine.settings import EngineSettings
from gnomon.operations.jobs import pause_job, resume_job
from gnomon.operations.moments import Moment
from gnomon.operations.runs import cancel_run, start_run
from gnomon.operations.why import Explanation, why, why_run
from tests.unit.engine.deployment import BEGIN, Deployment, finish
from tests.unit.operations.test_definitions import retired


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def ask(d: Deployment, seconds: float | None = None, job_id: str = "a", width_s: float = 0.001) -> Explanation:
    moment = None if seconds is None else Moment(BEGIN + timedelta(seconds=seconds), timedelta(seconds=width_s))
    found = why(d.desk, job_id, moment)
    assert found.verdict.endswith(".")
    assert found.gates
    found.view()
    return found


def stopped_at(found: Explanation) -> str:
    """The first gate that was not passed."""
    return next(gate.name for gate in found.gates if gate.passed is False)


def test_a_run_that_succeeded(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, executor = d.node()
    d.clock.advance(60)
    node.step()
    finish(d, node, executor)
    for found in (ask(d), ask(d, 60), ask(d, 60, width_s=60)):
        assert (found.outcome, found.run_id) == ("succeeded", d.run("a").id)
        assert "ran and succeeded" in found.verdict
        assert all(gate.passed for gate in found.gates)


def test_a_run_that_failed_names_the_error(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, executor = d.node()
    d.clock.advance(60)
    node.step()
    finish(d, node, executor, Outcome.FAILED)
    found = ask(d, 60)
    assert (found.outcome, stopped_at(found)) == ("failed", "attempt 1 on n1")
    assert "exit code 1" in found.verdict


def test_a_skip_by_overlap_says_what_was_not_finished(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, _ = d.node()
    for _ in range(2):
        d.clock.advance(60)
        node.step()
    found = ask(d, 120)
    assert (found.outcome, stopped_at(found)) == ("skipped", "no overlap")
    assert "an earlier run of this job is not finished: 1 running" in found.verdict
    assert ask(d).outcome == "skipped", "the newest decision"


def test_a_skip_by_catch_up_alone_and_within_a_long_stretch(d: Deployment) -> None:
    d.add("a", "every 60s", catch_up=CatchUp(CatchUpMode.NONE), misfire_grace_s=1)
    node, _ = d.node()
    d.clock.advance(70)
    node.step()
    single = ask(d, 60)
    assert (single.outcome, stopped_at(single)) == ("skipped", "decided in time, or caught up")
    assert "missed while no scheduler ran or it was late; catch_up: none" in single.verdict
    d.clock.advance(60 * 500)
    node.step()
    within = ask(d, 60 * 100)
    assert "The 500 fire times from 2030-01-01T00:02:00Z to" in within.verdict
    assert ask(d, 60 * 100 + 30).outcome == "no_fire", "between two fires of the stretch"


def test_a_pause_during_and_after(d: Deployment) -> None:
    d.add("a", "every 60s")
    pause_job(d.desk, "a", "holiday")
    d.clock.advance(90)
    during = ask(d, 60)
    assert (during.outcome, stopped_at(during)) == ("skipped", "not paused")
    assert "paused by alice (holiday)" in during.verdict
    assert ask(d).outcome == "not_known"
    assert stopped_at(ask(d, 600)) == "not paused", "and those to come"
    resume_job(d.desk, "a")
    after = ask(d, 60)
    assert (after.outcome, stopped_at(after)) == ("skipped", "not paused")
    assert "the job was paused by alice: holiday" in after.verdict


def test_an_excluded_fire_before_and_after_its_time(d: Deployment) -> None:
    d.save(d.job("a", {"cron": "0 12 * * *", "exclude": ["2030-01-01"]}))
    before = ask(d, 12 * 3600)
    assert (before.outcome, stopped_at(before)) == ("skipped", "not excluded")
    node, _ = d.node()
    d.clock.advance(13 * 3600)
    node.step()
    after = ask(d, 12 * 3600)
    assert (after.outcome, stopped_at(after)) == ("skipped", "not excluded")
    assert "2030-01-01" in after.verdict


def test_a_moment_no_schedule_names_shows_its_neighbours(d: Deployment) -> None:
    d.add("a", "0 * * * *")
    found = ask(d, 1800)
    assert (found.outcome, found.run_id) == ("no_fire", None)
    (gate,) = found.gates
    assert "2030-01-01T00:00:00Z" in gate.evidence
    assert "the next 2030-01-01T01:00:00Z" in gate.evidence
    d.add("b")
    assert "the job has no schedule" in ask(d, 60, "b").gates[0].evidence


def test_a_fire_still_to_come(d: Deployment) -> None:
    d.add("a", "every 60s")
    found = ask(d, 60)
    assert (found.outcome, stopped_at(found)) == ("future", "its time has come")
    assert "in 0:01:00" in found.verdict
    assert ask(d).outcome == "future"


def test_a_job_that_never_ran(d: Deployment) -> None:
    d.add("a")
    assert "no schedule and no upstream has started it" in ask(d).verdict
    d.add("off", "every 60s", enabled=False)
    assert "the job is disabled" in ask(d, job_id="off").verdict


def test_a_retired_job(d: Deployment) -> None:
    d.add("a", "every 60s")
    retired(d, "a")
    assert "not in its source any more" in ask(d).verdict
    assert "not in its source any more" in ask(d, 60).verdict


def test_a_fire_from_before_the_job_was_known(d: Deployment) -> None:
    d.clock.advance(7200)
    d.add("a", "0 * * * *")
    found = ask(d, 3600)
    assert (found.outcome, stopped_at(found)) == ("not_known", "the schedule was known")


def test_a_due_fire_while_no_scheduler_runs(d: Deployment) -> None:
    d.add("a", "every 60s")
    d.clock.advance(61)
    found = ask(d, 60)
    assert found.outcome == "undecided"
    assert "no scheduler" in found.verdict
    d.node()  # one that is there but has not stepped yet
    assert "no scheduler" not in ask(d, 60).verdict


def test_a_queued_run_waits_for_a_slot_a_pool_or_an_earlier_run(d: Deployment) -> None:
    d.settings = EngineSettings(concurrency=1)
    d.store.write(lambda tx: tx.put_pools({"db": 1}, "settings"))
    for job_id in ("a", "b"):
        d.add(job_id)
        start_run(d.desk, job_id)
        d.clock.advance(1)
    node, _ = d.node()
    node.step()
    assert "waits for a free slot" in ask(d, job_id="b").verdict
    d = Deployment()
    d.store.write(lambda tx: tx.put_pools({"db": 1}, "settings"))
    for job_id in ("a", "b"):
        d.add(job_id, pools={"db": 1})
        start_run(d.desk, job_id)
        d.clock.advance(1)
    start_run(d.desk, "a")
    node, _ = d.node()
    node.step()
    assert "pool db: 1 of 1 slots are taken" in ask(d, job_id="b").verdict
    assert "an earlier run of this job" in ask(d).verdict


def test_waiting_for_an_upstream_and_skipped_for_it(d: Deployment) -> None:
    d.add("a")
    d.add("b", depends_on=(Dependency("a"),))
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    waiting = ask(d, job_id="b")
    assert (waiting.outcome, stopped_at(waiting)) == ("waiting", "upstreams are done")
    finish(d, node, executor, Outcome.FAILED)
    skipped = ask(d, job_id="b")
    assert (skipped.outcome, stopped_at(skipped)) == ("skipped", "upstreams are done")
    assert "upstream a ended failed" in skipped.verdict


def test_retry_cancel_and_running(d: Deployment) -> None:
    d.add("a", restarts=1)
    start_run(d.desk, "a")
    assert stopped_at(ask(d)) in ("no overlap, and a free slot", "a scheduler is there")
    node, executor = d.node()
    node.step()
    assert ask(d).outcome == "running"
    finish(d, node, executor, Outcome.FAILED)
    found = ask(d)
    assert found.outcome == "retry_wait"
    assert "is tried again at" in found.verdict
    cancel_run(d.desk, d.run("a").id)
    assert "was cancelled by alice" in why_run(d.desk, d.run("a").id).verdict
    assert stopped_at(ask(d)) is not None


def test_a_missed_deadline(d: Deployment) -> None:
    d.settings = EngineSettings(concurrency=0)
    d.add("a", "every 60s", start_deadline_s=10)
    node, _ = d.node()
    d.clock.advance(60)
    node.step()
    d.clock.advance(11)
    node.step()
    found = ask(d, 60)
    assert (found.outcome, stopped_at(found)) == ("skipped", "started by its deadline")


def test_a_downstream_skipped_for_its_deadline_or_a_pause_does_not_blame_upstreams(d: Deployment) -> None:
    d.add("a")
    d.add("b", depends_on=(Dependency("a"),), start_deadline_s=10)
    d.add("c", depends_on=(Dependency("a"),))
    pause_job(d.desk, "c")
    start_run(d.desk, "a")
    assert stopped_at(ask(d, job_id="c")) == "not paused"
    node, executor = d.node()
    node.step()
    node.draining = True
    finish(d, node, executor)
    d.clock.advance(11)
    node.step()
    assert stopped_at(ask(d, job_id="b")) == "started by its deadline"
