"""What is healthy and what is not, decided from facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gnomon.core.health import Check, Facts, Level, check_of, judge
from gnomon.core.records import LeaderRecord, NodeRecord

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)
FAILING = Level.FAILING
NODE = NodeRecord("n1", "host", 1, "boot", None, NOW - LEASE, NOW + LEASE, 10, "0")
GOOD = Facts(NOW, (NODE,), leader=LeaderRecord("n1", 1, NOW + LEASE))


def failing(facts: Facts) -> list[str]:
    verdict = judge(facts)
    assert verdict.ok == (not [c for c in verdict.checks if not c.ok])
    assert verdict.view()["line"] == verdict.line
    assert "\n" not in verdict.line
    return [check.name for check in verdict.checks if not check.ok]


def test_a_scheduler_at_work_is_healthy_and_says_why() -> None:
    assert failing(GOOD) == []
    assert judge(GOOD).line == "healthy: 1 scheduler steps; n1 plans; no schedule is overdue"


@pytest.mark.parametrize(
    ("change", "checks", "words"),
    [
        ({"nodes": ()}, ["loop", "leader"], "no scheduler runs"),
        ({"dead": ("n1",)}, ["loop", "leader"], "no scheduler runs"),
        ({"nodes": (replace(NODE, lease_until=NOW),)}, ["loop", "leader"], "no scheduler steps: the lease of n1"),
        ({"leader": None}, ["leader"], "none has ever planned"),
        ({"leader": LeaderRecord("n1", 1, NOW)}, ["leader"], "none plans since 2030-01-01T00:00:00Z"),
        ({"leader": LeaderRecord("n2", 1, NOW + LEASE)}, ["leader"], "the one that plans is gone: n2"),
        ({"told": {"n1": (Check("steps", FAILING, "steps fail"),)}}, ["steps"], "failing: steps fail"),
        (
            {"overdue": 2, "overdue_since": NOW - timedelta(seconds=90), "overdue_schedule": "a:default"},
            ["overdue"],
            "2 schedules are overdue, a:default by 90 s",
        ),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], checks: list[str], words: str) -> None:
    facts = replace(GOOD, **change)  # type: ignore[arg-type]
    assert failing(facts) == checks
    assert judge(facts).level is (Level.DEGRADED if checks == ["overdue"] else FAILING)
    assert judge(facts).line.startswith(f"{judge(facts).level}: ")
    assert words in judge(facts).line


def test_slots_that_do_not_move_while_work_waits() -> None:
    long = NOW - timedelta(minutes=11)
    full = replace(GOOD, full_since=long, queued=2, queued_since=long)
    assert failing(full) == ["slots_stand"]
    assert "nothing has begun for 11 minutes; 2 runs wait" in judge(full).line
    assert judge(full).level is Level.DEGRADED
    for change in ({"full_since": NOW}, {"queued": 0}, {"queued_since": NOW}, {"full_since": None}):
        assert failing(replace(full, **change)) == []  # type: ignore[arg-type]


def test_another_node_that_steps_is_enough() -> None:
    dead = replace(NODE, node_id="n0", lease_until=NOW - LEASE)
    assert failing(replace(GOOD, nodes=(dead, NODE))) == []
    assert failing(replace(GOOD, nodes=(replace(dead, lease_until=NOW + LEASE), NODE), dead=("n0",))) == []


def test_a_node_that_fails_beside_one_that_works_fails_for_itself_alone() -> None:
    told = {"n2": (Check("steps", FAILING, "steps fail"), Check("disk", Level.DEGRADED, "slow"))}
    facts = replace(GOOD, nodes=(NODE, replace(NODE, node_id="n2")), told=told)
    assert judge(facts).level is Level.DEGRADED
    assert judge(replace(facts, own="n1")).level is Level.DEGRADED
    assert judge(replace(facts, own="n2")).level is FAILING
    assert judge(replace(facts, own="n2")).line == "failing: n2: steps fail; n2: slow"
    assert judge(replace(facts, nodes=facts.nodes[1:])).level is FAILING


def test_a_check_is_read_as_it_was_written_and_those_of_older_servers_too() -> None:
    for check in (Check("a", Level.OK, "fine"), Check("b", Level.DEGRADED, "so so", NOW)):
        assert check_of(check.view()) == check
    assert check_of({"name": "a", "ok": False, "message": "m"}) == Check("a", FAILING, "m")
