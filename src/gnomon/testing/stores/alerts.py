"""Promises about incidents, deliveries, and what waits in the queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gnomon.core.alerts import Incident, Kind
from gnomon.core.deliveries import Delivery
from gnomon.core.ports import Store, Transaction
from gnomon.core.records import Cause
from gnomon.core.states import State

from .base import StoreCase, at, put_jobs, put_runs, run


def incident(number: int, job_id: str = "a", kind: Kind = Kind.FAILED, **values: Any) -> Incident:
    """Trouble that began `number` seconds after T0."""
    moment = at(number)
    return replace(Incident(f"i{number}", job_id, kind, moment, moment, 1, "ö failed", moment), **values)


def delivery(due: float | None, channel: str = "ops", **values: Any) -> Delivery:
    """A message to be sent `due` seconds after T0."""
    next_at = None if due is None else at(due)
    made = Delivery(channel, "failed", "a", {"text": "ö"}, at(0), at(86400), next_at, "r1", "i1")
    return replace(made, **values)


class AlertCases(StoreCase):
    """Incidents and deliveries."""

    def test_incidents_newest_first(self, store: Store) -> None:
        full = incident(
            3, kind=Kind.LATE, run_id="r", closed_at=at(9), acknowledged_at=at(8), acknowledged_by="cli:mé", count=7
        )
        store.write(lambda tx: tx.put_incidents([incident(1), incident(2, "b"), full]))
        assert store.read(lambda r: r.incident("i3")) == full
        assert store.read(lambda r: r.incident("i9")) is None
        assert store.read(lambda r: r.incident_by_prefix("i")) == ["i1", "i2"]

        def ids(**where: Any) -> list[str]:
            return [i.id for i in store.read(lambda r: r.incidents(**where)).items]

        assert ids() == ["i3", "i2", "i1"]
        assert ids(is_open=True) == ["i2", "i1"]
        assert ids(is_open=False) == ["i3"]
        assert ids(job_id="a") == ["i3", "i1"]
        first = store.read(lambda r: r.incidents(limit=2))
        assert first.next is not None
        rest = store.read(lambda r: r.incidents(limit=2, cursor=first.next))
        assert ([i.id for i in rest.items], rest.next) == (["i1"], None)

    def test_open_incidents_of_jobs(self, store: Store) -> None:
        one, two, other = incident(1), incident(2, kind=Kind.LATE), incident(3, "b")
        store.write(lambda tx: tx.put_incidents([one, two, other, incident(0, closed_at=at(1))]))
        found = store.read(lambda r: r.open_incidents(["a", "c"]))
        assert found == {("a", Kind.FAILED): one, ("a", Kind.LATE): two}
        store.write(lambda tx: tx.put_incidents([replace(one, closed_at=at(5), count=2)]))
        assert store.read(lambda r: r.open_incidents(["a"])) == {("a", Kind.LATE): two}
        assert store.read(lambda r: r.open_incidents([])) == {}

    def test_one_incident_is_open_for_a_job_and_kind(self, store: Store) -> None:
        store.write(lambda tx: tx.put_incidents([incident(1)]))
        with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the database says)
            store.write(lambda tx: tx.put_incidents([incident(2)]))
        assert [i.id for i in store.read(lambda r: r.incidents()).items] == ["i1"]

    def test_reminders_are_due_where_nobody_acknowledged(self, store: Store) -> None:
        known = incident(1, "b", acknowledged_at=at(2))
        rows = [incident(5), incident(3, "c"), known, incident(0, "d", closed_at=at(1))]
        assert store.read(lambda r: r.next_told_at()) is None
        store.write(lambda tx: tx.put_incidents(rows))
        assert store.read(lambda r: r.next_told_at()) == at(3)
        assert [i.id for i in store.read(lambda r: r.unacknowledged(at(5), 10))] == ["i3", "i5"]
        assert [i.id for i in store.read(lambda r: r.unacknowledged(at(4), 10))] == ["i3"]

    def test_deliveries_wait_until_they_have_arrived(self, store: Store) -> None:
        store.write(lambda tx: tx.insert_deliveries([delivery(5), delivery(2, "b"), delivery(None), delivery(2, "c")]))
        found = store.read(lambda r: r.pending_deliveries(10))
        assert [d.channel for d in found] == ["b", "c", "ops"]
        assert replace(found[0], id=0) == delivery(2, "b")
        assert found[0].id < found[1].id
        assert len(store.read(lambda r: r.pending_deliveries(2))) == 2
        done = replace(found[0], next_at=None, attempts=2, delivered_at=at(9))
        later = replace(found[1], next_at=at(60), attempts=1, error="réfused")
        store.write(lambda tx: tx.update_deliveries([done, later, replace(done, id=999)]))
        assert [d.channel for d in store.read(lambda r: r.pending_deliveries(10))] == ["ops", "c"]
        assert [d for d in store.read(lambda r: r.deliveries_of("i1")) if d.attempts] == [done, later]
        assert store.read(lambda r: r.deliveries_of("i2")) == []

    def test_messages_behind_others_wait_for_them(self, store: Store) -> None:
        rows = [
            delivery(90, event="failed"),
            delivery(1, event="recovered"),
            delivery(2, incident_id="i2"),
            delivery(3, "dev"),
            delivery(4, "ping:a", incident_id=None, event="start"),
            delivery(1, "ping:a", incident_id=None, event="success"),
        ]
        store.write(lambda tx: tx.insert_deliveries(rows))

        def heads(*without: str) -> list[tuple[str, str, str | None]]:
            found = store.read(lambda r: r.pending_deliveries(10, without))
            return [(d.channel, d.event, d.incident_id) for d in found]

        assert heads() == [
            ("ops", "failed", "i2"),
            ("dev", "failed", "i1"),
            ("ping:a", "start", None),
            ("ops", "failed", "i1"),
        ]
        assert heads("ops", "ping:a", "x") == [("dev", "failed", "i1")]
        first = store.read(lambda r: r.deliveries_of("i1"))[0]
        store.write(lambda tx: tx.update_deliveries([replace(first, next_at=None, delivered_at=at(1))]))
        assert heads("dev", "ping:a") == [("ops", "recovered", "i1"), ("ops", "failed", "i2")]

    def test_what_was_given_up_is_not_revived_but_may_have_arrived(self, store: Store) -> None:
        pings = [delivery(1, "ping:a", incident_id=None, event=event) for event in ("start", "success", "start")]
        store.write(lambda tx: tx.insert_deliveries(pings))
        store.write(lambda tx: tx.supersede_pings([("ping:a", "start"), ("ping:b", "success")], "newer"))
        (left,) = store.read(lambda r: r.pending_deliveries(9))
        assert left.event == "success"
        gone = replace(left, id=left.id - 1, event="start")
        store.write(lambda tx: tx.update_deliveries([replace(gone, next_at=at(5), attempts=1, error="refused")]))
        assert store.read(lambda r: r.pending_deliveries(9)) == [left]
        store.write(lambda tx: tx.insert_deliveries([delivery(None)]))
        (alert,) = store.read(lambda r: r.deliveries_of("i1"))
        store.write(lambda tx: tx.update_deliveries([replace(alert, delivered_at=at(5), attempts=1)]))
        assert store.read(lambda r: r.deliveries_of("i1")) == [replace(alert, delivered_at=at(5), attempts=1)]

    def test_what_does_not_arrive(self, store: Store) -> None:
        rows = [
            delivery(1, "waits"),
            delivery(1, "tried", attempts=1, error="refused"),
            delivery(None, "given up", error="refused"),
            delivery(None, "arrived", delivered_at=at(2)),
            delivery(None, "ping:a", incident_id=None),
            delivery(None, "old", created_at=at(-9)),
        ]
        store.write(lambda tx: tx.insert_deliveries(rows))
        assert [d.channel for d in store.read(lambda r: r.troubled_deliveries(at(0), 9))] == ["given up", "tried"]
        assert [d.channel for d in store.read(lambda r: r.troubled_deliveries(at(0), 1))] == ["given up"]

    def test_open_incidents_of_retired_jobs(self, store: Store) -> None:
        put_jobs(store, "a", "b")
        store.write(lambda tx: tx.put_incidents([incident(1), incident(2, "b"), incident(0, "b", closed_at=at(3))]))
        record = store.read(lambda r: r.job("b"))
        assert record is not None
        store.write(lambda tx: tx.update_job(replace(record, retired_at=at(5))))
        assert [i.id for i in store.read(lambda r: r.orphaned_incidents(9))] == ["i2"]

    def test_what_is_old_and_over_is_pruned(self, store: Store) -> None:
        rows = [incident(1, closed_at=at(2)), incident(3, "b"), incident(4, "c", last_at=at(500)), incident(600, "d")]
        old, new = delivery(None, created_at=at(1)), delivery(None, created_at=at(600))
        waiting = delivery(1, created_at=at(1))

        def work(tx: Transaction) -> None:
            tx.put_incidents(rows)
            tx.insert_deliveries([old, new, waiting])
            tx.prune(now=at(100), runs_before=at(100), runs_per_job=9, changes_before=at(0), limit=100)

        store.write(work)
        assert [i.id for i in store.read(lambda r: r.incidents()).items] == ["i600", "i4"]
        left = store.read(lambda r: r.deliveries_of("i1"))
        assert [d.created_at for d in left] == [at(600), at(1)]

    def test_a_deleted_job_takes_its_incidents_along(self, store: Store) -> None:
        put_jobs(store, "a", "b")
        store.write(lambda tx: tx.put_incidents([incident(1), incident(2, "b")]))
        store.write(lambda tx: tx.insert_deliveries([delivery(1), delivery(1, job_id="b")]))
        store.write(lambda tx: tx.delete_job("a"))
        assert [i.id for i in store.read(lambda r: r.incidents()).items] == ["i2"]
        assert [d.job_id for d in store.read(lambda r: r.pending_deliveries(9))] == ["b"]

    def test_what_waits_in_the_queue_by_job(self, store: Store) -> None:
        put_runs(
            store,
            run("1", due=5),
            run("2", due=3),
            run("3", due=1, state=State.RUNNING),
            run("4", due=1, attempts=1),
            run("5", due=0, job_id="b", cause=Cause.DOWNSTREAM, queued_at=at(0) + timedelta(seconds=8)),
        )
        assert store.read(lambda r: r.queued_jobs()) == {"a": (2, at(3)), "b": (1, at(8))}
