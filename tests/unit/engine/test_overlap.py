"""Overlap where several things meet: two schedules, catch-up, runs by hand."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from gnomon.core.model import Overlap
from gnomon.core.records import SkipReason
from gnomon.core.states import State
from gnomon.operations.runs import start_run
from gnomon.testing.virtual import VirtualScheduler

from .deployment import Deployment

MINUTE = timedelta(minutes=1)
COMMAND = {"type": "command", "command": ["true"]}


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def test_two_schedules_of_a_replace_job_that_fire_in_one_step_leave_one_run(d: Deployment) -> None:
    slow = {"name": "slow", "every": "60s", "anchor": "2030-01-01T00:00:10Z"}
    fast = {"name": "fast", "every": "60s", "anchor": "2030-01-01T00:00:00Z"}
    d.add("a", slow, fast, overlap=Overlap.REPLACE)
    node, _ = d.node()
    d.clock.advance(71)
    node.step()
    (run,) = d.runs("a")
    assert d.seconds(run.fire_at) == 70, "the newest fire wins"
    (skip,) = [s for s in d.skips() if s.reason is SkipReason.OVERLAP]
    assert (skip.schedule_id, skip.reason, d.seconds(skip.first_at)) == ("a:fast", SkipReason.OVERLAP, 60)
    assert skip.detail == "replaced by a:slow at once"


def test_what_two_schedules_catch_up_stays_though_one_fires_on_time(d: Deployment) -> None:
    """A caught-up run is nobody's rival: it queues whatever the policy."""
    late = {"name": "late", "every": "1h", "anchor": "2030-01-01T00:00:00Z"}
    often = {"name": "often", "every": "60s", "anchor": "2030-01-01T00:00:00Z"}
    d.add("a", late, often, overlap=Overlap.REPLACE)
    node, _ = d.node()
    d.clock.advance(3600 + 300)
    node.step()
    assert [d.seconds(r.fire_at) for r in d.runs("a")] == [3600, 3900]


def test_a_caught_up_run_of_a_job_that_always_runs_does_not_starve() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("a", task=COMMAND, interval=60, overlap="allow", catch_up={"mode": "all", "max_count": 1})
    scheduler.when("a", takes=90)
    scheduler.advance(minutes=5)
    down = scheduler.now
    scheduler.stop()
    scheduler.advance(minutes=5, seconds=30)
    up = scheduler.now
    scheduler.start()
    scheduler.advance(minutes=4)
    (late,) = [run for run in scheduler.runs("a") if down < run.due_at < up - MINUTE]
    assert late.started_at is not None, "others of the job run all the time, and may"
    assert late.started_at - up < MINUTE


def test_caught_up_runs_of_an_allow_job_begin_one_after_another() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("a", task=COMMAND, interval=60, overlap="allow", catch_up="all")
    scheduler.when("a", takes=90)
    scheduler.stop()
    scheduler.advance(minutes=5, seconds=30)
    up = scheduler.now
    scheduler.start()
    scheduler.advance(minutes=10)
    late = [run for run in scheduler.runs("a") if run.due_at < up - MINUTE]
    assert len(late) == 4
    for before, after in pairwise(late):
        assert before.finished_at is not None
        assert after.started_at is not None
        assert after.started_at >= before.finished_at


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all", "replace"])
def test_a_run_by_hand_of_an_active_job_queues_and_counts(overlap: str) -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("a", task=COMMAND, interval=60, overlap=overlap)
    scheduler.when("a", takes=50)
    scheduler.advance(seconds=80)
    by_hand = scheduler.run("a")
    assert by_hand.state is State.QUEUED, "the fire at 60 s runs until 110"
    scheduler.advance(seconds=45)
    by_hand, fire = scheduler.get_run(by_hand.id), [r for r in scheduler.runs("a") if r.cause == "schedule"][1:]
    if overlap == "skip":
        assert not fire
        assert scheduler.skips("a")[0].detail == "an earlier run of this job is not finished: 1 running"
    elif overlap == "replace":
        assert (by_hand.state, fire[0].state) == (State.CANCELLED, State.RUNNING)
    else:
        assert (by_hand.state, fire[0].state) == (State.RUNNING, State.QUEUED)


def test_nobody_starts_a_run_after_its_start_deadline_even_while_the_leader_sleeps(d: Deployment) -> None:
    d.add("a", start_deadline_s=20.0)
    leader, _ = d.node("leader")
    leader.step()
    start_run(d.desk, "a")
    other, executor = d.node("other")
    d.clock.advance(21)
    other.step()
    assert executor.started == []
    assert d.run("a").state is State.QUEUED
    leader.step()
    assert (d.run("a").state, d.run("a").reason) == (State.SKIPPED, "deadline")
