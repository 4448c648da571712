"""What a step plans: runs that are due, caught up or replaced, and those of a node's start."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.model import CatchUp, CatchUpMode, Dependency, Overlap
from gnomon.core.records import Cause
from gnomon.core.states import State
from gnomon.engine.acts import Acts
from gnomon.engine.settings import EngineSettings
from gnomon.operations.jobs import pause_job

from .deployment import Deployment, over, report


@pytest.fixture
def d() -> Deployment:
    return Deployment()


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
