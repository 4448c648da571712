"""What the store keeps from a time that was wrong keeps nobody waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.model import Rate, Retry
from gnomon.core.states import State
from gnomon.operations.runs import start_run

from .deployment import Deployment, finish

DAY = 86400.0


@pytest.fixture
def d() -> Deployment:
    return Deployment()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("back_s", [600, 3600, 400 * DAY])
def test_no_retry_waits_longer_than_its_delay(d: Deployment, back_s: float, restart: bool) -> None:
    d.clock.jump(back_s)
    d.add("a", restarts=1, retry=Retry(delay_s=30, jitter=False))
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    finish(d, node, executor, Outcome.FAILED)
    assert d.run("a").state is State.RETRY_WAIT
    d.clock.jump(-back_s)
    if restart:
        d.dead.add("n1")
        node, executor = d.node("n2")
    node.step()
    d.clock.advance(31)
    node.step()
    assert d.run("a").state is State.RUNNING


def test_a_run_in_time_before_the_clock_was_set_is_in_time_after_it(d: Deployment) -> None:
    d.add("a", start_deadline_s=60, max_active=1)
    start_run(d.desk, "a")
    node, _ = d.node()
    node.step()
    start_run(d.desk, "a")
    node.step()
    waiting = [run for run in d.runs("a") if run.state is State.QUEUED]
    d.clock.jump(3600)
    node.step()
    assert [d.read(lambda r, i=run.id: r.run(i)).state for run in waiting] == [State.QUEUED]  # type: ignore[misc]
    d.clock.advance(61)
    node.step()
    assert [d.read(lambda r, i=run.id: r.run(i)).reason for run in waiting] == ["deadline"]  # type: ignore[misc]


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=400)])
def test_starts_of_a_time_to_come_use_up_no_rate(d: Deployment, ahead: timedelta) -> None:
    d.add("a", rate=Rate(1, 60.0))
    start_run(d.desk, "a")
    node, executor = d.node()
    d.clock.jump(ahead.total_seconds())
    node.step()
    finish(d, node, executor)
    d.clock.jump(-ahead.total_seconds())
    start_run(d.desk, "a")
    node.step()
    assert sorted(str(run.state) for run in d.runs("a")) == ["running", "succeeded"]
