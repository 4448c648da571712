"""Promises about the filtered list of runs."""

from __future__ import annotations

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.model import Task
from gnomon.core.ports import Store
from gnomon.core.records import Cause, RunFilter
from gnomon.core.states import ACTIVE, FINAL, State

from .base import StoreCase, at, ids, job, job_record, put_jobs, put_runs, run, schedule

BUDGET = 20_000


def every_page(store: Store, where: RunFilter, limit: int) -> list[list[str]]:
    """All pages of a list."""
    pages, cursor = [], None
    while True:
        page = store.read(lambda r, cursor=cursor: r.runs(where, limit, cursor))  # type: ignore[misc]
        pages.append(ids(page.items))
        cursor = page.next
        if cursor is None:
            return pages


class ListCases(StoreCase):
    """Order, pages and filters."""

    def test_newest_due_first_and_ties_by_id(self, store: Store) -> None:
        put_runs(store, run("a", 1), run("c", 2), run("b", 2), run("d", 0))
        assert every_page(store, RunFilter(), 10) == [["c", "b", "a", "d"]]

    @pytest.mark.parametrize("where", [RunFilter(), RunFilter(job_id="a"), RunFilter(states=tuple(ACTIVE))])
    def test_pages_neither_repeat_nor_lose_among_ties(self, store: Store, where: RunFilter) -> None:
        put_runs(store, *[run(f"{n:02}", n // 4) for n in range(11)])
        pages = every_page(store, where, 3)
        assert [name for page in pages for name in page] == [f"{n:02}" for n in reversed(range(11))]
        assert [len(page) for page in pages] == [3, 3, 3, 2]

    def test_runs_that_come_meanwhile_do_not_shift_a_page(self, store: Store) -> None:
        put_runs(store, *[run(str(n), n) for n in range(4)])
        first = store.read(lambda r: r.runs(RunFilter(), 2))
        put_runs(store, run("9", 9))
        assert ids(store.read(lambda r: r.runs(RunFilter(), 2, first.next)).items) == ["1", "0"]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (RunFilter(job_id="b"), "21"),
            (RunFilter(job_id="x"), ""),
            (RunFilter(states=(State.FAILED,)), "63"),
            (RunFilter(states=(State.FAILED, State.SKIPPED)), "643"),
            (RunFilter(states=(State.FAILED, State.SUCCEEDED)), "653"),
            (RunFilter(states=(State.QUEUED,)), "21"),
            (RunFilter(states=tuple(ACTIVE)), "721"),
            (RunFilter(states=tuple(FINAL)), "6543"),
            (RunFilter(states=(State.QUEUED,), job_id="b"), "21"),
            (RunFilter(states=tuple(ACTIVE), job_id="a"), "7"),
            (RunFilter(states=(State.FAILED,), job_id="b"), ""),
            (RunFilter(task_types=("http",)), "21"),
            (RunFilter(task_types=("http", "nothing"), states=(State.FAILED,)), ""),
            (RunFilter(labels={"team": "data"}), "31"),
            (RunFilter(labels={"team": "data", "n": "%"}), "1"),
            (RunFilter(since=at(3), until=at(5)), "43"),
            (RunFilter(since=at(6), states=tuple(ACTIVE)), "7"),
            (RunFilter(until=at(2), job_id="b"), "1"),
            (RunFilter(flow_id="5"), "75"),
            (RunFilter(flow_id="5", states=(State.SUCCEEDED,)), "5"),
            (RunFilter(flow_id="4"), "4"),
            (RunFilter(flow_id="x"), ""),
            (RunFilter(schedule_id="a:default"), "43"),
            (RunFilter(schedule_id="gone:default"), "6"),
            (RunFilter(causes=(Cause.MANUAL,)), "7"),
            (RunFilter(causes=(Cause.SCHEDULE,), states=(State.FAILED,), since=at(4)), "6"),
        ],
    )
    def test_run_filters(self, store: Store, where: RunFilter, expected: str) -> None:
        put_jobs(store, "a", job_record(job("b", task=Task("http"))))
        store.write(lambda tx: tx.put_schedules([schedule("a:default")]))
        put_runs(
            store,
            run("1", 1, job_id="b", labels={"team": "data", "n": "%"}),
            run("2", 2, job_id="b", labels={"team": "DATA"}),
            run("3", 3, State.FAILED, schedule_id="a:default", labels={"team": "data"}),
            run("4", 4, State.SKIPPED, schedule_id="a:default"),
            run("5", 5, State.SUCCEEDED),
            run("6", 6, State.FAILED, schedule_id="gone:default"),
            run("7", 7, State.RUNNING, flow_id="5", cause=Cause.MANUAL),
        )
        assert every_page(store, where, 50) == [list(expected)]
        assert [name for page in every_page(store, where, 1) for name in page] == list(expected)

    def test_a_filter_without_an_index_reads_a_bounded_number_of_rows(self, store: Store) -> None:
        many = [run(f"{n:06}", n, State.SUCCEEDED) for n in range(BUDGET + 10)]
        marked = run("marked", -1, State.SUCCEEDED, labels={"x": "y"})
        put_runs(store, marked, *many)
        where = RunFilter(labels={"x": "y"})
        first = store.read(lambda r: r.runs(where, 5))
        assert first.items == ()
        assert first.next is not None
        second = store.read(lambda r: r.runs(where, 5, first.next))
        assert second.items == (marked,)
        assert second.next is None
        near = RunFilter(states=(State.SUCCEEDED,))
        assert len(store.read(lambda r: r.runs(near, 5)).items) == 5

    @pytest.mark.parametrize("cursor", ["x", "WzEsMl0", "WyJhIiwiYiJd"])
    def test_foreign_cursor_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(UsageError) as caught:
            store.read(lambda r: r.runs(RunFilter(), 2, cursor))
        assert caught.value.code == "bad_cursor"
