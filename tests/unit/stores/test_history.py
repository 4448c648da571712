"""Nothing that is asked again and again costs more with more history: every statement is explained, and the work of
steps, health, pages and metrics is counted with a short and with a long one."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

import gnomon.stores.sql
from gnomon.core.attempts import Outcome
from gnomon.core.deliveries import Delivery
from gnomon.core.filters import AuditFilter, FlowFilter, JobFilter, RunFilter, ScheduleFilter, SkipFilter
from gnomon.core.model import Dependency, Rate, Retry
from gnomon.core.records import SkipReason, SkipRecord
from gnomon.core.values import to_micros
from gnomon.engine.settings import EngineSettings
from gnomon.operations import alerts, feed, fires, flows, gauges, jobs, nodes, runs, summary, telling, why
from gnomon.operations.health import health
from gnomon.stores.schema_sqlite import create
from gnomon.stores.sql import paging
from gnomon.stores.sql.session import Session, Statement
from tests.support.history import lengthen
from tests.unit.engine.deployment import Deployment, begun, over, report

HISTORY = {
    "runs",
    "attempts",
    "skips",
    "audit",
    "changes",
    "incidents",
    "deliveries",
    "idempotency",
    "nodes",
    "tallies",
}
"""Tables that grow with what has happened. In others there is what has been defined."""
LIVE = re.compile(
    r"USING (COVERING )?INDEX "
    r"(ix_runs_(active|arriving|aside|cancelling|expiring|open|pooled|queued)|ix_attempts_live|ux_incidents_open"
    r"|ix_deliveries_(pending|lane))\b"
)
"""Indexes of what is not over: as long as that, however long the history is."""
ALLOWED = {
    "checks._STATEMENTS": "`gnomon db check` reads everything, and is asked for it",
    "attempts._STARTS_UNRATED": "of a job that has no rate any more, and sorts starts of its newest 1,000 runs",
    "nodes._NODES": "a row for each start of a scheduler within the last hour or so: the janitor removes older ones",
    "prune._DROP_NODES": "the same rows",
    "prune._DROP_CHANGES": "the first so many entries of the feed, in their order",
    "runs._ACTIVE_OF": "sorts runs that are not over; their ids come from the index of those",
    "runs._ITEMS": "sorts the items of one run",
    "tallies._BUCKETS": "sorts counts of at most as many hours or days as a diagram shows",
    "tallies._SUMS": "sums at most so many days, hours and minutes as two ends of a period have",
}
"""Statements that walk through history or sort some of it, and why they may."""


def statements() -> Iterator[tuple[str, Statement]]:
    """All that there are when the modules are loaded, by name."""
    for found in pkgutil.iter_modules(gnomon.stores.sql.__path__):
        module = importlib.import_module(f"gnomon.stores.sql.{found.name}")
        for name, value in vars(module).items():
            yield from ((f"{found.name}.{name}", statement) for statement in _within(value))


def _within(value: object) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, Mapping):
        yield from _within(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _within(one)


def faults(db: sqlite3.Connection, text: str) -> list[str]:
    """Steps of its plan that walk through, or sort, a table of history."""
    named = re.findall(r"\b(?:FROM|JOIN|,) (\w+)(?: AS (\w+))?", text)
    tables = {alias or name for name, alias in named if name in HISTORY}
    steps = [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + text, [0] * text.count("?"))]
    used = [step for step in steps if (found := re.match(r"(?:SCAN|SEARCH) (\w+)", step)) and found[1] in tables]
    walks = [step for step in used if step.startswith("SCAN") and not LIVE.search(step)]
    sorts = [step for step in steps if "B-TREE" in step and any(not _bounded(step, text) for step in used)]
    return walks + sorts + [step for step in steps if "AUTOMATIC" in step]


def _bounded(step: str, text: str) -> bool:
    return bool(LIVE.search(step)) or "json_each" in text


def test_no_statement_walks_through_history() -> None:
    """On a database that knows nothing of its content, as all of gnomon's: nobody runs ANALYZE."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    create(db)
    found = {name: bad for name, statement in statements() if (bad := faults(db, statement.compiled("sqlite")[0]))}
    db.close()
    assert {name: bad for name, bad in found.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) <= set(found), "an exception that is none any more"
    assert sum(1 for _ in statements()) > 150


