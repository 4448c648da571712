"""Every due fire becomes one run or is covered by one skip; which of them, semantics.md says."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.jitter import jitter
from gnomon.core.model import CatchUp, CatchUpMode, Overlap
from gnomon.core.planning import (
    DEFAULT_GRACE,
    MOST_AT_ONCE,
    FirePlan,
    first_cursor,
    plan_fires,
    skip_through,
    wake_at,
)
from gnomon.core.records import Activity, ScheduleRecord, SkipReason
from gnomon.schedules import Kinds
from tests.support.timing import cpu_seconds

from .facts import T0, ListRule, at, entry, job

IDLE = Activity()
BUSY = {
    "queued": Activity(queued=1),
    "running": Activity(running=1),
    "retry_wait": Activity(retry_wait=1),
    "waiting": Activity(waiting=1),
}
MINUTES = ListRule([at(60 * n) for n in range(1, 200)])


def ran(plan: FirePlan) -> list[datetime]:
    return [r.fire.at for r in plan.runs]


def skipped(plan: FirePlan, rule: ListRule) -> Counter[datetime]:
    found: Counter[datetime] = Counter()
    for skip in plan.skips:
        times = rule.between(skip.first_at, skip.last_at)
        assert len(times) == skip.count, skip
        found.update(times)
    return found


def reasons(plan: FirePlan) -> set[SkipReason]:
    return {s.reason for s in plan.skips}


# ---- late, catch-up ------------------------------------------------------------------------------


def test_a_fire_decided_in_time_simply_runs() -> None:
    plan = plan_fires(entry(at(60)), job(), MINUTES, IDLE, at(60))
    assert ran(plan) == [at(60)]
    assert not plan.skips
    assert plan.cursor == plan.due_at == at(120)
    assert not plan.runs[0].caught_up


def test_nothing_due_changes_nothing() -> None:
    plan = plan_fires(entry(at(60)), job(), MINUTES, IDLE, at(59.999))
    assert (ran(plan), list(plan.skips), plan.cursor) == ([], [], at(60))


@pytest.mark.parametrize(
    ("gap_s", "grace_s", "late_s", "on_time"),
    [
        (3600, None, 60, True),  # the default: 60 s …
        (3600, None, 60.001, False),
        (20, None, 20, True),  # … or the gap to the next fire, if that is smaller
        (20, None, 20.001, False),
        (3600, 600, 600, True),
        (3600, 600, 601, False),
        (20, 100, 90, True),
    ],
)
def test_misfire_grace_is_the_smaller_of_60_s_and_the_gap(
    gap_s: float, grace_s: float | None, late_s: float, on_time: bool
) -> None:
    rule = ListRule([at(gap_s * n) for n in range(1, 20)])
    policy = CatchUp(CatchUpMode.NONE)
    plan = plan_fires(entry(at(gap_s)), job(misfire_grace_s=grace_s, catch_up=policy), rule, IDLE, at(gap_s + late_s))
    assert (at(gap_s) in ran(plan)) is on_time


def test_catch_up_latest_runs_the_newest_missed_fire_and_records_the_others() -> None:
    now = at(60 * 10 + 61)  # the newest fire is at 11 minutes, 1 s ago: on time
    hourly = ListRule([at(3600 * n) for n in range(1, 30)])
    plan = plan_fires(entry(at(3600)), job(), hourly, IDLE, at(3600 * 10 + 300))
    assert ran(plan) == [at(36000)]
    assert plan.runs[0].caught_up
    assert [(s.first_at, s.last_at, s.count, s.reason) for s in plan.skips] == [
        (at(3600), at(3600 * 9), 9, SkipReason.CATCH_UP)
    ]
    plan = plan_fires(entry(at(60)), job(), MINUTES, IDLE, now)
    assert ran(plan) == [at(660)], "a newer fire that is on time makes catching up pointless"
    assert [s.count for s in plan.skips] == [10]


def test_catch_up_none_runs_only_what_is_on_time() -> None:
    plan = plan_fires(entry(at(60)), job(catch_up=CatchUp(CatchUpMode.NONE)), MINUTES, IDLE, at(630))
    assert ran(plan) == [at(600)]
    assert [(s.first_at, s.count) for s in plan.skips] == [(at(60), 9)]


def test_catch_up_all_keeps_the_newest_max_count_and_runs_the_oldest_first() -> None:
    policy = CatchUp(CatchUpMode.ALL, max_count=3)
    plan = plan_fires(entry(at(60)), job(catch_up=policy, overlap=Overlap.ALLOW), MINUTES, IDLE, at(630))
    assert ran(plan) == [at(60 * n) for n in (7, 8, 9, 10)], "three missed ones, and the one on time"
    assert [r.exclusive for r in plan.runs] == [True, True, True, False], "caught-up fires queue behind each other"
    assert [(s.first_at, s.last_at, s.count) for s in plan.skips] == [(at(60), at(360), 6)]


def test_max_count_counts_missed_fires_not_those_within_a_long_grace() -> None:
    policy = CatchUp(CatchUpMode.ALL, max_count=2)
    plan = plan_fires(
        entry(at(60)), job(catch_up=policy, misfire_grace_s=600, overlap=Overlap.QUEUE_ALL), MINUTES, IDLE, at(1800)
    )
    assert sum(r.caught_up for r in plan.runs) == 2
    assert ran(plan) == [at(60 * n) for n in range(18, 31)]


def test_max_age_skips_what_is_older_with_that_reason() -> None:
    policy = CatchUp(CatchUpMode.ALL, max_age_s=250)
    plan = plan_fires(entry(at(60)), job(catch_up=policy), MINUTES, IDLE, at(610))
    assert ran(plan) == [at(60 * n) for n in (6, 7, 8, 9)], "the fire on time is skipped: caught-up runs are queued"
    aged, overlapped = plan.skips
    assert (aged.first_at, aged.last_at, aged.count) == (at(60), at(300), 5)
    assert "older than 0:04:10" in aged.detail
    assert overlapped.reason is SkipReason.OVERLAP


def test_a_year_of_minutes_is_one_row_with_its_exact_count_at_once() -> None:
    kinds = Kinds()
    for text, count in (("* * * * *", 525_600), ("every 60s", 525_600)):
        spec = kinds.parse(text, default_timezone="Europe/Berlin", job_id="j")
        rule = kinds.build(spec, schedule_id="j:default", job_id="j", anchor=T0)
        first = rule.next(T0)
        assert first is not None
        now = T0 + timedelta(days=365, seconds=30)
        record = ScheduleRecord("j:default", "j", spec, 0, T0, first.at, first.at)
        took, plan = cpu_seconds(partial(plan_fires, record, job(), rule, IDLE, now))
        assert len(plan.runs) == 1
        assert [s.count for s in plan.skips] == [count - 1]
        assert plan.cursor is not None
        assert plan.cursor > now
        assert took < 0.05, f"{text}: {took:.3f} s"


def test_the_work_of_one_decision_is_bounded() -> None:
    rule = ListRule([at(n) for n in range(1, 3 * MOST_AT_ONCE)])
    everything = job(catch_up=CatchUp(CatchUpMode.ALL, max_count=10**6), misfire_grace_s=1, overlap=Overlap.QUEUE_ALL)
    now = at(3 * MOST_AT_ONCE)
    took, plan = cpu_seconds(lambda: plan_fires(entry(at(1)), everything, rule, IDLE, now))
    assert took < 1.0, "the cost must not grow with the square of the fires"
    assert len(plan.runs) == MOST_AT_ONCE
    assert [s.count for s in plan.skips] == [3 * MOST_AT_ONCE - 1 - MOST_AT_ONCE]


# ---- overlap -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(BUSY))
def test_overlap_skip_records_the_fire_while_an_earlier_run_is_queued_running_or_in_retry_wait(state: str) -> None:
    plan = plan_fires(entry(at(60)), job(), MINUTES, BUSY[state], at(60))
    assert not plan.runs
    assert reasons(plan) == {SkipReason.OVERLAP}
    assert "not finished" in plan.skips[0].detail


def test_a_run_planned_ahead_does_not_overlap() -> None:
    assert ran(plan_fires(entry(at(60)), job(), MINUTES, Activity(scheduled=1), at(60))) == [at(60)]


@pytest.mark.parametrize(
    ("overlap", "activity", "runs", "exclusive", "replaces"),
    [
        (Overlap.SKIP, IDLE, 1, True, False),
        (Overlap.QUEUE_ONE, Activity(running=1), 1, True, False),
        (Overlap.QUEUE_ONE, Activity(running=1, queued=1), 0, True, False),
        (Overlap.QUEUE_ONE, Activity(retry_wait=1), 1, True, False),
        (Overlap.QUEUE_ALL, Activity(running=1, queued=50), 1, True, False),
        (Overlap.REPLACE, IDLE, 1, True, False),
        (Overlap.REPLACE, Activity(running=1), 1, True, True),
        (Overlap.REPLACE, Activity(queued=1), 1, True, True),
        (Overlap.ALLOW, Activity(running=9), 1, False, False),
    ],
)
def test_overlap_policy(overlap: Overlap, activity: Activity, runs: int, exclusive: bool, replaces: bool) -> None:
    plan = plan_fires(entry(at(60)), job(overlap=overlap), MINUTES, activity, at(60))
    assert len(plan.runs) == runs
    assert all(r.exclusive is exclusive for r in plan.runs)
    assert plan.replace is replaces
    assert reasons(plan) == (set() if runs else {SkipReason.OVERLAP})


def test_of_several_fires_at_once_replace_keeps_the_last_and_queue_one_the_first() -> None:
    replaced = plan_fires(entry(at(60)), job(overlap=Overlap.REPLACE, misfire_grace_s=600), MINUTES, IDLE, at(180))
    assert ran(replaced) == [at(180)]
    assert not replaced.replace, "nothing that exists is to be cancelled"
    queued = plan_fires(entry(at(60)), job(overlap=Overlap.QUEUE_ONE, misfire_grace_s=600), MINUTES, IDLE, at(180))
    assert ran(queued) == [at(60)]
    assert skipped(queued, MINUTES) == {at(120): 1, at(180): 1}


# ---- exclusions, jitter, one time ------------------------------------------------------------------


def test_each_removed_fire_is_a_recorded_skip() -> None:
    rule = ListRule([at(60), at(120)], frozenset({at(60)}))
    plan = plan_fires(entry(at(60)), job(), rule, IDLE, at(60))
    assert not plan.runs
    assert [(s.reason, s.detail) for s in plan.skips] == [(SkipReason.EXCLUDED, "a holiday")]
    assert plan.cursor == at(120)


def test_catch_up_latest_looks_past_excluded_fires() -> None:
    rule = ListRule([at(3600 * n) for n in range(1, 6)], frozenset({at(3600 * 5), at(3600 * 4)}))
    plan = plan_fires(entry(at(3600)), job(), rule, IDLE, at(3600 * 5 + 1800))
    assert ran(plan) == [at(3600 * 3)]
    assert skipped(plan, rule) == {at(3600 * n): 1 for n in (1, 2, 4, 5)}


def test_jitter_starts_a_fire_later_never_earlier_and_does_not_make_it_late() -> None:
    record = entry(at(60), jitter_s=30)
    due = at(60) + jitter("j:default", at(60), 30)
    assert wake_at(record, MINUTES, at(60)) == due
    before = plan_fires(record, job(), MINUTES, IDLE, due - timedelta(microseconds=1))
    assert (ran(before), before.cursor) == ([], at(60))
    after = plan_fires(record, job(), MINUTES, IDLE, due)
    assert [(r.fire.at, r.due_at) for r in after.runs] == [(at(60), due)]


def test_jitter_longer_than_the_gap_loses_no_fire() -> None:
    """A later fire may be due before an earlier one: waking at the cursor's start made the later ones misfires."""
    rule = ListRule([at(20 * n) for n in range(1, 200)])
    record, now, starts = entry(at(20), jitter_s=90), at(0), Counter[datetime]()
    policy = job(overlap=Overlap.ALLOW, catch_up=CatchUp(CatchUpMode.NONE))
    while record.cursor is not None and record.cursor < at(3000):
        wake = wake_at(record, rule, record.cursor)
        assert wake is not None
        now = max(now, wake)
        plan = plan_fires(record, policy, rule, IDLE, now)
        assert not plan.skips
        for planned in plan.runs:
            assert planned.due_at == planned.fire.at + jitter("j:default", planned.fire.at, 90)
            assert now - planned.due_at < timedelta(seconds=1), "started when it was due"
        starts.update(ran(plan))
        record = entry(plan.cursor, jitter_s=90)
    assert set(starts.values()) == {1}
    assert set(starts) == set(rule.between(at(20), record.cursor - timedelta(seconds=1) if record.cursor else at(0)))


