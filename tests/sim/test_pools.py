"""Pools: nobody is kept from starting for ever."""

from __future__ import annotations

import pytest

from gnomon.core.states import State
from gnomon.testing.virtual import VirtualScheduler

TRUE = {"type": "command", "command": ["true"]}


@pytest.mark.parametrize("slots", [2, 5])
def test_small_runs_do_not_keep_a_large_one_of_higher_priority_from_its_pool(slots: int) -> None:
    """It keeps its place: those behind it wait until it had its slots. More than the pool has: it runs alone."""
    scheduler = VirtualScheduler(pools={"db": 2, "disk": 1})
    scheduler.add_job("small", interval="20s", pool="db", overlap="allow", task=TRUE)
    scheduler.add_job("other", interval="20s", pool="disk", task=TRUE)
    scheduler.add_job("large", pool={"db": slots}, priority=10, task=TRUE)
    scheduler.when("small", takes=30)  # two of them overlap always: never are both slots free by themselves
    scheduler.advance(minutes=2)
    run = scheduler.run("large")
    assert run.state is State.QUEUED
    scheduler.advance(seconds=25)
    assert any("an earlier run waits" in str(small.waiting_for) for small in scheduler.runs("small"))
    scheduler.advance(minutes=2)
    assert scheduler.get_run(run.id).state is State.SUCCEEDED
    scheduler.advance(minutes=5)
    waiting = scheduler.runs("small", state="queued")
    assert len(waiting) <= 2, "afterwards they go on as before"
    assert len(scheduler.runs("other", state="succeeded")) >= 28, "other pools are not concerned"


def test_a_rate_holds_over_a_restart_of_the_scheduler() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("a", interval="1s", rate="2/1m", overlap="queue_all", task=TRUE)
    scheduler.advance(seconds=10)
    scheduler.stop()
    scheduler.advance(seconds=5)
    scheduler.start()
    scheduler.advance(seconds=30)
    assert len(scheduler.started) == 2, "starts are counted in the database"
    scheduler.advance(seconds=20)
    assert len(scheduler.started) == 4
