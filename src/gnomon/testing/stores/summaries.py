"""Promises about the other lists, about kept counts, and about what dashboards ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gnomon.core.attempts import Failure
from gnomon.core.errors import UsageError
from gnomon.core.filters import ConfigurationFilter, FlowFilter, JobFilter, ScheduleFilter, SkipFilter
from gnomon.core.model import Task
from gnomon.core.ports import Store
from gnomon.core.records import Cause, RunFilter, SkipReason, SkipRecord, Source, SourceKind
from gnomon.core.signatures import signature
from gnomon.core.states import FINAL, State
from gnomon.core.summaries import FailureGroup

from .base import StoreCase, at, attempt, job, job_record, put_jobs, put_runs, run, schedule
from .configurations import configuration, put


def names(store: Store, ask: Callable[[Any, int, str | None], Any], name: Callable[[Any], str]) -> list[str]:
    """The names on all pages of a list, which are the same for pages of any size. `ask`: (reader, limit, cursor)."""
    lists = []
    for limit in (1, 3, 50):
        found, cursor = list[str](), None
        while True:
            page = store.read(lambda r, n=limit, c=cursor: ask(r, n, c))  # type: ignore[misc]
            found += [name(item) for item in page.items]
            cursor = page.next
            if cursor is None:
                break
        lists.append(found)
    assert lists[0] == lists[1] == lists[2]
    return lists[0]


def skip(job_id: str, first: float, last: float, reason: SkipReason = SkipReason.PAUSED, **values: Any) -> SkipRecord:
    """A skip of the job's default entry."""
    base = SkipRecord(f"{job_id}:default", job_id, at(first), at(last), 1, reason, "because", at(last))
    return replace(base, **values)


def naive(store: Store, since: datetime, until: datetime) -> Counter[State]:
    """The runs that are over, counted one by one."""
    found = store.read(lambda r: r.runs(RunFilter(since=since, until=until, states=tuple(FINAL)), 10_000)).items
    return Counter(one.state for one in found)


