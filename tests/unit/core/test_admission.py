"""Which queued runs start: priority, then due time; what may not start lets others pass."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.admission import Room, admit
from gnomon.core.model import Rate
from gnomon.core.records import Activity, RunRecord

from .facts import at, run

NOW = at(1000)


def room(slots: int = 10, **fields: Any) -> Room:
    return Room(slots, fields.pop("pool_sizes", {}), fields.pop("pool_used", {}), fields.pop("activity", {}), **fields)


def chosen(candidates: list[RunRecord], free: Room, rates: dict[tuple[str, int], Rate] | None = None) -> list[str]:
    return [r.id for r in admit(candidates, free, rates or {}, NOW).chosen]


def runs(*names: str, **fields: Any) -> list[RunRecord]:
    """One run per name; `a1` is of job `a`."""
    return [run(name, **({"job_id": name.rstrip("0123456789")} | fields)) for name in names]


def test_slots_are_filled_in_the_given_order() -> None:
    assert chosen(runs("a", "b", "c"), room(2)) == ["a", "b"]
    assert chosen(runs("a"), room(0)) == []


def test_exclusive_runs_of_a_job_start_one_at_a_time_in_order_and_let_others_pass() -> None:
    free = room()
    admission = admit(runs("a1", "a2", "b1"), free, {}, NOW)
    assert [r.id for r in admission.chosen] == ["a1", "b1"]
    assert admission.waits == {"a2": "an earlier run of this job"}


@pytest.mark.parametrize("activity", [Activity(running=1), Activity(retry_wait=1)])
def test_an_exclusive_run_waits_while_another_runs_or_is_to_be_retried(activity: Activity) -> None:
    assert chosen(runs("a1"), room(activity={"a": activity})) == []
    assert chosen(runs("a1", exclusive=False), room(activity={"a": activity})) == ["a1"]


def test_an_exclusive_run_behind_one_that_waits_for_a_pool_keeps_its_place() -> None:
    first = run("a1", job_id="a", pools={"db": 1})
    free = room(pool_sizes={"db": 1}, pool_used={"db": 1})
    assert chosen([first, run("a2", job_id="a"), run("b1", job_id="b")], free) == ["b1"]


def test_pools_count_slots_and_say_who_waits_for_what() -> None:
    free = room(pool_sizes={"db": 3}, pool_used={"db": 1})
    waiting = runs("a", "b", "c", pools={"db": 1})
    admission = admit(waiting, free, {}, NOW)
    assert [r.id for r in admission.chosen] == ["a", "b"]
    assert admission.waits == {"c": "pool db: 3 of 3 slots are taken"}


def test_a_run_that_wants_more_than_a_pool_has_runs_alone() -> None:
    wide = run("w", job_id="w", pools={"db": 9})
    assert chosen([wide], room(pool_sizes={"db": 2})) == ["w"]
    assert chosen([wide], room(pool_sizes={"db": 2}, pool_used={"db": 1})) == []
    assert chosen([wide, *runs("a", pools={"db": 1})], room(pool_sizes={"db": 2})) == ["w"]


def test_a_pool_of_size_0_lets_nobody_in() -> None:
    assert chosen(runs("a", pools={"db": 1}), room(pool_sizes={"db": 0})) == []


def test_a_pool_nobody_declared_is_named() -> None:
    admission = admit(runs("a", pools={"dv": 1}), room(pool_sizes={"db": 1}), {}, NOW)
    assert "dv, which is not declared" in admission.waits["a"]


def test_max_active_counts_running_ones_and_those_chosen() -> None:
    many = runs("a1", "a2", "a3", exclusive=False, max_active=2)
    assert chosen(many, room(activity={"a": Activity(running=1)})) == ["a1"]
    assert chosen(many, room()) == ["a1", "a2"]


def test_a_rate_limits_starts_in_its_period_and_says_when_to_ask_again() -> None:
    rates = {("a", 1): Rate(2, 60)}
    many = runs("a1", "a2", "a3", exclusive=False)
    free = room(starts={"a": [NOW - timedelta(seconds=61), NOW - timedelta(seconds=20)]})
    admission = admit(many, free, rates, NOW)
    assert [r.id for r in admission.chosen] == ["a1"]
    assert admission.retry_at == NOW + timedelta(seconds=40)
    assert admission.waits["a2"].startswith("rate: 2 starts in 60 s")
    free = room(starts={"a": [NOW - timedelta(seconds=60)]})
    assert len(admit(many, free, rates, NOW).chosen) == 2, "the period is half open"


RUNS = st.builds(
    lambda n, job_id, exclusive, pool, max_active: run(
        f"r{n}", job_id=job_id, exclusive=exclusive, pools=pool, max_active=max_active
    ),
    st.integers(0, 10**9),
    st.sampled_from("abc"),
    st.booleans(),
    st.sampled_from([{}, {"p": 1}, {"p": 2}, {"q": 1}]),
    st.sampled_from([None, 1, 2]),
)


@given(
    st.lists(RUNS, max_size=20, unique_by=lambda r: r.id),
    st.integers(0, 8),
    st.dictionaries(st.sampled_from("abc"), st.builds(Activity, running=st.integers(0, 2)), max_size=3),
    st.integers(0, 2),
)
def test_no_limit_is_ever_exceeded_and_nothing_that_may_start_is_held_back(
    queue: list[RunRecord], slots: int, activity: dict[str, Activity], used: int
) -> None:
    """I3 for one admission, recounted."""
    sizes = {"p": 3, "q": 1}
    admission = admit(queue, room(slots, pool_sizes=sizes, pool_used={"p": used}, activity=activity), {}, NOW)
    picked = list(admission.chosen)
    assert len(picked) <= slots
    assert used + sum(r.pools.get("p", 0) for r in picked) <= max(3, used)
    assert sum(r.pools.get("q", 0) for r in picked) <= 1
    for job_id in "abc":
        mine = [r for r in picked if r.job_id == job_id]
        running = activity.get(job_id, Activity()).running
        for place, one in enumerate(mine):
            assert one.max_active is None or running + place < one.max_active
            assert not one.exclusive or running + place == 0
        exclusive = [r.id for r in queue if r.job_id == job_id and r.exclusive]
        assert [r.id for r in mine if r.exclusive] == exclusive[: sum(r.exclusive for r in mine)], "FIFO"
    ids = {r.id for r in picked}
    assert not ids & admission.waits.keys()
    if len(picked) < slots:
        assert ids | admission.waits.keys() == {r.id for r in queue}


def test_short_runs_are_chosen_ahead_once_the_slots_are_used_up() -> None:
    free = room(1, ahead=2)
    admission = admit(runs("a", "b", "c", "d"), free, {}, NOW, {(n, 1) for n in "abcd"})
    assert [r.id for r in admission.chosen] == ["a", "b", "c"]
    assert free.full


def test_nothing_overtakes_a_run_that_is_not_short() -> None:
    free = room(1, ahead=5)
    admission = admit(runs("a", "long", "c"), free, {}, NOW, {("a", 1), ("c", 1)})
    assert [r.id for r in admission.chosen] == ["a"]
    assert admission.closed


@pytest.mark.parametrize("limit", [{"pools": {"db": 1}}, {"max_active": 5}])
def test_a_limited_run_is_never_claimed_ahead(limit: dict[str, Any]) -> None:
    free = room(0, ahead=5, pool_sizes={"db": 9})
    assert admit(runs("a", **limit), free, {}, NOW, {("a", 1)}).chosen == ()


def test_an_exclusive_run_is_not_claimed_behind_its_predecessor() -> None:
    free = room(1, ahead=5)
    admission = admit(runs("a1", "a2", "b1"), free, {}, NOW, {("a", 1), ("b", 1)})
    assert [r.id for r in admission.chosen] == ["a1", "b1"]
