"""Promises about skips, nodes, files, settings, pools, audit and the feed of changes."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.ports import Store, Transaction
from gnomon.core.records import (
    AuditRecord,
    FileRecord,
    LeaderRecord,
    NodeRecord,
    SkipReason,
    SkipRecord,
)
from gnomon.core.states import State
from gnomon.system.clock import VirtualClock

from .base import StoreCase, at, attempt, job_record, put_jobs, put_runs, run, schedule


def skip(first: float, last: float | None = None, schedule_id: str = "a:default") -> SkipRecord:
    """Fire times from `first` to `last` that make no run."""
    end = first if last is None else last
    job_id = schedule_id.partition(":")[0]
    return SkipRecord(schedule_id, job_id, at(first), at(end), 3, SkipReason.PAUSED, "by mé", at(99))


def node(node_id: str, **values: object) -> NodeRecord:
    """A node that lives."""
    return replace(NodeRecord(node_id, "host", 1, "boot", None, at(0), at(30), 10, "1.0"), **values)  # type: ignore[arg-type]


class MiscCases(StoreCase):
    """The small tables."""

    def test_skips_newest_first_where_they_touch(self, store: Store) -> None:
        store.write(lambda tx: tx.insert_skips([skip(0, 10), skip(20), skip(30, 40), skip(5, schedule_id="b:x")]))

        def firsts(**bounds: object) -> list[float]:
            found = store.read(lambda r: r.skips("a", **bounds))  # type: ignore[arg-type]
            return [(record.first_at - at(0)).total_seconds() for record in found]

        assert firsts() == [30, 20, 0]
        assert firsts(limit=2) == [30, 20]
        assert firsts(since=at(10)) == [30, 20, 0]
        assert firsts(since=at(11)) == [30, 20]
        assert firsts(until=at(30)) == [30, 20, 0]
        assert firsts(since=at(35), until=at(36)) == [30]
        assert firsts(since=at(11), until=at(19)) == []
        (record,) = store.read(lambda r: r.skips("b"))
        assert replace(record, id=0) == skip(5, schedule_id="b:x")
        assert record.id > 0

    def test_a_skip_is_decided_once(self, store: Store) -> None:
        store.write(lambda tx: tx.insert_skips([skip(0)]))
        store.write(lambda tx: tx.insert_skips([replace(skip(0), count=9), skip(1), skip(1)]))
        assert [record.count for record in store.read(lambda r: r.skips("a"))] == [3, 3]

    def test_of_two_skips_from_one_fire_on_the_one_that_reaches_further_stays(self, store: Store) -> None:
        store.write(lambda tx: tx.insert_skips([skip(0, 10)]))
        further = replace(skip(0, 50), count=6, reason=SkipReason.CATCH_UP, detail="longer")
        store.write(lambda tx: tx.insert_skips([further]))
        store.write(lambda tx: tx.insert_skips([skip(0, 20)]))
        (record,) = store.read(lambda r: r.skips("a"))
        assert replace(record, id=0) == further

    def test_nodes_that_live_or_stopped_lately(self, store: Store, clock: VirtualClock) -> None:
        full = node("b", lock_path="/run/x", stopped_at=at(5))

        def work(tx: Transaction) -> None:
            for record in (full, node("a"), node("c", stopped_at=at(-86_401))):
                tx.put_node(record)

        store.write(work)
        assert list(store.read(lambda r: r.nodes())) == [node("a"), full]
        store.write(lambda tx: tx.put_node(node("a", lease_until=at(60))))
        clock.advance(86_406)
        assert list(store.read(lambda r: r.nodes())) == [node("a", lease_until=at(60))]

    def test_leader(self, store: Store) -> None:
        assert store.read(lambda r: r.leader()) is None
        for epoch in (1, 2):
            record = LeaderRecord(f"n{epoch}", epoch, at(epoch))
            store.write(lambda tx, record=record: tx.put_leader(record))  # type: ignore[misc]
            assert store.read(lambda r: r.leader()) == record

    def test_files_by_path(self, store: Store) -> None:
        bad = FileRecord("/b.yaml", "d1", False, at(1), ({"code": "x", "line": 3, "message": "ü"},))
        store.write(lambda tx: tx.put_files([bad, FileRecord("/a.yaml", "d2", True, at(2))]))
        assert list(store.read(lambda r: r.files())) == [FileRecord("/a.yaml", "d2", True, at(2)), bad]
        store.write(lambda tx: tx.put_files([replace(bad, ok=True, problems=())]))
        store.write(lambda tx: tx.delete_files(["/a.yaml", "/none"]))
        store.write(lambda tx: tx.delete_files([]))
        assert list(store.read(lambda r: r.files())) == [replace(bad, ok=True, problems=())]

    def test_settings(self, store: Store) -> None:
        assert store.read(lambda r: r.setting("x")) is None
        store.write(lambda tx: tx.put_setting("x", "1"))
        store.write(lambda tx: tx.put_setting("x", ""))
        assert store.read(lambda r: r.setting("x")) == ""
        store.write(lambda tx: tx.put_setting("x", None))
        store.write(lambda tx: tx.put_setting("x", None))
        assert store.read(lambda r: r.setting("x")) is None

    def test_pools_by_owner_and_the_smallest_size_counts(self, store: Store) -> None:
        store.write(lambda tx: tx.put_pools({"db": 3, "net": 1}, "/a.yaml"))
        store.write(lambda tx: tx.put_pools({"db": 2}, "settings"))
        assert dict(store.read(lambda r: r.pool_sizes())) == {"db": 2, "net": 1}
        store.write(lambda tx: tx.put_pools({"disk": 5}, "/a.yaml"))
        assert dict(store.read(lambda r: r.pool_sizes())) == {"db": 2, "disk": 5}
        store.write(lambda tx: tx.put_pools({}, "settings"))
        assert dict(store.read(lambda r: r.pool_sizes())) == {"disk": 5}

    def test_audit_newest_first(self, store: Store) -> None:
        records = [AuditRecord(at(n), "me", "pause", f"job:{n}", {"n": [n]}, None) for n in range(3)]
        store.write(lambda tx: tx.add_audit(records))
        assert list(store.read(lambda r: r.audit())) == records[::-1]
        assert list(store.read(lambda r: r.audit(1))) == records[:1:-1]

    def test_each_commit_tells_what_it_touched(self, store: Store, clock: VirtualClock) -> None:
        assert store.read(lambda r: r.last_change()) == 0

        def first(tx: Transaction) -> None:
            tx.insert_job(job_record())
            tx.put_schedules([schedule()])
            tx.insert_runs([run("1"), run("2")])
            tx.update_runs([(run("1", state=State.RUNNING), State.QUEUED)])
            tx.insert_attempts([attempt("1")])

        store.write(first)
        clock.advance(5)

        def second(tx: Transaction) -> None:
            tx.insert_skips([skip(0)])
            tx.put_node(node("n"))
            tx.put_files([])

        store.write(second)
        one, two = store.read(lambda r: r.changes(0))
        assert one.ids == {"jobs": ("a",), "schedules": ("a:default",), "runs": ("1", "2")}
        assert two.ids == {"skips": ("a",), "nodes": ("n",)}
        assert (one.at, two.at) == (at(0), at(5))
        assert two.seq > one.seq
        assert store.read(lambda r: r.last_change()) == two.seq
        assert list(store.read(lambda r: r.changes(one.seq))) == [two]
        assert list(store.read(lambda r: r.changes(0, 1))) == [one]
        assert list(store.read(lambda r: r.changes(two.seq))) == []

    def test_removals_are_changes_too(self, store: Store) -> None:
        put_jobs(store, "a")
        store.write(lambda tx: tx.put_schedules([schedule()]))
        put_runs(store, run("1"))
        last = store.read(lambda r: r.last_change())

        def work(tx: Transaction) -> None:
            tx.delete_runs(["1"])
            tx.delete_job("a")

        store.write(work)
        (change,) = store.read(lambda r: r.changes(last))
        assert change.ids == {"runs": ("1",), "jobs": ("a",), "schedules": ("a:default",)}

    def test_refused_writes_are_no_changes(self, store: Store) -> None:
        put_runs(store, run("1"))
        store.write(lambda tx: tx.insert_skips([skip(0)]))
        last, version = store.read(lambda r: r.last_change()), store.data_version()

        def work(tx: Transaction) -> None:
            assert tx.insert_runs([run("1")])
            assert tx.update_runs([(run("1"), State.RUNNING)])
            assert tx.advance_schedules([schedule()])
            assert tx.update_attempts([attempt("1")])
            tx.insert_skips([skip(0)])
            tx.delete_runs(["9"])
            tx.delete_schedules(["9"])

        store.write(work)
        assert store.read(lambda r: r.last_change()) == last
        assert store.data_version() == version
