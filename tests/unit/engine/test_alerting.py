"""From what happens to jobs to messages, on virtual time: the real engine, store and outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gnomon.core.alerts import Kind
from gnomon.testing.virtual import VirtualScheduler

ALERTS: Mapping[str, Any] = {
    "default": ["ops"],
    "late_after": "5m",
    "ops": {"type": "webhook", "url": "https://example.org/hook"},
}


def scheduler(**more: Any) -> VirtualScheduler:
    return VirtualScheduler("2030-01-01T00:00:00Z", alerts={**ALERTS, **more.pop("alerts", {})}, **more)


def told(virtual: VirtualScheduler) -> list[str]:
    return [f"{a['job_id']} {a['event']}" for a in virtual.alerts]


def test_a_storm_of_failures_is_one_message_and_its_end_another() -> None:
    virtual = scheduler()
    virtual.add_job("a", interval=60)
    virtual.when("a", fails=True)
    virtual.advance(minutes=1000)
    assert told(virtual) == ["a failed"]
    (first,) = virtual.alerts
    assert first["run"]["state"] == "failed"  # type: ignore[index, call-overload]
    assert (first["channel"], first["incident"]["count"]) == ("ops", 1)  # type: ignore[index, call-overload]
    virtual.when("a", fails=0)
    virtual.advance(minutes=10)
    assert told(virtual) == ["a failed", "a recovered"]
    assert "1000 times" in str(virtual.alerts[1]["text"])
    virtual.when("a", fails=True)
    virtual.advance(minutes=1)
    assert told(virtual) == ["a failed", "a recovered", "a failed"]
    assert virtual.alerts[2]["incident"]["id"] != first["incident"]["id"]  # type: ignore[index, call-overload]


def test_attempts_that_are_tried_again_are_no_failure() -> None:
    virtual = scheduler()
    virtual.add_job("a", interval=600, restarts=2, retry={"delay": 1})
    virtual.when("a", fails=2)
    virtual.advance(minutes=60)
    assert told(virtual) == []


def test_pausing_is_told_although_the_failure_is_known() -> None:
    virtual = scheduler()
    virtual.add_job("a", interval=60, pause_after=3)
    virtual.when("a", fails=True)
    virtual.advance(minutes=30)
    assert told(virtual) == ["a failed", "a failed"]
    assert "the job is paused: 3 runs failed in a row" in str(virtual.alerts[1]["text"])


def test_a_job_says_whom_and_about_what() -> None:
    virtual = scheduler()
    virtual.add_job("quiet", interval=60, alerts="none")
    virtual.add_job("own", interval=60, alerts={"channels": ["dev", "ops"], "on": ["recovered"]})
    for job in ("quiet", "own"):
        virtual.when(job, fails=1)
    virtual.advance(minutes=1)
    virtual.when("own", fails=0)
    virtual.advance(minutes=1)
    assert [(a["channel"], a["event"]) for a in virtual.alerts] == [("dev", "recovered"), ("ops", "recovered")]


def test_nobody_is_told_where_nothing_was_said() -> None:
    virtual = VirtualScheduler("2030-01-01T00:00:00Z")
    virtual.add_job("a", interval=60)
    virtual.when("a", fails=True)
    virtual.advance(minutes=5)
    assert virtual.alerts == []


def test_a_run_that_finds_no_slot_is_late_once() -> None:
    virtual = scheduler(concurrency=1)
    virtual.add_job("long", at="2030-01-01T00:00:30Z")
    virtual.when("long", takes=3600)
    virtual.add_job("short", interval=60, overlap="queue_all")
    virtual.when("short", takes=1)
    virtual.advance(minutes=5)
    assert told(virtual) == []
    virtual.advance(minutes=1, seconds=2)  # due 00:01:00, so late from 00:06:00 on
    assert told(virtual) == ["short late"]
    assert "waits for a free slot" in str(virtual.alerts[0]["text"])
    virtual.advance(minutes=54)  # the others start late one after the other: they only count
    assert told(virtual) == ["short late"]
    virtual.advance(minutes=30)
    assert told(virtual) == ["short late", "short recovered"]
    (incident,) = virtual._store.read(lambda r: r.incidents()).items
    assert (incident.kind, incident.closed_at is not None) == (Kind.LATE, True)
    assert 50 <= incident.count <= 60


def test_a_run_that_starts_late_after_a_downtime_is_late() -> None:
    virtual = scheduler()
    virtual.add_job("a", interval=3600, misfire_grace=60)
    virtual.stop()
    virtual.advance(minutes=90)
    virtual.start()
    assert told(virtual) == ["a late"]
    virtual.advance(minutes=30)
    assert told(virtual) == ["a late", "a recovered"]


def test_fires_missed_in_a_downtime_are_told_at_its_end() -> None:
    virtual = scheduler()
    virtual.add_job("a", interval=3600, catch_up="none")
    virtual.stop()
    virtual.advance(hours=5, minutes=30)
    virtual.start()
    assert told(virtual) == ["a missed"]
    assert "5 times, 2030-01-01 01:00:00Z to 2030-01-01 05:00:00Z" in str(virtual.alerts[0]["text"])
    virtual.run("a")  # by hand: the schedule has not shown yet that it works
    assert told(virtual) == ["a missed"]
    virtual.advance(minutes=31)
    assert told(virtual) == ["a missed", "a recovered"]


def test_a_start_deadline_that_passes_is_a_missed_run() -> None:
    virtual = scheduler(concurrency=1)
    virtual.add_job("long", at="2030-01-01T00:00:30Z")
    virtual.when("long", takes=1800)
    virtual.add_job("short", at="2030-01-01T00:01:00Z", start_deadline=60)
    virtual.advance(minutes=10)
    assert told(virtual) == ["short missed"]


def test_what_stays_open_is_told_again_until_somebody_knows() -> None:
    virtual = scheduler(alerts={"remind": "24h"})
    virtual.add_job("a", at="2030-01-01T01:00:00Z")
    virtual.when("a", fails=True)
    virtual.advance(hours=24)
    assert told(virtual) == ["a failed"]
    virtual.advance(hours=25)
    assert told(virtual) == ["a failed"] * 3
    assert virtual.alerts[1]["reminder"] is True
    from gnomon.operations.alerts import acknowledge_incident

    incident = str(virtual.alerts[0]["incident"]["id"])  # type: ignore[index, call-overload]
    view = acknowledge_incident(virtual._desk, incident)
    assert (view["acknowledged_by"], view["open"]) == ("test", True)
    virtual.advance(hours=100)
    assert told(virtual) == ["a failed"] * 3


def test_only_the_parent_of_a_fan_out_speaks() -> None:
    virtual = scheduler()
    virtual.add_job("a", at="2030-01-01T00:01:00Z", for_each=[1, 2, 3], ping="https://hc.example/1")
    virtual.when("a", fails=True)
    virtual.advance(minutes=5)
    assert [a["event"] for a in virtual.alerts if a["channel"] == "ops"] == ["failed"]
    assert [a["event"] for a in virtual.alerts if a["channel"] == "ping:a"][-1] == "fail"


def test_pings_of_a_run_in_order() -> None:
    virtual = scheduler()
    virtual.add_job("a", interval=60, restarts=1, retry={"delay": 1}, alerts="none", ping="https://hc.example/1")
    virtual.when("a", fails=1)
    virtual.advance(seconds=70)
    virtual.when("a", fails=True)
    virtual.advance(seconds=60)
    assert [(a["channel"], a["event"]) for a in virtual.alerts] == [
        ("ping:a", event) for event in ("start", "success", "start", "fail")
    ]


def test_a_dead_channel_is_tried_again_and_delays_nothing() -> None:
    virtual = scheduler()
    virtual.courier.dead = {"ops"}
    virtual.add_job("a", interval=60)
    virtual.add_job("b", interval=60, alerts="dev")
    virtual.when("a", fails=True)
    virtual.when("b", fails=True)
    virtual.advance(minutes=10)
    assert [a["channel"] for a in virtual.alerts] == ["dev"]
    assert len(virtual.runs("a")) == 10
    tries = [t.key for t in virtual.courier.tries if t.channel == "ops"]
    assert 8 <= len(tries) <= 10
    assert len(set(tries)) == 1
    virtual.courier.dead = set()
    virtual.advance(minutes=20)
    assert told(virtual) == ["b failed", "a failed"]


def test_pings_to_a_dead_watcher_keep_their_order_and_grow_stale() -> None:
    virtual = scheduler()
    virtual.courier.dead = {"ping:a"}
    virtual.add_job("a", at="2030-01-01T00:01:00Z", alerts="none", ping="https://hc.example/1")
    virtual.advance(minutes=30)
    assert {t.event for t in virtual.courier.tries} == {"start"}
    virtual.courier.dead = set()
    virtual.advance(minutes=30)
    assert [a["event"] for a in virtual.alerts] == ["start", "success"]
    virtual.courier.dead = {"ping:a"}
    virtual.run("a")
    virtual.advance(hours=3)
    virtual.courier.dead = set()
    virtual.advance(hours=1)
    assert [a["event"] for a in virtual.alerts] == ["start", "success"]


def test_what_was_decided_before_a_stop_is_sent_after_it() -> None:
    virtual = scheduler()
    virtual.courier.dead = {"ops"}
    virtual.add_job("a", at="2030-01-01T00:01:00Z")
    virtual.when("a", fails=True)
    virtual.advance(minutes=2)
    virtual.stop()
    virtual.advance(hours=3)
    virtual.courier.dead = set()
    virtual.start()
    assert told(virtual) == ["a failed"]


@pytest.mark.parametrize("retired", [True, False])
def test_reminders_stop_with_the_job(retired: bool) -> None:
    virtual = scheduler(alerts={"remind": "1h"})
    virtual.add_job("a", at="2030-01-01T00:01:00Z")
    virtual.when("a", fails=True)
    virtual.advance(minutes=2)
    if retired:
        virtual.remove_job("a")
    virtual.advance(hours=3, minutes=1)
    assert len(virtual.alerts) == (1 if retired else 4)


def test_the_end_of_trouble_never_comes_before_the_trouble() -> None:
    virtual = scheduler()
    virtual.courier.dead = {"ops"}
    virtual.add_job("a", interval=600)
    virtual.when("a", fails=True)
    virtual.advance(minutes=10, seconds=5)
    virtual.when("a", fails=0)
    virtual.advance(minutes=10)
    assert {t.event for t in virtual.courier.tries} == {"failed"}
    virtual.courier.dead = set()
    virtual.advance(minutes=20)
    assert told(virtual) == ["a failed", "a recovered"]


def test_a_dead_channel_with_hundreds_of_messages_is_asked_now_and_then() -> None:
    virtual = scheduler()
    virtual.courier.dead = {"ops"}
    for number in range(400):
        virtual.add_job(f"j{number}", at="2030-01-01T00:01:00Z")
    virtual.add_job("z", at="2030-01-01T00:01:00Z", alerts="dev")
    virtual.when("z", fails=True)
    for number in range(400):
        virtual.when(f"j{number}", fails=True)
    virtual.advance(minutes=1, seconds=1)
    assert told(virtual) == ["z failed"]
    assert len([t for t in virtual.courier.tries if t.channel == "ops"]) <= 200
    virtual.courier.dead = set()
    virtual.advance(minutes=2)
    assert len(virtual.alerts) == 401


def test_reminders_do_not_pile_up_at_a_dead_channel() -> None:
    virtual = scheduler(alerts={"remind": "1h"})
    virtual.courier.dead = {"ops"}
    virtual.add_job("a", at="2030-01-01T00:01:00Z", alerts=["ops", "dev"])
    virtual.when("a", fails=True)
    virtual.advance(hours=5)
    virtual.courier.dead = set()
    virtual.advance(hours=1)
    assert [a["channel"] for a in virtual.alerts].count("dev") >= 5
    assert [a["channel"] for a in virtual.alerts].count("ops") == 1


def test_of_pings_that_wait_only_the_newest_of_each_event_is_left() -> None:
    virtual = scheduler()
    virtual.courier.dead = {"ping:a"}
    virtual.add_job("a", interval=60, alerts="none", ping="https://hc.example/1")
    virtual.advance(minutes=30)
    assert len(virtual._store.read(lambda r: r.pending_deliveries(99))) == 1  # the first of two
    virtual.courier.dead = set()
    virtual.advance(seconds=59)
    assert [a["event"] for a in virtual.alerts] in (["start", "success"], ["success", "start"])


def test_incidents_of_a_job_that_is_gone_or_follows_nothing_any_more_end() -> None:
    virtual = scheduler(concurrency=1)
    virtual.add_job("a", at="2030-01-01T00:01:00Z")
    virtual.add_job("long", at="2030-01-01T00:00:30Z")
    virtual.add_job("late", at="2030-01-01T00:01:00Z")
    virtual.when("a", fails=True)
    virtual.when("long", takes=900)
    virtual.advance(minutes=30)
    assert sorted(told(virtual)) == ["a failed", "a late", "late late"]
    virtual.remove_job("a")
    virtual.add_job("late", at="2030-01-01T01:00:00Z", alerts="none")
    virtual.advance(hours=1)
    assert virtual._store.read(lambda r: r.incidents(is_open=True)).items == ()
    assert len(virtual.alerts) == 3
