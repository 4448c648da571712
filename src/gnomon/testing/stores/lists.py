"""Promises about the filtered list of runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gnomon.core.attempts import Failure
from gnomon.core.errors import UsageError
from gnomon.core.filters import Range
from gnomon.core.model import Task
from gnomon.core.ports import Store
from gnomon.core.records import Cause, RunFilter
from gnomon.core.signatures import signature
from gnomon.core.states import ACTIVE, FINAL, State

from .base import StoreCase, at, ids, job, job_record, put_jobs, put_runs, run, schedule
from .configurations import configuration, put

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
            (RunFilter(schedule_id="a:gone"), "6"),
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
            run("6", 6, State.FAILED, schedule_id="a:gone"),
            run("7", 7, State.RUNNING, flow_id="5", cause=Cause.MANUAL),
        )
        assert every_page(store, where, 50) == [list(expected)]
        assert [name for page in every_page(store, where, 1) for name in page] == list(expected)

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (RunFilter(job_ids=("a", "c")), "87541"),
            (RunFilter(job_ids=("a", "c"), states=(State.FAILED,)), "5"),
            (RunFilter(job_ids=("b", "nothing")), "632"),
            (RunFilter(not_job_ids=("a", "c")), "632"),
            (RunFilter(words=("A",)), "875"),
            (RunFilter(words=("a", "_")), ""),
            (RunFilter(words=("%",)), ""),
            (RunFilter(not_words=("b",)), "87541"),
            (RunFilter(words=("a",), task_types=("http",)), ""),
            (RunFilter(task_types=("http",)), "632"),
            (RunFilter(not_task_types=("http",)), "87541"),
            (RunFilter(timed_out=True), "3"),
            (RunFilter(timed_out=True, states=(State.SKIPPED,)), "83"),
            (RunFilter(timed_out=True, states=(State.SKIPPED, State.CANCELLED)), "83"),
            (RunFilter(timed_out=True, states=(State.SUCCEEDED,)), "6321"),
            (RunFilter(timed_out=True, job_id="a"), ""),
            (RunFilter(states=tuple(s for s in State if s is not State.SUCCEEDED)), "87543"),
            (RunFilter(states=tuple(s for s in State if s is not State.SUCCEEDED), job_id="a"), "875"),
            (RunFilter(states=(State.RUNNING, State.FAILED), job_id="a"), "75"),
            (RunFilter(errors=("TIMED",)), "3"),
            (RunFilter(errors=("over 1", "host")), "753"),
            (RunFilter(errors=("host",), job_id="a"), "75"),
            (RunFilter(errors=("host",), states=(State.FAILED,)), "5"),
            (RunFilter(errors=("%",)), ""),
            (RunFilter(not_errors=("host",)), "864321"),
            (RunFilter(signature=signature(Failure("refused", "no such host 17"))), "75"),
            (RunFilter(signature="0"), ""),
            (RunFilter(duration_s=Range(low=2.0)), "63"),
            (RunFilter(duration_s=Range(low=2.0, low_open=True)), "6"),
            (RunFilter(duration_s=Range(1.0, 2.0)), "31"),
            (RunFilter(duration_s=Range(1.0, 2.0, high_open=True)), "1"),
            (RunFilter(duration_s=Range(low=2.0), job_id="b"), "63"),
            (RunFilter(lateness_s=Range(high=5.0)), "1"),
            (RunFilter(lateness_s=Range(low=5.0, low_open=True), job_id="b"), "2"),
            (RunFilter(configuration=("orders", None)), "63"),
            (RunFilter(configuration=("orders", 2)), "6"),
            (RunFilter(configuration=("orders", None), states=(State.FAILED,)), "3"),
            (RunFilter(configuration=("orders", None), job_id="a"), ""),
            (RunFilter(configuration=("nothing", None)), ""),
            (RunFilter(actor="cli"), "42"),
            (RunFilter(actor="cli:alice"), "4"),
            (RunFilter(causes=(Cause.MANUAL, Cause.BACKFILL)), "42"),
            (RunFilter(not_labels=(("team", "data"),)), "876542"),
            (RunFilter(labels={"team": "da_a"}), ""),
            (RunFilter(labels={"a%": "\"'"}), "2"),
        ],
    )
    def test_more_run_filters(self, store: Store, where: RunFilter, expected: str) -> None:
        put_jobs(store, "a", job_record(job("b", task=Task("http"))), "c")
        put(store, configuration("orders", 1), configuration("orders", 2))
        refused = Failure("refused", "no such host 3")
        timeout = Failure("timed_out", "over 1 s")
        over = {"duration_s": 2.0, "lateness_s": None}
        put_runs(
            store,
            run("1", 1, State.SUCCEEDED, job_id="c", labels={"team": "data"}, duration_s=1.0, lateness_s=0.5),
            run("2", 2, State.SUCCEEDED, job_id="b", actor="cli:bob", cause=Cause.MANUAL, lateness_s=9.0),
            run("3", 3, State.FAILED, job_id="b", error=timeout, labels={"team": "data"}, **over),
            run("4", 4, State.QUEUED, job_id="c", actor="cli:alice", cause=Cause.BACKFILL),
            run("5", 5, State.FAILED, error=refused),
            run("6", 6, State.SUCCEEDED, job_id="b", duration_s=300.0, configuration=("orders", 2)),
            run("7", 7, State.RUNNING, error=refused),
            run("8", 8, State.SKIPPED, labels={"x": "y"}),
        )
        changed = store.read(lambda r: r.runs_by_id(["2", "3"]))
        two = replace(changed["2"], labels={"a%": "\"'"})
        three = replace(changed["3"], configuration=("orders", 1))
        assert not store.write(lambda tx: tx.update_runs([(two, two.state), (three, three.state)]))
        assert every_page(store, where, 50) == [list(expected)]
        assert [name for page in every_page(store, where, 1) for name in page] == list(expected)
        assert store.read(lambda r: r.count_runs(where, 50)) == (len(expected), True)
        if len(expected) > 1:
            assert store.read(lambda r: r.count_runs(where, 1)) == (1, False)

    def test_a_filter_without_an_index_reads_a_bounded_number_of_rows(self, store: Store) -> None:
        many = [run(f"{n:06}", n, State.SUCCEEDED) for n in range(BUDGET + 10)]
        marked = run("marked", -1, State.SUCCEEDED, labels={"x": "y"})
        put_runs(store, marked, *many)
        where = RunFilter(labels={"x": "y"})
        first = store.read(lambda r: r.runs(where, 5))
        assert first.items == ()
        assert first.next is not None
        assert first.partial
        second = store.read(lambda r: r.runs(where, 5, first.next))
        assert second.items == (marked,)
        assert (second.next, second.partial) == (None, False)
        assert store.read(lambda r: r.count_runs(where, 5)) == (0, False)
        near = RunFilter(states=(State.SUCCEEDED,))
        assert len(store.read(lambda r: r.runs(near, 5)).items) == 5

    def test_a_cursor_belongs_to_its_list_and_filter_but_not_to_its_times(self, store: Store) -> None:
        put_runs(store, *[run(f"{n}", n) for n in range(4)])
        cursor = store.read(lambda r: r.runs(RunFilter(job_id="a", since=at(0)), 2)).next
        assert cursor is not None
        later = RunFilter(job_id="a", since=at(1))
        assert ids(store.read(lambda r: r.runs(later, 2, cursor)).items) == ["1"]
        for foreign in (RunFilter(), RunFilter(job_id="b")):
            with pytest.raises(UsageError) as caught:
                store.read(lambda r, foreign=foreign: r.runs(foreign, 2, cursor))  # type: ignore[misc]
            assert caught.value.code == "bad_cursor"
        for changed in (cursor[:-2] + "AA", cursor[1:], cursor + "A", cursor.swapcase(), "\udcff", "A" * 5000):
            with pytest.raises(UsageError):
                store.read(lambda r, changed=changed: r.runs(RunFilter(job_id="a"), 2, changed))  # type: ignore[misc]

    @pytest.mark.parametrize("cursor", ["x", "WzEsMl0", "WyJhIiwiYiJd"])
    def test_foreign_cursor_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(UsageError) as caught:
            store.read(lambda r: r.runs(RunFilter(), 2, cursor))
        assert caught.value.code == "bad_cursor"
