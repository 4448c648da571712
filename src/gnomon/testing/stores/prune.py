"""Promises about the removal of what is old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gnomon.core.ports import Store
from gnomon.core.records import RunFilter
from gnomon.core.states import ACTIVE, FINAL, State
from gnomon.system.clock import VirtualClock

from .base import StoreCase, at, attempt, ids, job_record, put_jobs, put_runs, run
from .misc import skip

LONG_AGO = -1e9


def prune(
    store: Store, before: float = LONG_AGO, keep: int = 1000, changes: float = LONG_AGO, limit: int = 100
) -> Sequence[tuple[str, int]]:
    """One step."""
    moment: datetime = at(changes)
    return store.write(
        lambda tx: tx.prune(runs_before=at(before), runs_per_job=keep, changes_before=moment, limit=limit)
    )


def left(store: Store) -> str:
    """The runs that are left, newest first."""
    return "".join(ids(store.read(lambda r: r.runs(RunFilter(), 500)).items))


class PruneCases(StoreCase):
    """Retention."""

    def test_old_runs_go_with_their_attempts_and_active_ones_stay(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(
            store, run("1", 1, State.FAILED), run("2", 2), run("3", 3, State.SUCCEEDED), run("4", 4, State.SKIPPED)
        )
        store.write(lambda tx: tx.insert_attempts([attempt("1", 2), attempt("1", 1), attempt("3"), attempt("2")]))
        assert list(prune(store, before=4)) == [("1", 1), ("1", 2), ("3", 1)]
        assert left(store) == "42"
        assert sorted(store.read(lambda r: r.attempts(["1", "2", "3"]))) == ["2"]

    def test_every_active_state_stays(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, *[run(state.value, 0, state) for state in State])
        prune(store, before=99, keep=0)
        kept = store.read(lambda r: r.runs(RunFilter(), 50)).items
        assert {record.state for record in kept} == ACTIVE

    def test_a_step_is_bounded_and_oldest_first(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, *[run(str(n), n, State.SUCCEEDED) for n in range(5)])
        prune(store, before=99, limit=2)
        assert left(store) == "432"
        prune(store, before=99, limit=2)
        prune(store, before=99, limit=2)
        assert left(store) == ""

    def test_beyond_the_newest_of_each_job(self, store: Store) -> None:
        put_jobs(store, "a", "b", "c")
        for offset, name in enumerate("abc"):
            states = [State.SUCCEEDED, State.RUNNING, State.FAILED, State.SUCCEEDED]
            put_runs(store, *[run(f"{name}{n}", n + offset, s, name) for n, s in enumerate(states)])
        store.write(lambda tx: tx.insert_attempts([attempt("a0"), attempt("b2"), attempt("c0")]))
        removed: list[tuple[str, int]] = []
        for _ in range(8):
            removed += prune(store, keep=2, limit=1)
        assert sorted(removed) == [("a0", 1), ("c0", 1)]
        kept = set(ids(store.read(lambda r: r.runs(RunFilter(), 50)).items))
        assert kept == {f"{name}{n}" for name in "abc" for n in (1, 2, 3)}

    def test_many_jobs_all_get_their_turn(self, store: Store) -> None:
        names = [f"j{n:04}" for n in range(600)]
        put_jobs(store, *names)
        put_runs(store, *[run(f"{name}-{n}", n, State.SUCCEEDED, name) for name in names for n in range(2)])
        for _ in range(8):
            prune(store, keep=1, limit=200)
        for name in names:
            found = store.read(lambda r, name=name: r.runs(RunFilter(job_id=name)))  # type: ignore[misc]
            assert ids(found.items) == [f"{name}-1"]

    def test_definitions_stay_while_a_run_or_the_job_refers_to_them(self, store: Store) -> None:
        put_jobs(store, *[job_record("a", version=version) for version in (1, 2, 3, 4)])
        put_runs(store, run("1", 1, State.SUCCEEDED, version=2), run("2", 50, State.SUCCEEDED, version=3))

        def versions() -> list[int]:
            asked = [("a", version) for version in (1, 2, 3, 4)]
            return sorted(version for _, version in store.read(lambda r: r.definitions(asked)))

        prune(store)
        assert versions() == [2, 3, 4]
        prune(store, before=10)
        prune(store, before=10)
        assert versions() == [3, 4]

    def test_old_skips_and_changes(self, store: Store, clock: VirtualClock) -> None:
        for moment in (0, 10, 20):
            store.write(lambda tx, moment=moment: tx.insert_skips([skip(moment, moment + 5)]))  # type: ignore[misc]
            clock.advance(10)
        seqs = [change.seq for change in store.read(lambda r: r.changes(0))]
        prune(store, before=6, changes=10)
        assert len(store.read(lambda r: r.skips("a"))) == 2
        assert [change.seq for change in store.read(lambda r: r.changes(0))] == seqs[1:]

    def test_numbers_of_the_feed_never_begin_anew(self, store: Store) -> None:
        put_runs(store, run("1"))
        put_runs(store, run("2"))
        last = store.read(lambda r: r.last_change())
        prune(store, changes=999)
        assert store.read(lambda r: r.last_change()) >= last
        put_runs(store, run("3"))
        assert store.read(lambda r: r.last_change()) > last

    def test_nothing_to_do_writes_nothing(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, *[run(state.value, 0, state) for state in FINAL])
        prune(store)
        version = store.data_version()
        assert list(prune(store)) == []
        assert store.data_version() == version
