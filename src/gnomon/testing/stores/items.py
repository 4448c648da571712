"""Promises about `for_each` runs and their items, and about what counts beside them."""

from __future__ import annotations

from typing import Any

from gnomon.core.fanout import PARENTS
from gnomon.core.ports import Store
from gnomon.core.records import Activity, Cause, RunFilter, RunRecord
from gnomon.core.states import State

from .base import StoreCase, attempt, ids, put_jobs, put_runs, run
from .prune import left, prune


def item(run_id: str, parent: str, state: State = State.QUEUED, **values: Any) -> RunRecord:
    """An item of a run that is its own flow."""
    return run(run_id, 0, state, **{"flow_id": parent, "parent_id": parent, "item": run_id, **values})


class ItemCases(StoreCase):
    """Items belong to their parent, in every question."""

    def test_a_flow_and_lists_leave_items_out(self, store: Store) -> None:
        put_runs(store, run("p", state=State.RUNNING), run("q", flow_id="p", state=State.WAITING))
        put_runs(store, item("2", "p", State.SUCCEEDED), item("1", "p"), item("9", "q", flow_id="p"))
        assert ids(store.read(lambda r: r.flow("p"))) == ["p", "q"]
        assert store.read(lambda r: r.waiting_flows(["p"])) == {"p"}
        for where in (RunFilter(), RunFilter(job_id="a"), RunFilter(flow_id="p")):
            assert ids(store.read(lambda r, where=where: r.runs(where)).items) == ["q", "p"]  # type: ignore[misc]
        assert ids(store.read(lambda r: r.runs(RunFilter(states=(State.QUEUED,)))).items) == []

    def test_items_of_a_run(self, store: Store) -> None:
        put_runs(store, run("p", state=State.RUNNING), run("q"))
        put_runs(store, item("2", "p", State.SUCCEEDED), item("1", "p"), item("3", "p"), item("9", "q"))
        assert ids(store.read(lambda r: r.items("p"))) == ["1", "2", "3"]
        assert store.read(lambda r: r.items("none")) == []
        assert ids(store.read(lambda r: r.runs(RunFilter(parent_id="p"))).items) == ["3", "2", "1"]
        assert ids(store.read(lambda r: r.runs(RunFilter(parent_id="p", states=(State.QUEUED,)))).items) == ["3", "1"]
        counts = store.read(lambda r: r.item_counts(["p", "q", "none"]))
        assert counts == {"p": {State.QUEUED: 2, State.SUCCEEDED: 1}, "q": {State.QUEUED: 1}}
        assert store.read(lambda r: r.item_counts([])) == {}

    def test_items_go_with_their_run(self, store: Store) -> None:
        put_runs(store, run("p", state=State.FAILED), item("1", "p"), item("2", "p"), run("q"), item("9", "q"))
        store.write(lambda tx: tx.insert_attempts([attempt("1"), attempt("9")]))
        store.write(lambda tx: tx.delete_runs(["p"]))
        assert sorted(store.read(lambda r: r.runs_by_id(["p", "1", "2", "q", "9"]))) == ["9", "q"]
        assert sorted(store.read(lambda r: r.attempts(["1", "9"]))) == ["9"]

    def test_activity_tells_parents_items_and_backfills_apart(self, store: Store) -> None:
        put_runs(
            store,
            run("p", state=State.RUNNING, queue=PARENTS),
            run("p2", state=State.QUEUED, queue=PARENTS),
            item("1", "p"),
            item("2", "p", State.RUNNING),
            item("3", "p", State.RETRY_WAIT),
            item("4", "p", State.SUCCEEDED),
            run("b1", cause=Cause.BACKFILL),
            run("b2", state=State.RUNNING, cause=Cause.BACKFILL),
            run("b3", state=State.SCHEDULED, cause=Cause.BACKFILL),
            run("n", state=State.RUNNING),
        )
        found = store.read(lambda r: r.activity(["a"]))["a"]
        assert found == Activity(
            scheduled=1,
            queued=3,
            running=4,
            retry_wait=1,
            items_pending=1,
            items_started=2,
            parents=1,
            backfill_pending=1,
            backfill_started=1,
        )
        assert (found.pending, found.started, found.performing, found.busy) == (1, 3, 3, True)

    def test_a_backfill_alone_does_not_make_a_job_busy(self, store: Store) -> None:
        put_runs(store, run("b1", cause=Cause.BACKFILL), run("b2", state=State.RUNNING, cause=Cause.BACKFILL))
        found = store.read(lambda r: r.activity(["a"]))["a"]
        assert (found.busy, found.started) == (False, 1)

    def test_retention_counts_runs_not_items_and_takes_them_together(self, store: Store) -> None:
        put_jobs(store, "a")
        for name in "pq":
            put_runs(store, run(name, ord(name), State.SUCCEEDED))
            put_runs(store, *[item(f"{name}{n}", name, State.SUCCEEDED) for n in range(5)])
        store.write(lambda tx: tx.insert_attempts([attempt("p1"), attempt("q1")]))
        prune(store, keep=2)
        assert len(store.read(lambda r: r.items("p"))) == 5, "two runs are kept, however many items"
        assert list(prune(store, keep=1).attempts) == [("p1", 1)]
        assert left(store) == "q"
        assert store.read(lambda r: r.items("p")) == []
        assert len(store.read(lambda r: r.items("q"))) == 5

    def test_the_removal_of_many_items_is_bounded(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, run("p", 0, State.SUCCEEDED), *[item(f"p{n}", "p", State.SUCCEEDED) for n in range(7)])
        seen = []
        for _ in range(4):
            prune(store, before=99, limit=3)
            seen.append((len(store.read(lambda r: r.items("p"))), left(store)))
        assert seen == [(4, "p"), (1, "p"), (0, ""), (0, "")]

    def test_a_run_with_an_item_at_work_stays(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, run("p", 0, State.FAILED), item("p1", "p", State.RUNNING), item("p2", "p", State.FAILED))
        prune(store, before=99, keep=0)
        assert left(store) == "p"
        assert len(store.read(lambda r: r.items("p"))) == 2
