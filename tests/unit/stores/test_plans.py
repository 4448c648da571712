"""How SQLite answers lists and summaries: by the index that was meant, never by reading or sorting a whole table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gnomon.core.filters import (
    AuditFilter,
    ConfigurationFilter,
    FlowFilter,
    JobFilter,
    Range,
    ScheduleFilter,
    SkipFilter,
)
from gnomon.core.model import Task
from gnomon.core.ports import Store
from gnomon.core.records import AuditRecord, Cause, RunFilter, SkipReason, SkipRecord, SourceKind
from gnomon.core.states import ACTIVE, FINAL, State
from gnomon.stores import open_store
from gnomon.stores.schema_sqlite import create
from gnomon.stores.sql.session import Session, Statement
from gnomon.system.clock import VirtualClock
from gnomon.testing.stores.base import at, job, job_record, put_jobs, put_runs, run, schedule
from gnomon.testing.stores.configurations import configuration, put

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WORDS = {"words": ("a",), "not_words": ("zz",)}
RUNS = [
    RunFilter(),
    RunFilter(since=at(-9), until=at(99)),
    RunFilter(job_id="a"),
    RunFilter(job_id="a", since=at(-9), until=at(99)),
    RunFilter(job_ids=("a", "b")),
    RunFilter(job_id="a", states=(State.FAILED,)),
    RunFilter(job_id="a", states=tuple(ACTIVE)),
    RunFilter(job_id="a", states=(State.FAILED, State.RUNNING), labels={"x": "y"}),
    RunFilter(job_id="a", duration_s=Range(1, 2), lateness_s=Range(1, 2, True, True)),
    RunFilter(job_id="a", errors=("x",), actor="cli"),
    RunFilter(states=(State.FAILED,)),
    RunFilter(states=tuple(ACTIVE)),
    RunFilter(states=tuple(FINAL)),
    RunFilter(states=tuple(s for s in State if s is not State.SUCCEEDED)),
    RunFilter(timed_out=True, states=(State.SUCCEEDED,)),
    RunFilter(signature="x", since=at(-9)),
    RunFilter(errors=("x", "y"), not_errors=("z",)),
    RunFilter(task_types=("http",), not_task_types=("sql",)),
    RunFilter(task_types=("http",), states=(State.FAILED,)),
    RunFilter(labels={"a": "b"}, not_labels=(("c", "d"),)),
    RunFilter(schedule_id="a:default", causes=(Cause.MANUAL,)),
    RunFilter(causes=(Cause.MANUAL,), actor="cli", not_job_ids=("b",)),
    RunFilter(configuration=("c", None)),
    RunFilter(configuration=("c", 1), states=(State.FAILED,)),
    RunFilter(configuration=("nothing", None)),
    RunFilter(duration_s=Range(low=1.0), lateness_s=Range(high=1.0)),
    RunFilter(words=("a",), not_words=("zz",)),
]
LISTS: dict[str, Callable[[Any, str | None], Any]] = {
    **{f"runs {number}": lambda r, c, w=where: r.runs(w, 1, c) for number, where in enumerate(RUNS)},  # type: ignore[misc]
    "jobs": lambda r, c: r.jobs(JobFilter(retired=None), 1, c),
    "jobs filtered": lambda r, c: r.jobs(
        JobFilter(
            ("a", "b"), ("http", "command"), {"x": "y"}, SourceKind.FILE, False, True, False, at(-9), at(99), **WORDS
        ),
        1,
        c,
    ),
    "schedules": lambda r, c: r.schedules(ScheduleFilter(), 1, c),
    "schedules filtered": lambda r, c: r.schedules(ScheduleFilter(job_ids=("a", "b"), paused=False, **WORDS), 1, c),
    "configurations": lambda r, c: r.configurations(1, c),
    "configurations filtered": lambda r, c: r.configurations(
        1, c, ConfigurationFilter(types=("http",), used=False, source=SourceKind.FILE)
    ),
    "flows": lambda r, c: r.flow_ids(FlowFilter(), 1, c),
    "flows filtered": lambda r, c: r.flow_ids(FlowFilter("b", at(-9), at(99), **WORDS), 1, c),
    "skips": lambda r, c: r.skip_page(SkipFilter(), 1, c),
    "skips of a job": lambda r, c: r.skip_page(SkipFilter(job_id="a", since=at(-9)), 1, c),
    "skips filtered": lambda r, c: r.skip_page(
        SkipFilter(schedule_id="a:default", reasons=(SkipReason.PAUSED,), until=at(99), **WORDS), 1, c
    ),
    "audit": lambda r, c: r.audit_page(AuditFilter(), 1, c),
    "audit of somebody": lambda r, c: r.audit_page(AuditFilter(actor="cli:a", since=at(-9)), 1, c),
    "audit of a group": lambda r, c: r.audit_page(AuditFilter(actor="cli", until=at(99), **WORDS), 1, c),
    "audit of kinds": lambda r, c: r.audit_page(AuditFilter(actions=("job.save", "run.start")), 1, c),
    "audit of an object": lambda r, c: r.audit_page(AuditFilter(object="a", actions=("job", "run.start")), 1, c),
}
FAR = (NOW - timedelta(days=60), NOW + timedelta(days=60))
SUMMARIES: dict[str, Callable[[Any], Any]] = {
    "bars": lambda r: (r.newest_ended(["a"], 30), r.newest_open(["a"], 30)),
    "failures": lambda r: (r.failure_groups(*FAR, 10), r.newest_outcomes(["a"], 10)),
    "lateness": lambda r: r.newest_lateness(*FAR, 10),
    "open": lambda r: r.open_due(*FAR, 10),
    "counts": lambda r: (r.ended_counts(*FAR), r.ended_by_bucket(FAR[0], FAR[1], 3600)),
    "queued": lambda r: (r.oldest_queued(), r.live_total()),
}
# Sorts and walks of something small: the rows of one page by id, a chain of ids, states in a list, kept counts.
SMALL = re.compile(r"SCAN (json_each|chain|anon_\d+|CONSTANT|\(|attempts USING INDEX ix_attempts_live)")
FEW = re.compile(
    r"(\.id|job_id|name) IN \(SELECT value FROM json_each|RECURSIVE chain|configuration = \?|SELECT DISTINCT"
)


@pytest.fixture
def store() -> Iterator[Store]:
    """Enough of everything that each list has a second page."""
    made = open_store(":memory:", VirtualClock(NOW))
    put_jobs(made, "a", job_record(job("b", task=Task("http", use="c"))), "aa")
    entries = [schedule("a:default"), schedule("aa:default"), schedule("b:default")]
    made.write(lambda tx: tx.put_schedules(entries))
    put(made, configuration("c"), configuration("d", type="http"), configuration("e", type="http"))
    made.write(
        lambda tx: tx.insert_skips(
            [SkipRecord("a:default", "a", at(n), at(n), 1, SkipReason.PAUSED, "", at(n)) for n in range(4)]
        )
    )
    put_runs(
        made,
        *[
            run(f"{n}", n, state, job_id=job_id)
            for n, (state, job_id) in enumerate((s, j) for s in State for j in "ab")
        ],
    )
    put_runs(made, *[run(f"x{n}", n, job_id="b", flow_id=f"{n}", cause=Cause.DOWNSTREAM) for n in range(4)])
    made.write(lambda tx: tx.add_audit([AuditRecord(at(n), "cli:a", "job.save", "a") for n in range(4)]))
    yield made
    made.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of every statement that is run."""
    texts: list[str] = []
    for name in ("fetch", "first"):
        real = getattr(Session, name)

        def noted(self: Session, statement: Statement, real: Any = real, **values: Any) -> Any:
            texts.append(statement.compiled("sqlite")[0])
            return real(self, statement, **values)

        monkeypatch.setattr(Session, name, noted)
    return texts


