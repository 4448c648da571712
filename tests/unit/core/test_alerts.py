"""Signs → incidents and messages; tries → deliveries."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core import alerts
from gnomon.core.alerts import Defaults, Incident, Kind, Policy, Sign, judge, policy_of
from gnomon.core.attempts import Failure
from gnomon.core.deliveries import Delivery, Report, Rest, after_try, rests
from gnomon.core.model import CatchUp, CatchUpMode, Dependency, Job, Task
from gnomon.core.planning import FirePlan, PlannedRun, PlannedSkip
from gnomon.core.records import Cause, SkipReason
from gnomon.core.rules import Fire
from gnomon.core.states import State
from gnomon.testing.stores.base import run

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
JOB = Job("a", Task("command", {"command": ["true"]}))
ALL = Policy(("ops",), frozenset(alerts.EVENTS), 300.0)


def counter() -> Any:
    numbers = iter(range(10_000))
    return lambda now: f"i{next(numbers):04}"


def bad(kind: Kind = Kind.FAILED, job_id: str = "a", **values: Any) -> Sign:
    return replace(Sign(job_id, NOW, f"{job_id} {kind}", kind, run_id="r"), **values)


def good(*kinds: Kind, job_id: str = "a") -> Sign:
    return Sign(job_id, NOW, f"{job_id} is well", cures=frozenset(kinds or [Kind.FAILED]), run_id="s")


def events(judgement: alerts.Judgement) -> list[str]:
    return [d.event for d in judgement.deliveries]


def test_a_storm_is_one_message_and_one_recovery() -> None:
    made = judge([*[bad()] * 1000, good(), good()], {}, {"a": ALL}, NOW, counter())
    assert events(made) == ["failed", "recovered"]
    (incident,) = made.incidents
    assert (incident.count, incident.closed_at, incident.run_id) == (1000, NOW, "r")
    assert "1000 times" in str(made.deliveries[1].payload["text"])
    assert {d.incident_id for d in made.deliveries} == {incident.id}


def test_a_known_incident_only_counts_unless_it_is_urgent() -> None:
    first = judge([bad()], {}, {"a": ALL}, NOW, counter())
    standing = {("a", Kind.FAILED): first.incidents[0]}
    later = NOW + timedelta(hours=1)
    again = judge([bad(at=later), bad(at=later, urgent=True)], standing, {"a": ALL}, later, counter())
    assert events(again) == ["failed"]
    assert (again.incidents[0].count, again.incidents[0].last_at, again.incidents[0].told_at) == (3, later, later)
    assert events(judge([bad(urgent=True)], {}, {"a": ALL}, NOW, counter())) == ["failed"]  # told once, not twice


def test_each_channel_is_told_and_only_what_it_is_for() -> None:
    policy = Policy(("ops", "dev"), frozenset({"failed"}), 300.0)
    made = judge([bad(), bad(Kind.LATE), good(*Kind)], {}, {"a": policy}, NOW, counter())
    assert [(d.channel, d.event) for d in made.deliveries] == [("ops", "failed"), ("dev", "failed")]
    assert [i.kind for i in made.incidents] == [Kind.FAILED]
    only_end = Policy(("ops",), frozenset({"recovered"}), 300.0)
    assert events(judge([bad(), good()], {}, {"a": only_end}, NOW, counter())) == ["recovered"]


def test_nobody_is_told_without_a_policy_and_what_stands_is_closed() -> None:
    assert judge([bad(), good()], {}, {"a": None}, NOW, counter()) == alerts.Judgement((), ())
    (incident,) = judge([bad()], {}, {"a": ALL}, NOW, counter()).incidents
    made = judge([good()], {("a", Kind.FAILED): incident}, {}, NOW, counter())
    assert (made.incidents[0].closed_at, made.deliveries) == (NOW, ())


SIGNS = st.lists(
    st.builds(
        lambda job, kind, cures, n: bad(kind, job, count=n) if kind else good(*cures, job_id=job),
        st.sampled_from(["a", "b"]),
        st.none() | st.sampled_from(Kind),
        st.sets(st.sampled_from(Kind), min_size=1),
        st.integers(1, 3),
    ),
    max_size=30,
)


@given(st.lists(SIGNS, max_size=6), st.sets(st.sampled_from(alerts.EVENTS), min_size=1))
def test_incidents_open_once_close_once_and_are_told_once(batches: list[list[Sign]], on: set[str]) -> None:
    policy = Policy(("ops",), frozenset(on), 300.0)
    kept: dict[str, Incident] = {}
    told: list[Delivery] = []
    new_id = counter()
    for signs in batches:
        standing = {(i.job_id, i.kind): i for i in kept.values() if i.closed_at is None}
        made = judge(signs, standing, {"a": policy, "b": policy}, NOW, new_id)
        kept |= {i.id: i for i in made.incidents}
        told += made.deliveries
        open_now = Counter((i.job_id, i.kind) for i in kept.values() if i.closed_at is None)
        assert all(count == 1 for count in open_now.values())
    by_incident = Counter((d.incident_id, d.event) for d in told)
    for incident in kept.values():
        assert incident.kind in policy.kinds
        assert by_incident[incident.id, incident.kind.value] == (1 if incident.kind in on else 0)
        closed = incident.closed_at is not None
        assert by_incident[incident.id, "recovered"] == (1 if closed and "recovered" in on else 0)
    flat = [s for signs in batches for s in signs]
    assert sum(i.count for i in kept.values()) == sum(s.count for s in flat if s.kind in policy.kinds)


def test_policies_come_from_the_job_or_the_defaults() -> None:
    general = Defaults(("ops",), 60.0)
    assert policy_of(JOB, Defaults()) is None
    assert policy_of(JOB, general) == Policy(("ops",), frozenset(alerts.EVENTS), 60.0)
    assert policy_of(replace(JOB, alerts={"channels": [], "on": []}), general) is None
    own = replace(JOB, alerts={"channels": ["dev"], "on": ["late"], "late_after": 0.0})
    assert policy_of(own, general) == Policy(("dev",), frozenset({"late"}), 0.0)
    assert alerts.defaults_of(general.view()) == general


def test_starting_late_or_in_time() -> None:
    begun = run("r", state=State.RUNNING, started_at=NOW, cause=Cause.SCHEDULE)
    late = alerts.begun(replace(begun, due_at=NOW - timedelta(seconds=301)), JOB, ALL)
    assert late is not None
    assert late.kind is Kind.LATE
    in_time = alerts.begun(replace(begun, due_at=NOW - timedelta(seconds=300)), JOB, ALL)
    assert in_time is not None
    assert in_time.cures == {Kind.LATE, Kind.MISSED}
    backfill = replace(begun, due_at=NOW - timedelta(days=9), cause=Cause.BACKFILL)
    assert alerts.begun(backfill, JOB, ALL) is None
    item = replace(begun, due_at=NOW - timedelta(days=9), parent_id="p")
    assert alerts.begun(item, JOB, ALL) is None


def test_waiting_for_others_is_not_lateness() -> None:
    behind = replace(JOB, depends_on=(Dependency("up"),))
    queued = run("r", due_at=NOW - timedelta(hours=9), queued_at=NOW, cause=Cause.DOWNSTREAM)
    assert alerts.waits(queued, behind, ALL, NOW + timedelta(seconds=299)) is None
    assert alerts.waits(queued, behind, ALL, NOW + timedelta(seconds=300)) is not None
    assert alerts.waits(replace(queued, cause=Cause.BACKFILL), behind, ALL, NOW + timedelta(days=1)) is None


def test_ends_that_count() -> None:
    over = run("r", state=State.FAILED, error=Failure("exit_code", "exit code 3"))
    failed = alerts.ended(over, None)
    assert failed is not None
    assert (failed.kind, failed.urgent, "exit code 3" in failed.text) == (Kind.FAILED, False, True)
    paused = alerts.ended(over, "3 runs failed in a row")
    assert paused is not None
    assert (paused.urgent, "paused: 3 runs failed" in paused.text) == (True, True)
    skipped = alerts.ended(run("r", state=State.SKIPPED, reason="deadline"), None)
    assert skipped is not None
    assert skipped.kind is Kind.MISSED
    for other in (State.CANCELLED, State.SKIPPED):
        assert alerts.ended(run("r", state=other, reason="upstream_failed"), None) is None
    assert alerts.ended(replace(over, parent_id="p"), None) is None


@pytest.mark.parametrize(
    ("mode", "runs", "reason", "count"),
    [
        (CatchUpMode.NONE, 0, SkipReason.CATCH_UP, 4),
        (CatchUpMode.LATEST, 1, SkipReason.CATCH_UP, None),  # one run stands for all
        (CatchUpMode.LATEST, 0, SkipReason.CATCH_UP, 4),  # max_age
        (CatchUpMode.ALL, 1, SkipReason.CATCH_UP, 4),  # max_count
        (CatchUpMode.NONE, 0, SkipReason.OVERLAP, None),
        (CatchUpMode.NONE, 0, SkipReason.PAUSED, None),
    ],
)
def test_fires_that_were_given_up(mode: CatchUpMode, runs: int, reason: SkipReason, count: int | None) -> None:
    planned = PlannedRun(Fire(NOW, NOW, None), NOW, True)
    plan = FirePlan([planned] * runs, [PlannedSkip(NOW - timedelta(hours=4), NOW, 4, reason, "too old")])
    sign = alerts.missed(replace(JOB, catch_up=CatchUp(mode)), plan, NOW)
    assert (None if sign is None else sign.count) == count


def test_a_reminder_says_so() -> None:
    (incident,) = judge([bad()], {}, {"a": ALL}, NOW, counter()).incidents
    later = NOW + timedelta(days=1)
    told, out = alerts.remind(incident, ALL, later)
    assert (told.told_at, [d.event for d in out], out[0].payload["reminder"]) == (later, ["failed"], True)
    assert "since 2026-11-20 12:00:00Z" in str(out[0].payload["text"])


def message(**values: Any) -> Delivery:
    made = Delivery("ops", "failed", "a", {"text": "x"}, NOW, NOW + alerts.PATIENCE, NOW, "r", "i", id=7)
    return replace(made, **values)


def test_delays_double_up_to_ten_minutes_for_a_day() -> None:
    record, now = message(), NOW
    waits = []
    while record.state == "pending":
        assert record.next_at is not None
        now = record.next_at
        record = after_try(Report(record, "refused"), now)
        if record.next_at is not None:
            waits.append((record.next_at - now).total_seconds())
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == waits[-1] == 600
    assert (record.state, record.error) == ("given_up", "refused")
    assert timedelta(hours=22) < now - NOW <= timedelta(hours=24)
    assert record.attempts == len(waits) + 1


def test_what_arrived_is_done_and_what_is_hopeless_too() -> None:
    done = after_try(Report(message(attempts=2, error="refused")), NOW)
    assert (done.state, done.delivered_at, done.attempts, done.error) == ("delivered", NOW, 3, None)
    assert after_try(Report(message(), "400", permanent=True), NOW).state == "given_up"
    untried = after_try(Report(message(), "dead", tried=False), NOW)
    assert untried == message()
    old = after_try(Report(message(), "dead", tried=False), NOW + alerts.PATIENCE)
    assert (old.attempts, old.state, old.error) == (0, "given_up", "dead")


def test_a_channel_that_fails_rests_longer_and_longer_up_to_a_minute() -> None:
    failed, gone = Report(message(), "refused"), Report(message(), "dead", tried=False)
    found: dict[str, Rest] = {}
    waits = []
    for _ in range(9):
        found = rests(found, [failed, gone, Report(message(channel="ping:a"), "dead")], NOW)
        waits.append((found["ops"].until - NOW).total_seconds())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert rests(found, [Report(message(), "422", permanent=True)], NOW) == found  # it answers, but not to this
    assert rests(found, [Report(message())], NOW) == {}


def test_a_long_error_is_cut() -> None:
    sign = alerts.ended(run("r", state=State.FAILED, finished_at=NOW, error=Failure("e", "x" * 100_000)), "too often")
    assert sign is not None
    assert len(sign.text) < alerts.MOST_TEXT + 100
    assert sign.text.endswith("…; the job is paused: too often")


def test_a_ping_is_worth_an_hour() -> None:
    ping = alerts.ping(run("r"), "https://hc.example/1", "start", "a started", NOW)
    assert (ping.channel, ping.is_ping, ping.expires_at - NOW) == ("ping:a", True, timedelta(hours=1))
    assert message().key == message(attempts=3).key
    assert message().key != message(id=8).key