def test_one_time_already_past_when_first_seen_runs_within_the_window() -> None:
    for age_h, max_age_s, runs in ((1, None, 1), (23.9, None, 1), (24.1, None, 0), (2, 3600, 0), (48, 7 * 86400, 1)):
        rule = ListRule([at(-3600 * age_h)])
        record = entry(None, kind="at")
        cursor = first_cursor(record, rule, T0)
        assert cursor == at(-3600 * age_h)
        policy = CatchUp(max_age_s=max_age_s)
        plan = plan_fires(entry(cursor, kind="at"), job(catch_up=policy), rule, IDLE, T0)
        assert len(plan.runs) == runs, age_h
        assert reasons(plan) == (set() if runs else {SkipReason.CATCH_UP})
        assert plan.cursor is None


def test_one_time_missed_in_a_long_downtime_is_caught_up_however_old() -> None:
    rule = ListRule([at(3600)])
    plan = plan_fires(entry(at(3600), kind="at"), job(), rule, IDLE, at(30 * 86400))
    assert ran(plan) == [at(3600)]


def test_first_cursor_of_a_recurring_entry_is_in_the_future() -> None:
    assert first_cursor(entry(None), MINUTES, at(60)) == at(120)
    assert first_cursor(entry(None), ListRule([]), T0) is None


