"""A store, an executor or the housekeeping fails: nothing else does, and no attempt is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.errors import Unavailable
from gnomon.core.states import State
from gnomon.engine.settings import EngineSettings
from gnomon.operations.runs import start_run

from .deployment import Deployment, finish, over, report


@pytest.fixture
def d() -> Deployment:
    return Deployment()


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
