"""Whatever a filter asks, a store answers: pages that end, in order, with what a look at each entry would give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.attempts import Failure
from gnomon.core.errors import UsageError
from gnomon.core.filters import Range, RunFilter
from gnomon.core.model import Task
from gnomon.core.ports import Store
from gnomon.core.records import Cause, RunRecord
from gnomon.core.states import FINAL, State
from gnomon.operations.filters import LANGUAGES
from gnomon.stores import open_store
from gnomon.stores.sql import paging
from gnomon.system.clock import VirtualClock
from gnomon.testing.stores.base import at, job, job_record, put_jobs, put_runs, run
from gnomon.testing.stores.configurations import configuration, put

from .test_language import ANY_TEXT, FILTERS, NOW, READING

TYPE_OF = {"a": "command", "ab": "http", "c": "sql"}
ASKS = {
    "runs": lambda r, where, n, c: r.runs(where, n, c),
    "jobs": lambda r, where, n, c: r.jobs(where, n, c),
    "schedules": lambda r, where, n, c: r.schedules(where, n, c),
    "configurations": lambda r, where, n, c: r.configurations(n, c, where),
    "flows": lambda r, where, n, c: r.flow_ids(where, n, c),
    "skips": lambda r, where, n, c: r.skip_page(where, n, c),
    "audit": lambda r, where, n, c: r.audit_page(where, n, c),
}


def runs() -> list[RunRecord]:
    """A hundred different ones, many due at the same instant."""
    made = []
    for number in range(100):
        state = list(State)[number % 9]
        error = Failure(("timed_out", "refused")[number % 2], f"No Host {number}") if state is State.FAILED else None
        made.append(
            run(
                f"{number:03}",
                number // 7,
                state,
                job_id=list(TYPE_OF)[number % 3],
                cause=list(Cause)[number % 5],
                actor=("cli:al", "cli:bo", "scheduler")[number % 3],
                labels={} if number % 4 else {"x": str(number % 8)},
                error=error,
                duration_s=number / 10 if state in FINAL else None,
                lateness_s=float(number % 6) if number % 2 else None,
                configuration=("c", 1 + number % 2) if number % 5 == 0 else None,
            )
        )
    return made


RUNS = runs()


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    made = open_store(":memory:", VirtualClock(NOW))
    put_jobs(made, *[job_record(job(job_id, task=Task(type_))) for job_id, type_ in TYPE_OF.items()])
    put(made, configuration("c", 1), configuration("c", 2))
    put_runs(made, *RUNS)
    yield made
    made.close()


def every(store: Store, kind: str, where: Any, limit: int) -> list[Any]:
    found, cursor = [], None
    for _ in range(1000):
        page = store.read(lambda r, c=cursor: ASKS[kind](r, where, limit, c))
        found += page.items
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("kind", sorted(LANGUAGES))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_filter_has_an_answer(store: Store, kind: str, data: st.DataObject) -> None:
    every(store, kind, data.draw(FILTERS[kind]), 7)


@pytest.mark.parametrize("kind", sorted(LANGUAGES))
@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_every_text_has_an_answer(store: Store, kind: str, text: str) -> None:
    try:
        where = LANGUAGES[kind].parse(text, READING)
    except UsageError:
        return
    every(store, kind, where, 7)


def inside(value: float | None, of: Range) -> bool:
    if of.low is None and of.high is None:
        return True
    if value is None:
        return False
    over = of.low is None or (value > of.low if of.low_open else value >= of.low)
    return over and (of.high is None or (value < of.high if of.high_open else value <= of.high))


def matches(one: RunRecord, where: RunFilter) -> bool:
    """The meaning of a filter, one condition after the other."""
    job_ids = (where.job_id,) if where.job_id is not None else where.job_ids
    states, error = set(where.states), "" if one.error is None else f"{one.error.code}\n{one.error.message}".lower()
    timed_out = one.state is State.FAILED and one.error is not None and one.error.code == "timed_out"
    name, version = where.configuration or (None, None)
    return all(
        [
            not job_ids or one.job_id in job_ids,
            one.job_id not in where.not_job_ids,
            not (states or where.timed_out) or one.state in states or (where.timed_out and timed_out),
            not where.task_types or TYPE_OF[one.job_id] in where.task_types,
            TYPE_OF[one.job_id] not in where.not_task_types,
            where.labels.items() <= one.labels.items(),
            not set(where.not_labels) & set(one.labels.items()),
            where.since is None or one.due_at >= where.since,
            where.until is None or one.due_at < where.until,
            not where.causes or one.cause in where.causes,
            all(word.lower() in one.job_id for word in where.words),
            not any(word.lower() in one.job_id for word in where.not_words),
            not where.errors or any(word.lower() in error for word in where.errors),
            not any(word.lower() in error for word in where.not_errors),
            inside(one.duration_s, where.duration_s),
            inside(one.lateness_s, where.lateness_s),
            name is None or (one.configuration is not None and one.configuration[0] == name),
            version is None or (one.configuration is not None and one.configuration[1] == version),
            where.actor is None or one.actor == where.actor or one.actor.startswith(f"{where.actor}:"),
        ]
    )


def few(*values: Any, most: int = 2) -> Any:
    return st.lists(st.sampled_from(values), unique=True, max_size=most).map(tuple)


RANGES = st.builds(
    Range, st.sampled_from([None, 1.0, 5.0]), st.sampled_from([None, 3.0, 5.0]), st.just(False), st.booleans()
)
PLAUSIBLE = st.builds(
    RunFilter,
    job_ids=few(*TYPE_OF),
    states=few(*State, most=8),
    timed_out=st.sampled_from([False, False, True]),
    task_types=few(*TYPE_OF.values()),
    labels=st.sampled_from([{}, {}, {"x": "0"}, {"x": "4"}]),
    not_labels=few(("x", "0"), ("x", "1")),
    since=st.sampled_from([None, None, at(3), at(9)]),
    until=st.sampled_from([None, None, at(4), at(12)]),
    causes=few(*Cause, most=4),
    words=few("A", "b", "c", most=1),
    not_words=few("B", "zz", most=1),
    errors=few("TIMED", "host", "refused"),
    not_errors=few("timed", "9"),
    duration_s=st.just(Range()) | RANGES,
    lateness_s=st.just(Range()) | RANGES,
    configuration=st.sampled_from([None, None, ("c", None), ("c", 1), ("x", None)]),
    actor=st.sampled_from([None, None, "cli", "cli:al", "cl"]),
    not_job_ids=few(*TYPE_OF, most=1),
    not_task_types=few(*TYPE_OF.values(), most=1),
)


@contextmanager
def small_steps() -> Iterator[None]:
    """A budget of ten entries a page, looked at in three steps."""
    kept = paging._FEWEST, paging.walk.__kwdefaults__
    paging._FEWEST, paging.walk.__kwdefaults__ = 1, {**kept[1], "stretches": (2, 3, 5)}
    try:
        yield
    finally:
        paging._FEWEST, paging.walk.__kwdefaults__ = kept


@settings(max_examples=120, deadline=None)
@given(where=PLAUSIBLE, limit=st.sampled_from([1, 3, 10]))
def test_partial_pages_neither_lose_nor_repeat(store: Store, where: RunFilter, limit: int) -> None:
    expected = [one for one in sorted(RUNS, key=lambda one: (one.due_at, one.id), reverse=True) if matches(one, where)]
    with small_steps():
        assert [one.id for one in every(store, "runs", where, limit)] == [one.id for one in expected]


@settings(max_examples=200, deadline=None)
@given(where=PLAUSIBLE, limit=st.sampled_from([1, 3, 10, 200]))
def test_lists_are_what_a_look_at_each_run_gives(store: Store, where: RunFilter, limit: int) -> None:
    expected = [one for one in sorted(RUNS, key=lambda one: (one.due_at, one.id), reverse=True) if matches(one, where)]
    assert [one.id for one in every(store, "runs", where, limit)] == [one.id for one in expected]
    assert store.read(lambda r: r.count_runs(where, 200)) == (len(expected), True)