def test_an_entry_without_cursor_is_never_planned() -> None:
    assert plan_fires(entry(None), job(), MINUTES, IDLE, at(600)) == FirePlan()


# ---- skip_through ----------------------------------------------------------------------------------


def test_skip_through_covers_what_passed_in_one_row() -> None:
    skips, cursor = skip_through(entry(at(60)), MINUTES, at(630), SkipReason.PAUSED, "why")
    assert [(s.first_at, s.last_at, s.count, s.reason) for s in skips] == [(at(60), at(600), 10, SkipReason.PAUSED)]
    assert cursor == at(660)
    assert skip_through(entry(at(660)), MINUTES, at(630), SkipReason.PAUSED, "") == ((), at(660))
    assert skip_through(entry(None), MINUTES, at(630), SkipReason.PAUSED, "") == ((), at(660))


def test_skip_through_keeps_the_cursor_when_the_clock_was_set_back() -> None:
    assert skip_through(entry(at(6000)), MINUTES, at(60), SkipReason.PAUSED, "") == ((), at(6000))


# ---- completeness: any state, any policy ---------------------------------------------------------------


@st.composite
def situations(draw: st.DrawFn) -> tuple[ScheduleRecord, object, ListRule, Activity, datetime]:
    gaps = draw(st.lists(st.sampled_from([1, 5, 20, 60, 61, 300, 3600]), min_size=1, max_size=40))
    times, moment = [], 0
    for gap in gaps:
        moment += gap
        times.append(at(moment))
    rule = ListRule(times, frozenset(draw(st.sets(st.sampled_from(times), max_size=5))))
    policy = CatchUp(
        draw(st.sampled_from(list(CatchUpMode))),
        draw(st.sampled_from([None, 0.0, 30.0, 600.0])),
        draw(st.integers(1, 5)),
    )
    made = job(
        overlap=draw(st.sampled_from(list(Overlap))),
        catch_up=policy,
        misfire_grace_s=draw(st.sampled_from([None, 0.0, 10.0, 1000.0])),
    )
    record = entry(draw(st.sampled_from(times)), jitter_s=draw(st.sampled_from([0.0, 0.0, 3.0, 100.0])))
    activity = Activity(*(draw(st.integers(0, 2)) for _ in range(5)))
    return record, made, rule, activity, at(draw(st.integers(-10, moment + 4000)))


