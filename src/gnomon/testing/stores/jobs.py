"""Promises about jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.model import CatchUp, CatchUpMode, Dependency, OnLost, Overlap, Parameter, Rate, Retry, Task, When
from gnomon.core.ports import Store
from gnomon.core.records import JobFilter, Source, SourceKind
from gnomon.core.rules import ScheduleSpec

from .base import StoreCase, at, job, job_record, put_jobs, put_runs, run, schedule

FULL = job(
    "etl/orders",
    task=Task("http", {"url": "http://localhost/ü", "n": [1, 2.5, None, True]}, use="base"),
    description="Überträgt „alles“",
    labels={"team": "data", "tier": "1"},
    schedules=(ScheduleSpec("cron", {"cron": "30 2 * * *"}, "Europe/Berlin", "night", at(0), at(9), 5.0),),
    depends_on=(Dependency("a"), Dependency("b", When.FINISHED)),
    dependency_timeout_s=60.0,
    parameters=(Parameter("n", "integer", 3),),
    for_each=[1, 2],
    timeout_s=5.5,
    restarts=2,
    retry=Retry(delay_s=1.0, on=(1, "ValueError", "timed_out")),
    overlap=Overlap.QUEUE_ALL,
    catch_up=CatchUp(CatchUpMode.ALL, 3600.0, 5),
    pools={"db": 2},
    max_active=3,
    rate=Rate(5, 60.0),
    on_lost=OnLost.FAIL,
    timezone="Europe/Berlin",
)


class JobCases(StoreCase):
    """Jobs, definitions, dependencies."""

    def test_job_comes_back_as_it_was(self, store: Store) -> None:
        record = job_record(FULL, version=7, paused_at=at(1), paused_by="me", pause_reason="why", failure_streak=2)
        put_jobs(store, record)
        assert store.read(lambda r: r.job("etl/orders")) == record
        assert store.read(lambda r: r.definition("etl/orders", 7)) == FULL
        assert store.read(lambda r: r.job("etl")) is None
        assert store.read(lambda r: r.definition("etl/orders", 8)) is None

    def test_insert_replaces_the_row_and_keeps_old_definitions(self, store: Store) -> None:
        put_jobs(store, "a", job_record(job("a", restarts=3), version=2))
        found = store.read(lambda r: r.job("a"))
        assert found is not None
        assert (found.version, found.job.restarts) == (2, 3)
        both = store.read(lambda r: r.definitions([("a", 1), ("a", 2), ("a", 3), ("b", 1)]))
        assert {key: definition.restarts for key, definition in both.items()} == {("a", 1): 0, ("a", 2): 3}
        assert store.read(lambda r: r.definitions([])) == {}

    def test_update_writes_all_but_the_definition(self, store: Store) -> None:
        put_jobs(store, "a")
        changed = job_record(
            "a", paused_at=at(5), paused_by="x", retired_at=at(6), failure_streak=4, source=Source(SourceKind.REST)
        )
        store.write(lambda tx: tx.update_job(changed))
        assert store.read(lambda r: r.job("a")) == changed

    def test_jobs_by_id_has_retired_ones(self, store: Store) -> None:
        put_jobs(store, "a", job_record("b", retired_at=at(1)), "c")
        assert sorted(store.read(lambda r: r.jobs_by_id(["a", "b", "x"]))) == ["a", "b"]
        assert store.read(lambda r: r.jobs_by_id([])) == {}

    def test_pages_by_id(self, store: Store) -> None:
        put_jobs(store, *[f"j{n:02}" for n in (3, 1, 4, 0, 2)])
        first = store.read(lambda r: r.jobs(JobFilter(), 2))
        second = store.read(lambda r: r.jobs(JobFilter(), 2, first.next))
        third = store.read(lambda r: r.jobs(JobFilter(), 2, second.next))
        found = [record.job_id for page in (first, second, third) for record in page.items]
        assert found == ["j00", "j01", "j02", "j03", "j04"]
        assert third.next is None
        assert store.read(lambda r: r.jobs(JobFilter(), 5)).next is None

    @pytest.mark.parametrize("cursor", ["", "?", "bm9uc2Vuc2U", "WzFd", "é"])
    def test_foreign_cursor_is_the_callers_mistake(self, store: Store, cursor: str) -> None:
        with pytest.raises(UsageError) as caught:
            store.read(lambda r: r.jobs(JobFilter(), 2, cursor))
        assert caught.value.code == "bad_cursor"

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (JobFilter(), "abc"),
            (JobFilter(retired=None), "abcd"),
            (JobFilter(retired=True), "d"),
            (JobFilter(job_ids=("a", "c", "d", "x")), "ac"),
            (JobFilter(task_types=("http",)), "b"),
            (JobFilter(task_types=("http", "nothing")), "b"),
            (JobFilter(labels={"team": "data"}), "ab"),
            (JobFilter(labels={"team": "data", "tier": "1"}), "b"),
            (JobFilter(labels={"team": "DATA"}), ""),
            (JobFilter(labels={"team": "d%"}), ""),
            (JobFilter(labels={"say": 'a "quote" ü'}), "c"),
            (JobFilter(source=SourceKind.REST), "c"),
            (JobFilter(paused=True), "b"),
            (JobFilter(paused=False), "ac"),
            (JobFilter(enabled=False), "c"),
            (JobFilter(enabled=True, paused=False), "a"),
            (JobFilter(due_from=at(10)), "b"),
            (JobFilter(due_until=at(10)), "a"),
            (JobFilter(due_from=at(5), due_until=at(10)), "a"),
            (JobFilter(due_from=at(6), due_until=at(10)), ""),
        ],
    )
    def test_job_filters(self, store: Store, where: JobFilter, expected: str) -> None:
        put_jobs(
            store,
            job_record(job("a", labels={"team": "data"})),
            job_record(job("b", labels={"team": "data", "tier": "1"}, task=Task("http")), paused_at=at(0)),
            job_record(job("c", enabled=False, labels={"say": 'a "quote" ü'}), source=Source(SourceKind.REST)),
            job_record("d", retired_at=at(0)),
        )
        put_runs(store, run("1", 5, job_id="a"), run("2", 10, job_id="b"))
        found = store.read(lambda r: r.jobs(where))
        assert "".join(record.job_id for record in found.items) == expected

    def test_downstream_is_sorted_and_follows_edits(self, store: Store) -> None:
        on_a = (Dependency("a"),)
        put_jobs(store, "a", job_record(job("c", depends_on=on_a)), job_record(job("b", depends_on=on_a)))
        put_jobs(store, job_record(job("r", depends_on=on_a), retired_at=at(0)))
        put_jobs(store, job_record(job("d", depends_on=(Dependency("b"), Dependency("c")))))
        expected = {"a": ("b", "c"), "b": ("d",)}
        assert store.read(lambda r: r.downstream(["a", "b", "x", "d"])) == expected
        put_jobs(store, job_record("c", version=2))
        assert store.read(lambda r: r.downstream(["a"])) == {"a": ("b",)}

    def test_delete_removes_all_of_it(self, store: Store) -> None:
        put_jobs(store, "a", job_record(job("b", depends_on=(Dependency("a"),))))
        store.write(lambda tx: tx.put_schedules([schedule("b:default"), schedule("a:default")]))
        store.write(lambda tx: tx.delete_job("b"))
        assert store.read(lambda r: r.job("b")) is None
        assert store.read(lambda r: r.definition("b", 1)) is None
        assert store.read(lambda r: r.schedule("b:default")) is None
        assert store.read(lambda r: r.schedule("a:default")) is not None
        assert store.read(lambda r: r.downstream(["a"])) == {}
        store.write(lambda tx: tx.delete_job("b"))

    def test_one_definition_text_is_not_shared_between_versions(self, store: Store) -> None:
        put_jobs(store, job_record("a"), job_record("a", version=2), job_record(job("a", priority=1), version=3))
        kept = store.read(lambda r: r.definitions([("a", 1), ("a", 2), ("a", 3)]))
        assert [kept["a", n].priority for n in (1, 2, 3)] == [0, 0, 1]
        assert replace(kept["a", 3], priority=0) == kept["a", 1]
