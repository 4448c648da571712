"""A node, stepped by hand: decide, commit, act, and what happens when one of them fails."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.errors import Unavailable
from gnomon.core.model import CatchUp, CatchUpMode, Dependency, Overlap, Rate, Task
from gnomon.core.records import Cause, SkipReason
from gnomon.core.states import State
from gnomon.engine.acts import Acts
from gnomon.engine.settings import EngineSettings
from gnomon.operations.jobs import pause_job
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


# ---- planner -------------------------------------------------------------------------------------


def test_a_conflict_on_the_cursor_leaves_the_other_decision_alone(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, _ = d.node()
    stale = [d.entry("a:default")]
    d.clock.advance(60)
    node.step()
    acts = Acts()
    d.store.write(lambda tx: node.planner.plan(tx, stale, d.clock.now(), acts))
    assert len(d.runs("a")) == 1
    assert d.skips("a") == []


def test_only_the_leader_plans(d: Deployment) -> None:
    d.add("a", "every 10s")
    first, _ = d.node("n1")
    second, _ = d.node("n2")
    first.step()
    second.step()
    d.clock.advance(10)
    second.elector.leading = True  # believes it still leads
    second.step()
    assert not d.runs("a")
    first.step()
    assert len(d.runs("a")) == 1


def test_a_rule_that_raises_stops_its_own_entry_only(d: Deployment) -> None:
    d.add("a", "every 60s")
    d.add("b", "every 60s")
    node, _ = d.node()
    node.step()
    cursor = d.entry("a:default").cursor

    class Broken:
        def __getattr__(self, name: str) -> object:
            raise OverflowError("year 10000")

    rules = node.context.rules.of
    object.__setattr__(
        node.context, "rules", type("R", (), {"of": lambda _, e: Broken() if e.job_id == "a" else rules(e)})()
    )
    d.clock.advance(60)
    node.step()
    assert [r.job_id for r in d.runs()] == ["b"]
    entry = d.entry("a:default")
    assert entry.cursor == cursor, "nothing was decided"
    assert entry.due_at == d.clock.now() + timedelta(minutes=1), "it is tried again"


def test_an_entry_that_cannot_be_evaluated_for_a_while_loses_no_fire(d: Deployment) -> None:
    d.add("a", "every 60s", catch_up=CatchUp(CatchUpMode.ALL), overlap=Overlap.QUEUE_ALL)
    node, _ = d.node()
    rules = node.context.rules
    node.step()
    object.__setattr__(node.context, "rules", type("R", (), {"of": lambda _, e: None})())
    d.clock.advance(150)
    node.step()
    assert not d.runs("a")
    object.__setattr__(node.context, "rules", rules)
    d.clock.advance(60)
    node.step()
    assert [d.seconds(r.fire_at) for r in d.runs("a")] == [60, 120, 180]


def test_a_long_catch_up_of_many_jobs_is_made_in_several_steps(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.engine.planner.MOST_RUNS", 50)
    for n in range(4):
        d.add(f"j{n}", "every 1s", catch_up=CatchUp(CatchUpMode.ALL, max_count=40))
    node, _ = d.node()
    node.step()
    d.clock.advance(1000)
    node.step()
    assert 40 <= len(d.runs()) < 160
    for _ in range(4):
        node.step()
    assert sum(r.cause is Cause.SCHEDULE for r in d.runs()) == 160


def test_replace_cancels_what_runs_and_what_waits(d: Deployment) -> None:
    d.add("a", "every 60s", overlap=Overlap.REPLACE)
    d.add("below", depends_on=(Dependency("a"),))
    node, executor = d.node()
    d.clock.advance(60)
    node.step()
    d.clock.advance(60)
    node.step()
    old, new = d.runs("a")
    assert (old.cancel_reason, new.state) == ("replaced", State.QUEUED)
    assert executor.cancelled == [(old.id, 1)]
    report(node, over(executor.started[0], d.clock.now(), Outcome.CANCELLED))
    node.step()
    node.step()
    assert [r.state for r in d.runs("a")] == [State.CANCELLED, State.RUNNING]
    assert [r.state for r in d.runs("below")] == [State.SKIPPED, State.WAITING]


def test_what_a_pause_settles_lets_downstream_runs_go(d: Deployment) -> None:
    """The fire due until the pause replaces a queued run: who waited for that run must hear of it."""
    d.settings = EngineSettings(concurrency=0)
    d.add("a", "every 60s", overlap=Overlap.REPLACE)
    d.add("below", depends_on=(Dependency("a"),))
    node, _ = d.node()
    d.clock.advance(60)
    node.step()
    d.clock.advance(60)
    pause_job(d.desk, "a")
    assert [r.state for r in d.runs("a")] == [State.CANCELLED, State.QUEUED]
    assert sorted(r.state for r in d.runs("below")) == [State.SKIPPED, State.WAITING]


# ---- start-up ------------------------------------------------------------------------------------


def test_startup_schedules_fire_once_per_node_start(d: Deployment) -> None:
    d.add("a", "@reboot")
    d.add("off", "@reboot", enabled=False)
    first, _ = d.node("n1")
    first.startup_pending = True
    first.step()
    first.step()
    assert [(r.job_id, r.cause) for r in d.runs()] == [("a", Cause.STARTUP)]
    second, _ = d.node("n2")
    second.startup_pending = True
    second.step()
    assert len(d.runs("a")) == 2, "a node that does not lead has started too"
    assert not first.startup_pending
    assert not second.startup_pending


def test_a_start_noticed_between_decision_and_act_still_counts(d: Deployment) -> None:
    d.add("a", "@reboot")
    node, _ = d.node()
    d.store.afterwards = lambda: setattr(node, "startup_pending", True)
    node.step()
    d.store.afterwards = None
    assert not d.runs("a")
    node.step()
    assert len(d.runs("a")) == 1


# ---- dispatcher ----------------------------------------------------------------------------------


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


# ---- intake --------------------------------------------------------------------------------------


def test_duplicates_latecomers_and_unknown_attempts_change_nothing(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    (spec,) = executor.started
    end = over(spec, d.clock.now(), exit_code=0)
    report(node, end, end, begun(spec, d.clock.now()), replace(end, run_id="nobody"))
    node.step()
    done = d.run("a")
    assert done.state is State.SUCCEEDED
    report(node, over(spec, d.clock.now(), Outcome.FAILED), begun(spec, d.clock.now()))
    node.step()
    assert d.run("a") == done


def test_a_report_with_an_old_token_changes_nothing(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    (spec,) = executor.started
    report(node, over(replace(spec, token=spec.token - 1), d.clock.now(), Outcome.FAILED))
    node.step()
    assert d.run("a").state is State.RUNNING
    newer = replace(spec, token=spec.token + 1)
    report(node, over(newer, d.clock.now()))
    node.step()
    assert d.run("a").state is State.RUNNING, "nor does one with a token that was never given"


def test_started_gives_the_lateness_and_the_handle(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, executor = d.node()
    d.clock.advance(63)
    node.step()
    report(node, begun(executor.started[0], d.clock.now()))
    node.step()
    run = d.run("a")
    assert run.lateness_s == 3
    attempt = d.read(lambda r: r.attempt(run.id, 1))
    assert attempt is not None
    assert attempt.handle is not None
    assert attempt.handle.process == {"pid": 7}


def test_each_ended_attempt_logs_one_line(d: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gnomon")
    d.add("a", restarts=1)
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    finish(d, node, executor, Outcome.FAILED)
    lines = [r.message for r in caplog.records if " FAILURE " in r.message]
    assert len(lines) == 1
    assert lines[0].startswith("a 2030-01-01T00:00:00.000Z FAILURE exit=1 ")


def test_a_retry_comes_back_after_its_delay(d: Deployment) -> None:
    d.add("a", restarts=1)
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    finish(d, node, executor, Outcome.FAILED)
    run = d.run("a")
    assert run.state is State.RETRY_WAIT
    assert run.available_at is not None
    d.clock.advance((run.available_at - d.clock.now()).total_seconds() - 0.001)
    assert node.step() == run.available_at
    assert not executor.started
    d.clock.advance(0.001)
    node.step()
    assert [s.number for s in executor.started] == [2]


# ---- failures of the store -----------------------------------------------------------------------


def test_reports_are_kept_while_the_store_is_unavailable(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    report(node, over(executor.started[0], d.clock.now()))
    d.store.fails = "before"
    for _ in range(3):
        with pytest.raises(Unavailable):
            node.step()
    assert not node.elector.leading
    assert len(node.inbox.peek()) == 1
    d.store.fails = None
    node.step()
    assert d.run("a").state is State.SUCCEEDED


def test_a_commit_that_happened_though_it_was_reported_failed_loses_no_attempt(d: Deployment) -> None:
    """The claim is durable but was never handed to the executor: it is found again and adopted."""
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    d.store.fails = "after"
    with pytest.raises(Unavailable):
        node.step()
    d.store.fails = None
    assert d.run("a").state is State.RUNNING
    assert not executor.started
    node.step()
    (adoption,) = executor.adopted
    assert adoption.spec.run_id == d.run("a").id
    report(node, replace(over(adoption.spec, d.clock.now(), Outcome.LOST), never_started=True, started_at=None))
    node.step()
    assert [s.number for s in executor.started] == [2]
    assert d.run("a").lost == 0
    node.step()
    assert len(executor.adopted) == 1, "only after doubt"


# ---- failures of others --------------------------------------------------------------------------


def test_an_executor_that_raises_loses_its_attempts_and_nothing_else(d: Deployment) -> None:
    d.add("a", restarts=0)
    start_run(d.desk, "a")
    node, executor = d.node()
    executor.raises = RuntimeError("no more processes")
    node.step()
    executor.raises = None
    node.step()
    node.step()
    assert d.run("a").lost == 1
    assert [s.number for s in executor.started] == [2], "on_lost: rerun"


def test_a_task_whose_executor_this_node_lacks_fails_with_that_reason(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    node, _ = d.node()
    node.performer.executors = {}
    node.step()
    node.step()
    assert d.run("a").reason == "executor_missing"


def test_housekeeping_that_fails_keeps_no_job_from_running(d: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    d.settings = EngineSettings(retention_days=0.0)
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    finish(d, node, executor)
    d.clock.advance(120)
    d.logs.raises = PermissionError("denied")
    node.step()
    assert "housekeeping failed" in caplog.text
    start_run(d.desk, "a")
    node.step()
    assert executor.started


# ---- janitor, deadlines, cancels, drain ------------------------------------------------------------


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
