"""Who leads, and what becomes of the work of a node that is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.errors import Unavailable
from gnomon.core.model import OnLost
from gnomon.core.states import State
from gnomon.core.timekeeping import SETTING
from gnomon.operations.runs import start_run

from .deployment import Deployment, begun, over, report


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def test_one_node_leads_and_keeps_its_lease(d: Deployment) -> None:
    one, _ = d.node("n1")
    two, _ = d.node("n2")
    for _ in range(20):
        one.step()
        two.step()
        assert (one.elector.leading, two.elector.leading) == (True, False)
        d.clock.advance(5)
    leader = d.read(lambda r: r.leader())
    assert leader is not None
    assert (leader.node_id, leader.epoch) == ("n1", 1)


def test_the_lead_is_taken_when_its_lease_is_over_and_the_epoch_grows(d: Deployment) -> None:
    one, _ = d.node("n1")
    two, _ = d.node("n2")
    one.step()
    assert two.step() is not None
    d.clock.advance(29)
    two.step()
    assert not two.elector.leading
    d.clock.advance(2)
    two.step()
    leader = d.read(lambda r: r.leader())
    assert leader is not None
    assert (leader.node_id, leader.epoch, two.elector.leading) == ("n2", 2, True)
    one.step()
    assert not one.elector.leading


def test_a_dead_process_on_the_same_host_is_taken_over_at_once(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    one, first = d.node("n1")
    two, second = d.node("n2")
    one.step()
    report(one, begun(first.started[0], d.clock.now()))
    one.step()
    d.dead.add("n1")
    two.step()
    assert two.elector.leading
    (adoption,) = second.adopted
    assert adoption.spec.run_id == first.started[0].run_id
    assert adoption.spec.token > first.started[0].token
    assert adoption.handle is not None
    assert adoption.owner == "n1"
    two.step()
    assert len(second.adopted) == 1, "once"
    report(two, over(adoption.spec, d.clock.now(), exit_code=0))
    two.step()
    assert d.run("a").state is State.SUCCEEDED


def test_a_node_that_comes_back_after_its_lease_is_fenced_and_registers_anew(d: Deployment) -> None:
    d.add("a")
    start_run(d.desk, "a")
    one, first = d.node("n1")
    two, second = d.node("n2")
    one.step()
    d.clock.advance(31)
    two.step()
    assert len(second.adopted) == 1
    report(one, over(first.started[0], d.clock.now(), Outcome.FAILED))
    one.step()
    assert d.run("a").state is State.RUNNING, "the old token is worth nothing"
    assert not one.elector.leading
    back = {n.node_id: n.stopped_at for n in d.read(lambda r: list(r.nodes()))}
    assert back == {"n1": None, "n2": None}
    two.step()
    assert len(second.adopted) == 1


@pytest.mark.parametrize(("on_lost", "state"), [(OnLost.RERUN, State.RUNNING), (OnLost.FAIL, State.FAILED)])
def test_what_ran_on_another_host_that_is_gone_is_lost(d: Deployment, on_lost: OnLost, state: State) -> None:
    d.add("a", on_lost=on_lost)
    start_run(d.desk, "a")
    one, _ = d.node("n1", host="far")
    two, second = d.node("n2", host="here")
    one.step()
    d.clock.advance(31)
    two.step()
    assert not second.adopted
    two.step()
    run = d.run("a")
    assert (run.state, run.lost) == (state, 1)
    assert len(second.started) == (1 if on_lost is OnLost.RERUN else 0)


def test_after_a_failed_transaction_the_lease_is_written_again_and_nobody_believes_to_lead(d: Deployment) -> None:
    node, _ = d.node("n1")
    d.clock.advance(15)
    d.store.fails = "before"
    with pytest.raises(Unavailable):
        node.step()
    assert not node.elector.leading
    d.store.fails = None
    node.step()
    (record,) = d.read(lambda r: list(r.nodes()))
    assert record.lease_until == d.clock.now() + timedelta(seconds=30)


def test_a_lease_from_the_future_is_mended_when_the_clock_was_set_back(d: Deployment) -> None:
    node, _ = d.node("n1")
    node.step()
    d.clock.jump(-7200)
    node.step()
    until = d.clock.now() + timedelta(seconds=30)
    leader, (record,) = d.read(lambda r: r.leader()), d.read(lambda r: list(r.nodes()))
    assert leader is not None
    assert (leader.lease_until, record.lease_until) == (until, until)


def test_a_clock_set_back_never_repeats_a_fire_and_is_said_loudly(
    d: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    d.add("a", "every 60s")
    node, _ = d.node("n1")
    d.clock.advance(600)
    node.step()
    seen = [r.fire_at for r in d.runs("a")]
    cursor = d.entry("a:default").cursor
    d.clock.jump(-4 * 3600)
    node.step()
    d.clock.advance(4 * 3600)
    node.step()
    assert d.entry("a:default").cursor == cursor
    assert [r.fire_at for r in d.runs("a")] == seen
    assert "the clock is 4:00:00 behind where it was last believed" in caplog.text


def test_two_nodes_that_noticed_a_set_clock_at_moments_of_their_own_do_not_correct_each_other(d: Deployment) -> None:
    nodes = [d.node("n1")[0], d.node("n2")[0]]
    for node in nodes:
        node.step()
    d.clock.jump(7200)
    for node in nodes:
        d.clock.advance(0.1)
        node.step()
    kept = d.read(lambda r: r.setting(SETTING))
    for node in nodes:
        node.step()
        assert d.read(lambda r: r.setting(SETTING)) == kept
    assert not any(node.time.trusted for node in nodes)


def test_leaving_hands_over_the_lead_at_once(d: Deployment) -> None:
    one, _ = d.node("n1")
    two, _ = d.node("n2")
    one.step()
    one.leave()
    two.step()
    assert two.elector.leading
    stopped = {n.node_id: n.stopped_at for n in d.read(lambda r: list(r.nodes()))}
    assert stopped["n1"] == d.clock.now(), "nothing was left running"


def test_an_adopted_attempt_with_a_cancel_request_is_stopped_by_its_new_owner(d: Deployment) -> None:
    from gnomon.operations.runs import cancel_run

    d.add("a")
    start_run(d.desk, "a")
    one, first = d.node("n1")
    one.step()
    cancel_run(d.desk, first.started[0].run_id)
    d.dead.add("n1")
    two, second = d.node("n2")
    two.step()
    assert second.cancelled == [(first.started[0].run_id, 1)]


def test_two_nodes_stepping_alternately_fire_nothing_twice(d: Deployment) -> None:
    d.add("a", "every 10s")
    one, first = d.node("n1")
    two, second = d.node("n2")
    for turn in range(40):
        for node, executor in ((one, first), (two, second)) if turn % 2 else ((two, second), (one, first)):
            node.step()
            while executor.started:
                report(node, over(executor.started.pop(), d.clock.now()))
            node.step()
        d.clock.advance(3)
    fires = [r.fire_at for r in d.runs("a")]
    assert len(fires) == len(set(fires)) == 11
    assert all(r.state is State.SUCCEEDED for r in d.runs("a")[:-1])
    assert replace(d.runs("a")[0]).attempts == 1
