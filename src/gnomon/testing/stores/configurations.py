"""Promises about configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gnomon.core.configurations import KEPT_VERSIONS, ConfigurationRecord, ConfigurationVersion
from gnomon.core.model import Task
from gnomon.core.ports import Store
from gnomon.core.records import Source, SourceKind
from gnomon.core.states import State

from .base import StoreCase, at, job, job_record, put_jobs, put_runs, run


def configuration(name: str = "c", version: int = 1, **values: Any) -> ConfigurationRecord:
    """A small configuration."""
    source = Source(SourceKind.FILE, "/jobs/c.yaml")
    base = ConfigurationRecord(name, version, source, at(0), at(version), "http", {"url": "http://x/ü", "n": version})
    return replace(base, **values)


def put(store: Store, *records: ConfigurationRecord) -> None:
    """Write these."""

    def work(tx: Any) -> None:
        for record in records:
            tx.put_configuration(record, "me")

    store.write(work)


def versions(store: Store, name: str = "c", limit: int = 500) -> Sequence[int]:
    """Those kept, newest first."""
    return [kept.version for kept in store.read(lambda r: r.configuration_history(name, limit))]


class ConfigurationCases(StoreCase):
    """Configurations, their history, and who uses them."""

    def test_configuration_comes_back_as_it_was(self, store: Store) -> None:
        bare = configuration("bare", type=None, arguments={}, source=Source(SourceKind.PYTHON))
        put(store, configuration(), bare)
        assert store.read(lambda r: r.configuration("c")) == configuration()
        assert store.read(lambda r: r.configuration("bare")) == bare
        assert store.read(lambda r: r.configuration("x")) is None
        assert list(store.read(lambda r: r.configuration_names())) == ["bare", "c"]

    def test_versions_stay_as_they_were(self, store: Store) -> None:
        put(store, configuration(), configuration(version=2), configuration(version=2, arguments={"n": 9}))
        assert versions(store) == [2, 1]
        assert versions(store, limit=1) == [2]
        kept = store.read(lambda r: r.configuration_version("c", 2))
        assert kept == ConfigurationVersion("c", 2, at(2), "me", "http", {"url": "http://x/ü", "n": 2})
        assert store.read(lambda r: r.configuration_version("c", 3)) is None

    def test_pages_of_configurations_by_name(self, store: Store) -> None:
        put(store, *[configuration(name) for name in "cab"])
        first = store.read(lambda r: r.configurations(2))
        second = store.read(lambda r: r.configurations(2, first.next))
        assert [c.name for c in first.items] == ["a", "b"]
        assert [c.name for c in second.items] == ["c"]
        assert second.next is None

    def test_users_are_jobs_that_are_not_retired(self, store: Store) -> None:
        task = Task("http", {}, use="c")
        put_jobs(store, job_record(job("b", task=task)), job_record(job("a", task=task)), "x")
        put_jobs(store, job_record(job("r", task=task), retired_at=at(1)))
        assert store.read(lambda r: r.configuration_users(["c", "d"])) == {"c": ("a", "b")}
        put_jobs(store, job_record("a", version=2))
        assert store.read(lambda r: r.configuration_users(["c"])) == {"c": ("b",)}
        assert store.read(lambda r: r.configuration_users([])) == {}

    def test_old_versions_go_unless_a_run_refers_to_them(self, store: Store) -> None:
        put(store, *[configuration(version=n) for n in range(1, KEPT_VERSIONS + 6)])
        put_jobs(store, "a")
        put_runs(store, run("1", state=State.SUCCEEDED, configuration=("c", 3)))
        assert store.write(lambda tx: tx.prune_configurations(2)) == 2
        assert store.write(lambda tx: tx.prune_configurations(100)) == 2
        assert versions(store) == [*range(KEPT_VERSIONS + 5, 5, -1), 3]
        assert store.write(lambda tx: tx.prune_configurations(100)) == 0

    def test_a_deleted_one_leaves_what_runs_refer_to(self, store: Store) -> None:
        put(store, configuration(), configuration(version=2), configuration("d"))
        put_jobs(store, "a")
        put_runs(store, run("1", state=State.SUCCEEDED, configuration=("c", 1)))
        store.write(lambda tx: tx.delete_configuration("c"))
        store.write(lambda tx: tx.delete_configuration("c"))
        assert store.read(lambda r: r.configuration("c")) is None
        store.write(lambda tx: tx.prune_configurations(100))
        assert versions(store) == [1]
        assert versions(store, "d") == [1]
