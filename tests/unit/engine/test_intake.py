"""What a step makes of reports: once each, by the right token, with a retry where one is due."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.states import State
from gnomon.operations.runs import start_run

from .deployment import Deployment, begun, finish, over, report


@pytest.fixture
def d() -> Deployment:
    return Deployment()


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