@settings(max_examples=600)
@given(situations())
def test_each_due_fire_is_exactly_one_run_or_in_one_skip_and_the_cursor_moves_past_now(given_: tuple) -> None:
    record, made, rule, activity, now = given_
    plan = plan_fires(record, made, rule, activity, now)
    covered = skipped(plan, rule)
    covered.update(ran(plan))
    assert set(covered.values()) <= {1}, "decided twice"
    undecided_from = plan.cursor or datetime.max.replace(tzinfo=T0.tzinfo)
    assert set(covered) == {t for t in rule.times if record.cursor <= t < undecided_from}, "lost, or not due"
    for moment in rule.times:
        due = moment + jitter("j:default", moment, record.spec.jitter_s)
        if moment >= record.cursor and due <= now:
            assert moment in covered, "it is due"
    assert plan.cursor is None or plan.cursor >= record.cursor
    if record.spec.jitter_s == 0:
        assert plan.cursor is None or plan.cursor > now
    assert plan.due_at is None or plan.due_at > now or plan.due_at >= plan.cursor
    assert ran(plan) == sorted(ran(plan))
    assert not set(ran(plan)) & rule.excluded
    assert sum(r.caught_up for r in plan.runs) <= made.catch_up.max_count


@settings(max_examples=300)
@given(situations())
def test_who_runs_agrees_with_a_second_reading_of_the_policies(given_: tuple) -> None:
    """The oracle: one fire after the other, by the sentences of semantics.md; without jitter."""
    record, made, rule, activity, now = given_
    record = entry(record.cursor)
    plan = plan_fires(record, made, rule, activity, now)
    due = [t for t in rule.between(record.cursor, now) if t not in rule.excluded]
    on_time, late = [], []
    for moment in due:
        after = [t for t in rule.times if t > moment]
        default = min(DEFAULT_GRACE, after[0] - moment) if after else DEFAULT_GRACE
        grace = default if made.misfire_grace_s is None else timedelta(seconds=made.misfire_grace_s)
        (on_time if now - moment <= grace else late).append(moment)
    young = [t for t in late if made.catch_up.max_age_s is None or (now - t).total_seconds() <= made.catch_up.max_age_s]
    match made.catch_up.mode:
        case CatchUpMode.ALL:
            caught = young[-made.catch_up.max_count :]
        case CatchUpMode.LATEST:
            caught = [] if on_time or not young or young[-1] != (late[-1] if late else None) else young[-1:]
        case CatchUpMode.NONE:
            caught = []
    busy = bool(activity.waiting + activity.queued + activity.running + activity.retry_wait + len(caught))
    pending = activity.waiting + activity.queued + len(caught)
    expected: list[datetime] = []
    for moment in on_time:
        if made.overlap is Overlap.SKIP and busy:
            continue
        if made.overlap is Overlap.QUEUE_ONE and pending:
            continue
        if made.overlap is Overlap.REPLACE:
            expected = []
        expected.append(moment)
        busy, pending = True, pending + 1
    assert ran(plan) == caught + expected


def test_with_jitter_runs_come_in_the_order_of_their_fires() -> None:
    """The later fire is late already, the earlier one, moved further, is on time."""
    rule = ListRule([at(1), at(2), at(3)])
    made = job(overlap=Overlap.QUEUE_ALL, catch_up=CatchUp(CatchUpMode.ALL, None, 1))
    plan = plan_fires(entry(at(1), jitter_s=100.0), made, rule, IDLE, at(85))
    assert ran(plan) == sorted(ran(plan))
    assert len(ran(plan)) > 1