def plan(texts: list[str]) -> list[tuple[str, str]]:
    """Each step of each statement, on a database that knows nothing of its content."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    create(db)
    steps = []
    for text in dict.fromkeys(texts):
        rows = db.execute("EXPLAIN QUERY PLAN " + text, [0] * text.count("?"))
        steps += [(row[3], text) for row in rows]
    db.close()
    return steps


def faults(texts: list[str]) -> list[tuple[str, str]]:
    """Steps that read or sort a whole table."""
    found = []
    for step, text in plan(texts):
        few = FEW.search(text) and ("FROM runs INDEXED BY" not in text or "chain" in text)
        sorts = "TEMP B-TREE" in step and not few and "tallies" not in text
        scans = step.startswith("SCAN") and not SMALL.match(step) and not (" USING " in step and "LIMIT" in text)
        if sorts or scans or "AUTOMATIC" in step:
            found.append((step, text))
    return found


@pytest.mark.parametrize("name", LISTS)
def test_no_list_reads_or_sorts_a_whole_table(store: Store, asked: list[str], name: str) -> None:
    first = store.read(lambda r: LISTS[name](r, None))
    if first.next is not None:
        store.read(lambda r: LISTS[name](r, first.next))
    assert asked
    assert faults(asked) == []


@pytest.mark.parametrize("name", SUMMARIES)
def test_no_summary_reads_or_sorts_a_whole_table(store: Store, asked: list[str], name: str) -> None:
    store.read(SUMMARIES[name])
    assert asked
    assert faults(asked) == []


def test_history_is_read_from_the_index_alone() -> None:
    """Bars, durations and the states of a job come without its rows."""
    from gnomon.stores.sql import summaries
    from gnomon.stores.sql.run_lists import _keys, _last

    none = frozenset[str]()
    statements = [
        summaries._ENDED,
        summaries._FAILURES,
        summaries._OPEN_DUE,
        summaries._OPEN,
        *(
            _keys(source, none, none)
            for source in ("all", "job", "open", "troubled", "job:ended", "job:open", "configuration")
        ),
        *(
            _last(source, none)
            for source in ("all", "job", "open", "troubled", "job:ended", "job:open", "configuration")
        ),
        _keys("job:ended", none, frozenset({"states", "duration_s_over"})),
        _keys("troubled", none, frozenset({"states", "signature"})),
    ]
    for statement in statements:
        text = statement.compiled("sqlite")[0]
        steps = [step for step, _ in plan([text]) if "runs" in step]
        assert all("COVERING INDEX" in step for step in steps), (steps, text)


def test_the_test_would_notice(asked: list[str]) -> None:
    bad = [
        "SELECT id FROM runs WHERE state = ? ORDER BY due_at",
        "SELECT id FROM runs WHERE job_id = ? ORDER BY finished_at LIMIT 5",
        "SELECT count(*) FROM runs GROUP BY actor",
        "SELECT a.id FROM runs a JOIN runs b ON a.actor = b.actor LIMIT 5",
    ]
    assert [text for text in bad if not faults([text])] == []