class SummaryCases(StoreCase):
    """Lists of jobs, schedules, configurations, flows and skips; counts; summaries."""

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (JobFilter(words=("NIGHT",)), ["night/a", "night_b"]),
            (JobFilter(words=("night", "_")), ["night_b"]),
            (JobFilter(not_words=("night",)), ["day"]),
            (JobFilter(not_job_ids=("day",)), ["night/a", "night_b"]),
            (JobFilter(job_ids=("day", "old", "x")), ["day"]),
            (JobFilter(job_ids=("day", "old"), retired=None), ["day", "old"]),
            (JobFilter(retired=True), ["old"]),
            (JobFilter(not_task_types=("http",)), ["day", "night_b"]),
            (JobFilter(configuration="orders"), ["night/a"]),
            (JobFilter(not_labels=(("team", "ops"), ("team", "x"))), ["day", "night_b"]),
            (JobFilter(labels={"team": "ops"}), ["night/a"]),
            (JobFilter(labels={"team": "o_s"}), []),
            (JobFilter(source=SourceKind.REST), ["night_b"]),
        ],
    )
    def test_filters_of_jobs(self, store: Store, where: JobFilter, expected: list[str]) -> None:
        put_jobs(
            store,
            job_record("day"),
            job_record(job("night/a", task=Task("http", use="orders"), labels={"team": "ops"})),
            job_record(job("night_b", labels={"team": "o%s"}), source=Source(SourceKind.REST)),
            job_record("old", retired_at=at(1)),
        )
        assert names(store, lambda r, n, c: r.jobs(where, n, c), lambda item: item.job_id) == expected

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (ScheduleFilter(job_ids=("a", "c")), ["a:default", "a:x", "c:default"]),
            (ScheduleFilter(not_job_ids=("a",)), ["b:default", "c:default"]),
            (ScheduleFilter(words=("DEF",)), ["a:default", "b:default", "c:default"]),
            (ScheduleFilter(not_words=(":def",)), ["a:x"]),
            (ScheduleFilter(job_id="a", paused=True), ["a:x"]),
        ],
    )
    def test_filters_of_schedules(self, store: Store, where: ScheduleFilter, expected: list[str]) -> None:
        put_jobs(store, "a", "b", "c")
        entries = [
            schedule("a:default"),
            schedule("a:x", paused_at=at(0)),
            schedule("b:default"),
            schedule("c:default"),
        ]
        store.write(lambda tx: tx.put_schedules(entries))
        assert names(store, lambda r, n, c: r.schedules(where, n, c), lambda item: item.schedule_id) == expected

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (ConfigurationFilter(), ["a", "b", "c"]),
            (ConfigurationFilter(types=("sql",)), ["b"]),
            (ConfigurationFilter(used=True), ["a"]),
            (ConfigurationFilter(used=False), ["b", "c"]),
            (ConfigurationFilter(source=SourceKind.REST), ["c"]),
            (ConfigurationFilter(words=("B",)), ["b"]),
            (ConfigurationFilter(not_words=("b",), used=False), ["c"]),
        ],
    )
    def test_filters_of_configurations(self, store: Store, where: ConfigurationFilter, expected: list[str]) -> None:
        rest = Source(SourceKind.REST)
        put(store, configuration("a"), configuration("b", type="sql"), configuration("c", source=rest))
        put_jobs(
            store,
            job_record(job("uses", task=Task("http", use="a"))),
            job_record(job("used", task=Task("http", use="c")), retired_at=at(1)),
        )
        assert names(store, lambda r, n, c: r.configurations(n, c, where), lambda item: item.name) == expected

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (FlowFilter(), "531"),
            (FlowFilter(job_id="load"), "51"),
            (FlowFilter(job_id="extract"), ""),
            (FlowFilter(since=at(3)), "53"),
            (FlowFilter(until=at(5)), "31"),
            (FlowFilter(job_id="load", until=at(5)), "1"),
            (FlowFilter(words=("EXTR",)), "51"),
            (FlowFilter(not_words=("extr",)), "3"),
        ],
    )
    def test_flows_of_more_than_one_run_newest_first(self, store: Store, where: FlowFilter, expected: str) -> None:
        roots = {"1": "extract", "2": "alone", "3": "other", "5": "extract"}
        put_runs(store, *[run(name, float(name), State.SUCCEEDED, job_id=job_id) for name, job_id in roots.items()])
        below = {"1": ("load", "report"), "3": ("report",), "5": ("load", "load")}
        for flow_id, job_ids in below.items():
            members = [
                run(f"{flow_id}-{n}", float(flow_id), job_id=job_id, flow_id=flow_id, cause=Cause.DOWNSTREAM)
                for n, job_id in enumerate(job_ids)
            ]
            put_runs(store, *members, run(f"{flow_id}-i", job_id="load", flow_id=flow_id, parent_id=members[0].id))
        assert names(store, lambda r, n, c: r.flow_ids(where, n, c), str) == list(expected)

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (SkipFilter(), [9, 5, 5, 2]),
            (SkipFilter(job_id="a"), [5, 2]),
            (SkipFilter(schedule_id="b:default"), [9, 5]),
            (SkipFilter(reasons=(SkipReason.OVERLAP,)), [9]),
            (SkipFilter(reasons=(SkipReason.PAUSED, SkipReason.OVERLAP), job_id="b"), [9, 5]),
            (SkipFilter(since=at(5)), [9, 5, 5]),
            (SkipFilter(until=at(6)), [9, 5, 5, 2]),
            (SkipFilter(until=at(3)), [5, 2]),
            (SkipFilter(words=("B",)), [9, 5]),
            (SkipFilter(not_words=("b",)), [5, 2]),
        ],
    )
    def test_filters_of_skips(self, store: Store, where: SkipFilter, expected: list[int]) -> None:
        records = [skip("a", 1, 2), skip("a", 2.5, 5), skip("b", 4, 5), skip("b", 5.5, 9, SkipReason.OVERLAP)]
        store.write(lambda tx: tx.insert_skips(records))
        found = names(store, lambda r, n, c: r.skip_page(where, n, c), lambda item: str((item.last_at - at(0)).seconds))
        assert [int(name) for name in found] == expected

    def test_cursors_of_one_list_are_none_of_another(self, store: Store) -> None:
        put_jobs(store, "a", "b")
        store.write(lambda tx: tx.put_schedules([schedule("a:default"), schedule("b:default")]))
        cursor = store.read(lambda r: r.jobs(JobFilter(), 1)).next
        asks: list[Callable[[Any], Any]] = [
            lambda r: r.schedules(ScheduleFilter(), 1, cursor),
            lambda r: r.jobs(JobFilter(words=("a",)), 1, cursor),
            lambda r: r.configurations(1, cursor),
            lambda r: r.flow_ids(FlowFilter(), 1, cursor),
            lambda r: r.skip_page(SkipFilter(), 1, cursor),
            lambda r: r.runs(RunFilter(), 1, cursor),
        ]
        for ask in asks:
            with pytest.raises(UsageError) as caught:
                store.read(ask)
            assert caught.value.code == "bad_cursor"

    def test_kept_counts_are_those_of_the_runs_that_are_there(self, store: Store) -> None:
        day = 86_400.0
        dues: Sequence[float] = (0, 1, 59, 60, 61, day, day + 1, 5 * day, -3 * day)
        put_runs(
            store,
            *[run(f"s{n}", due, State.SUCCEEDED) for n, due in enumerate(dues)],
            *[run(f"q{n}", due) for n, due in enumerate(dues)],
            run("item", 1, State.SUCCEEDED, parent_id="s0"),
        )
        queued = store.read(lambda r: r.runs(RunFilter(states=(State.QUEUED,)), 50)).items
        ended = [(replace(one, state=State.FAILED), State.QUEUED) for one in queued[:6]]
        wrong = (replace(queued[7], state=State.FAILED), State.RUNNING)
        assert store.write(lambda tx: tx.update_runs([*ended, wrong])) == [queued[7].id]
        assert not store.write(lambda tx: tx.update_runs([(one, State.FAILED) for one, _ in ended]))
        refused = store.write(lambda tx: tx.insert_runs([run("again", 0, State.FAILED, run_key="key-s0")]))
        assert refused == ["again"]
        periods = [
            (-day * 9, day * 9),
            (0, 60),
            (0, day),
            (60, day * 2),
            (-day * 3, day * 5),
            (day, day + 60),
            (3600, 3601),
        ]
        for step in range(2):
            for since, until in periods:
                low, high = at(since), at(until)
                whole = high if high.second == 0 else high.replace(second=0) + timedelta(minutes=1)
                kept = store.read(lambda r, a=low, b=whole: r.ended_counts(a, b))  # type: ignore[misc]
                minutes = store.read(lambda r, a=low, b=whole: r.ended_by_bucket(a, b, 60))  # type: ignore[misc]
                assert kept == naive(store, low, whole), (step, since, until)
                assert kept == store.read(lambda r, a=low, b=high: r.ended_counts(a, b))  # type: ignore[misc]
                by_minute: Counter[State] = Counter()
                for (_, state), count in minutes.items():
                    by_minute[state] += count
                assert by_minute == kept
            store.write(lambda tx: tx.delete_runs(["s0", "s7", queued[0].id]))
        gone = datetime(2026, 11, 25, tzinfo=UTC)
        store.write(lambda tx: tx.prune(now=gone, runs_before=gone, runs_per_job=1, changes_before=gone, limit=1000))
        assert store.read(lambda r: r.ended_counts(at(-day * 9), at(day * 9))) == naive(
            store, at(-day * 9), at(day * 9)
        )

    def test_what_dashboards_ask(self, store: Store) -> None:
        error = Failure("exit_code", "it ended with 3")
        put_runs(
            store,
            run("1", 1, State.SUCCEEDED, duration_s=2.0, lateness_s=0.5),
            run("2", 2, State.FAILED, error=error),
            run("3", 3, State.SKIPPED, error=Failure("overlap", "busy")),
            run("4", 4, State.RUNNING, lateness_s=1.5),
            run("5", 5),
            run("6", 6, State.FAILED, job_id="b", error=Failure("exit_code", "it ended with 17")),
            run("7", 0, State.FAILED, parent_id="4", error=error),
            run("8", 0, State.QUEUED, parent_id="4"),
        )
        store.write(lambda tx: tx.insert_attempts([attempt("4"), attempt("8")]))

        def ask(reader: Any) -> tuple[Any, ...]:
            ended, still_open = reader.newest_ended(["a", "x"], 2), reader.newest_open(["a"], 5)
            failures = reader.failure_groups(at(0), at(60), 1), reader.failure_groups(at(0), at(60), 2)
            return (
                ended,
                still_open,
                failures,
                reader.newest_lateness(at(2), at(6), 3),
                reader.open_due(at(0), at(5), 9),
            )

        ended, still_open, failures, lateness, due = store.read(ask)
        assert [(one.id, one.state) for one in ended["a"]] == [("3", State.SKIPPED), ("2", State.FAILED)]
        assert (ended["x"], [one.id for one in still_open["a"]]) == ([], ["5", "4"])
        sign = signature(error)
        newest = FailureGroup(sign, 1, at(6), at(6), "6", frozenset("b"))
        assert failures == (([newest], True), ([FailureGroup(sign, 2, at(2), at(6), "6", frozenset("ab"))], False))
        outcomes = store.read(lambda r: r.newest_outcomes(["a", "x"], 5))
        expected = [(State.SKIPPED, None), (State.FAILED, None), (State.SUCCEEDED, 2.0)]
        assert {job_id: list(some) for job_id, some in outcomes.items()} == {"a": expected, "x": []}
        assert list(lateness) == [None, 1.5, None]
        assert list(due) == [(at(4), State.RUNNING)]
        assert store.read(lambda r: r.live_total()) == 2
        oldest = store.read(lambda r: r.oldest_queued())
        assert oldest is not None
        assert oldest.id == "8"