@pytest.mark.parametrize(
    "text",
    [
        "SELECT job_id, count(*) FROM runs WHERE state = 'queued' AND attempts = ? GROUP BY job_id",
        "SELECT * FROM deliveries WHERE created_at >= ? ORDER BY id DESC LIMIT ?",
        "SELECT id FROM runs WHERE job_id = ? ORDER BY finished_at LIMIT ?",
        "SELECT a.id FROM runs AS a JOIN runs AS b ON a.actor = b.actor WHERE b.id = ?",
        "DELETE FROM attempts WHERE node_id = ?",
    ],
)
def test_the_test_would_notice(text: str) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    create(db)
    assert faults(db, text)
    db.close()


@dataclass
class Counted:
    """How much SQLite does for each statement, in instructions of its virtual machine."""

    steps: Counter[str] = field(default_factory=Counter)
    text: str = ""

    def one(self) -> int:
        self.steps[self.text] += 1
        return 0


@contextmanager
def counted(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    count = Counted()
    with monkeypatch.context() as patched:
        for name in ("fetch", "first", "change", "change_many"):
            real = getattr(Session, name)

            def noted(self: Session, statement: Statement, *rows: Any, real: Any = real, **values: Any) -> Any:
                count.text = statement.compiled("sqlite")[0]
                return real(self, statement, *rows, **values)

            patched.setattr(Session, name, noted)
        db.set_progress_handler(count.one, 1)
        yield count.steps
        db.set_progress_handler(None, 0)


class World:
    """A scheduler with jobs of all kinds, and something of everything in its history."""

    def __init__(self, count: int) -> None:
        self.d = d = Deployment(EngineSettings(retention_runs=10**9))
        d.add("every", "every 1s")
        d.add("after", depends_on=(Dependency("every"),))
        d.add("fails", "every 1s", retry=Retry(1), alerts={"on": ["failed"], "to": ["x"]})
        d.add("rated", "every 1s", rate=Rate(5, 60.0))
        d.add("pooled", "every 1s", pools={"p": 1})
        d.add("one", "every 1s", max_active=1, start_deadline_s=30.0)
        d.add("late", "every 1s", queue="nobody")
        d.store.write(lambda tx: tx.put_pools({"p": 2}, "settings"))
        self.node, self.executor = d.node()
        for _ in range(8):
            self.turn()
        self.known = d.run("every").id
        now = d.clock.now()
        skip = SkipRecord("every:default", "every", now, now, 1, SkipReason.PAUSED, "", now)
        sent = Delivery("x", "failed", "fails", {}, now, now, None, None, "i", 1, now)
        d.store.write(lambda tx: (tx.insert_skips([skip]), tx.insert_deliveries([sent]), tx.put_node(self.node.record)))
        jobs.pause_job(d.desk, "one")
        jobs.resume_job(d.desk, "one")
        db = self.db
        stamp = to_micros(now)
        db.execute("INSERT INTO idempotency VALUES ('a', 'k', 'o', 'r', 'x', ?)", (stamp,))
        db.execute(
            "INSERT OR IGNORE INTO incidents (id, job_id, kind, opened_at, last_at, count, text, told_at, closed_at) "
            "VALUES ('i', 'fails', 'failed', ?, ?, 1, '', ?, ?)",
            (stamp,) * 4,
        )
        lengthen(db, count, stamp - 60_000_000, 300_000_000)
        self.node.janitor.next_at = now
        self.turn()

    @property
    def db(self) -> sqlite3.Connection:
        db: sqlite3.Connection = self.d.store._store._db
        return db

    def turn(self) -> None:
        """A second passes; what starts ends, some of it badly."""
        self.d.clock.advance(1)
        self.node.step()
        while self.executor.started:
            spec = self.executor.started.pop(0)
            now = self.d.clock.now()
            report(self.node, begun(spec, now))
            failed = "fails" in str(self.d.read(lambda r, s=spec: r.run(s.run_id)).job_id)  # type: ignore[union-attr, misc]
            report(self.node, over(spec, now, Outcome.FAILED if failed else Outcome.SUCCEEDED))
        self.node.step()


def asked(world: World) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is asked again and again."""
    d, desk = world.d, world.d.desk
    now = d.clock.now()
    day = (now - timedelta(days=1), now + timedelta(days=1))
    yield "step", world.turn
    yield "health", lambda: health(desk)
    yield "metrics", lambda: gauges.gauges(desk)
    yield "overview", lambda: summary.overview(desk, *day)
    yield "counts", lambda: summary.counts(desk)
    yield "jobs' bars", lambda: summary.of_jobs(desk, ["every", "late", "fails"])
    yield "errors", lambda: summary.errors(desk, *day)
    yield "feed", lambda: feed.feed_after(desk, feed.newest_change(desk) - 3)
    yield "why", lambda: [why.why(desk, job_id) for job_id in ("every", "after", "rated", "late")]
    yield "undelivered", lambda: telling.undelivered(desk)
    yield "nodes", lambda: nodes.list_nodes(desk)
    yield "fires", lambda: fires.next_fires(desk, "every")
    yield "incidents", lambda: [alerts.list_incidents(desk, is_open=o) for o in (None, True, False)]
    for where in (RunFilter(), RunFilter(job_id="every"), RunFilter(words=("nowhere",)), RunFilter(signature="zz")):
        yield f"runs {where}", lambda where=where: runs.list_runs(desk, where)  # type: ignore[misc]
    yield "jobs", lambda: jobs.list_jobs(desk, JobFilter())
    yield "flows", lambda: flows.page_of_flows(desk, FlowFilter())
    yield (
        "pages",
        lambda: d.read(
            lambda r: (
                r.schedules(ScheduleFilter(), 50),
                r.skip_page(SkipFilter(), 50),
                r.audit_page(AuditFilter(), 50),
            )
        ),
    )
    yield "job", lambda: jobs.show_job(desk, "rated")
    yield "run", lambda: runs.show_run(desk, world.known)


def work(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[str]]:
    found = {}
    for name, act in asked(world):
        with counted(world.db, monkeypatch) as steps:
            act()
        found[name] = Counter(steps)
    return found


def test_work_is_the_same_with_a_long_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instructions of SQLite's machine, for each statement: pages look at a bounded number of entries."""
    monkeypatch.setitem(paging.walk.__kwdefaults__, "stretches", (50, 150))
    for bound in ("MOST_STARTS", "MOST_FAILURES"):
        monkeypatch.setattr(summary, bound, 100)
    short, long = (work(World(count), monkeypatch) for count in (3_000, 15_000))
    worse = {
        (name, text): (short[name][text], number)
        for name, steps in long.items()
        for text, number in steps.items()
        if number > short[name][text] * 1.1 + 100
    }
    assert worse == {}
    assert sum(short["step"].values()) > 1000


def test_retention_works_on_what_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it costs that a hundred runs go does not depend on how many stay."""
    spent = []
    for count in (3_000, 15_000):
        world = World(count)
        for _ in range(3):
            prune(world, keep=10_000)  # of the feed, and of nodes
        with counted(world.db, monkeypatch) as steps:
            prune(world, keep=200)
        spent.append(sum(steps.values()))
    assert spent[1] < spent[0] * 1.1, spent


def prune(world: World, keep: int) -> None:
    """One step of the janitor."""
    now = world.d.clock.now()
    old = now - timedelta(days=9_000)
    world.d.store.write(lambda tx: tx.prune(now=now, runs_before=old, runs_per_job=keep, changes_before=now, limit=100))
