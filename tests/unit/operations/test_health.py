"""Health as the database alone tells it."""

from __future__ import annotations

from typing import Any

from gnomon.engine.loop import Loop
from gnomon.operations.health import health
from tests.unit.engine.deployment import Deployment


def failing(d: Deployment, **how: Any) -> list[str]:
    return [check.name for check in health(d.desk, **how).checks if not check.ok]


def test_nothing_runs_then_a_node_steps_then_it_leaves() -> None:
    d = Deployment()
    assert failing(d) == ["loop", "leader"]
    node, _ = d.node()
    node.step()
    assert failing(d) == []
    node.leave()
    assert failing(d) == ["loop", "leader"]


def test_a_node_that_no_longer_steps_is_unhealthy_when_its_lease_has_run_out() -> None:
    d = Deployment()
    node, _ = d.node()
    node.step()
    d.clock.advance(29)
    assert failing(d) == []
    d.clock.advance(2)
    assert failing(d) == ["loop", "leader"]
    node.step()
    assert failing(d) == []


def test_schedules_that_nobody_decides_are_counted_once_they_are_late_enough() -> None:
    d = Deployment()
    node, _ = d.node()
    for name in ("a", "b"):
        d.add(name, "every 60s")
    node.step()
    d.clock.advance(60 + 59)
    assert "overdue" not in failing(d)
    assert "overdue" in failing(d, overdue_s=50)
    d.clock.advance(2)
    verdict = health(d.desk)
    assert "2 schedules are overdue" in verdict.line
    node.step()
    assert failing(d) == []


def test_a_loop_tells_how_long_ago_it_turned_even_while_it_waits() -> None:
    d = Deployment()
    node, _ = d.node()
    loop = Loop(node, d.store, d.clock)
    assert loop.quiet_s() is None
    turns: list[float | None] = []

    def until() -> bool:
        turns.append(loop.quiet_s())
        d.clock.advance(100)
        turns.append(loop.quiet_s())
        return len(turns) > 3

    loop.run(until)
    assert turns[:3] == [0.0, 100.0, 0.0]
    assert failing(d) == ["loop", "leader"]
