"""Promises about the removal of what is old."""

from __future__ import annotations

from datetime import datetime

from gnomon.core.model import Dependency
from gnomon.core.ports import Store
from gnomon.core.records import Cause, Pruned, RunFilter
from gnomon.core.states import ACTIVE, FINAL, State
from gnomon.system.clock import VirtualClock

from .base import StoreCase, at, attempt, ids, job, job_record, put_jobs, put_runs, run
from .misc import skip

LONG_AGO = -1e9


def prune(
    store: Store,
    before: float = LONG_AGO,
    keep: int = 1000,
    changes: float = LONG_AGO,
    limit: int = 100,
    now: float = 1e9,
) -> Pruned:
    """One step."""
    moment: datetime = at(changes)
    return store.write(
        lambda tx: tx.prune(now=at(now), runs_before=at(before), runs_per_job=keep, changes_before=moment, limit=limit)
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
        assert list(prune(store, before=4).attempts) == [("1", 1), ("1", 2), ("3", 1)]
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

    def test_runs_that_a_wrong_clock_made_push_no_others_out(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, *[run(name, n, State.SUCCEEDED) for n, name in enumerate("1234")])
        put_runs(store, *[run(name, 1000 + n, State.SUCCEEDED) for n, name in enumerate("xyz")])
        prune(store, keep=3, now=500)
        assert left(store) == "zyx432"

    def test_beyond_the_newest_of_each_job(self, store: Store) -> None:
        put_jobs(store, "a", "b", "c")
        for offset, name in enumerate("abc"):
            states = [State.SUCCEEDED, State.RUNNING, State.FAILED, State.SUCCEEDED]
            put_runs(store, *[run(f"{name}{n}", n + offset, s, name) for n, s in enumerate(states)])
        store.write(lambda tx: tx.insert_attempts([attempt("a0"), attempt("b2"), attempt("c0")]))
        removed: list[tuple[str, int]] = []
        for _ in range(8):
            removed += prune(store, keep=2, limit=1).attempts
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

    def test_the_store_says_whether_there_is_more(self, store: Store) -> None:
        """Whatever it is that is left: runs without attempts count like others."""
        put_jobs(store, "a", "b")
        put_runs(store, *[run(str(n), n, State.SKIPPED, "ab"[n % 2]) for n in range(9)])
        store.write(lambda tx: tx.insert_attempts([attempt("0")]))
        said = [prune(store, before=99, limit=3) for _ in range(4)]
        assert [one.more for one in said] == [True, True, True, False]
        assert [one.attempts for one in said] == [(("0", 1),), (), (), ()]
        store.write(lambda tx: tx.insert_skips([skip(moment, moment) for moment in range(5)]))
        assert [prune(store, before=99, limit=2).more for _ in range(3)] == [True, True, False]

    def test_what_a_flow_needs_that_is_not_over_stays(self, store: Store) -> None:
        """And what lies behind it in line goes all the same."""
        put_jobs(store, "a", "b")
        for n in range(3):
            put_runs(
                store,
                run(f"r{n}", n, State.SUCCEEDED, "a"),
                run(f"d{n}", n, State.WAITING if n < 2 else State.FAILED, "b", flow_id=f"r{n}", cause=Cause.DOWNSTREAM),
                run(f"e{n}", n, State.SUCCEEDED, "b", flow_id=f"r{n}", cause=Cause.DOWNSTREAM),
            )
        for _ in range(3):
            prune(store, before=99, keep=0, limit=1)
            prune(store, keep=0, limit=1)
        assert sorted(ids(store.read(lambda r: r.runs(RunFilter(), 50)).items)) == ["d0", "d1", "e0", "e1", "r0", "r1"]

    def test_what_an_item_needs_that_is_run_again_stays(self, store: Store) -> None:
        put_jobs(store, "a", "b")
        put_runs(
            store,
            run("r", 0, State.SUCCEEDED, "a"),
            run("p", 0, State.FAILED, "b", flow_id="r", cause=Cause.DOWNSTREAM),
            run("i", 0, State.RUNNING, "b", flow_id="r", parent_id="p", item=1, cause=Cause.DOWNSTREAM),
        )
        prune(store, before=99, keep=0)
        assert store.read(lambda r: r.run("r")) is not None
        assert store.read(lambda r: r.run("p")) is not None

    def test_what_a_job_below_would_look_for_in_other_flows_stays(self, store: Store) -> None:
        """Of an upstream with a schedule of its own: the runs up to the one that waits, not all of them."""
        below = job("b", depends_on=(Dependency("a"),))
        put_jobs(store, "a", job_record(below))
        put_runs(store, *[run(f"{n:03}", n, State.SUCCEEDED, "a") for n in range(400)])
        put_runs(store, run("w", 200, State.WAITING, "b"))
        for _ in range(9):
            prune(store, keep=3)
        left = [int(one.id) for one in store.read(lambda r: r.runs(RunFilter(job_id="a"), 500)).items]
        assert left == [399, 398, 397, *range(200, 100, -1)]

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
        assert list(prune(store).attempts) == []
        assert store.data_version() == version
