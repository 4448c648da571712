"""A database with many runs, filled straight through SQLAlchemy Core: what a busy month leaves behind."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gnomon.core.attempts import Failure
from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.model import Job, Task
from gnomon.core.ports import Store
from gnomon.core.records import JobRecord, ScheduleRecord, Source, SourceKind
from gnomon.core.rules import ScheduleSpec
from gnomon.core.signatures import signature
from gnomon.core.values import to_micros
from gnomon.stores import open_store
from gnomon.stores.sql.schema import attempts, audit, runs, skips, tallies
from gnomon.stores.sql.tallies import SPANS
from gnomon.system.clock import VirtualClock

JOBS, DAYS = 100, 30
END = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGIN = END - timedelta(days=DAYS)
TYPES = ("command", "command", "http", "python", "sql", "file", "command", "http", "email", "command")
TEAMS = ("ops", "data", "web")
ERRORS = (
    Failure("exit_code", "the command ended with exit code 1"),
    Failure("timed_out", "not done within its timeout of 300 s: stopped"),
    Failure("http_status", "GET https://example.com/orders/17 answered 503"),
    Failure("connection_refused", "connection to 10.0.0.7:5432 refused"),
    Failure("sql_error", "deadlock detected: process 4711 waits for 815"),
)
BATCH = 10_000
_SECOND = 1_000_000


def build(store: Store, path: Path, count: int) -> bool:
    """Fill the database, unless it is filled already."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as db:
        if db.scalar(sa.select(runs.c.id).limit(1)) is not None:
            return False
    store.write(_definitions)
    sums: Counter[tuple[int, int, str]] = Counter()
    rows = _runs(count, sums)
    with engine.connect() as db:
        secondary = list(
            db.execute(
                sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'runs' AND sql != ''")
            )
        )
        for name, _ in secondary:  # made anew when the rows are there: much faster
            db.exec_driver_sql(f"DROP INDEX {name}")
        db.exec_driver_sql("PRAGMA synchronous=OFF")
        db.exec_driver_sql("PRAGMA cache_size=-400000")
        while batch := [row for row, _ in zip(rows, range(BATCH), strict=False)]:
            db.execute(runs.insert(), batch)
            db.execute(attempts.insert(), [_attempt(row) for row in batch if row["started_at"]])
            db.commit()
        for _, text in secondary:
            db.exec_driver_sql(text)
        spans = [{"span": span, "at": at, "state": state, "count": n} for (span, at, state), n in sums.items()]
        db.execute(tallies.insert(), spans)
        db.execute(skips.insert(), list(_skips(50_000)))
        db.execute(audit.insert(), list(_audit(50_000)))
        db.commit()
    engine.dispose()
    return True


def _definitions(tx: Any) -> None:
    source = Source(SourceKind.REST)
    for version in (1, 2, 3):
        tx.put_configuration(
            ConfigurationRecord("orders", version, source, BEGIN, BEGIN, "http", {"url": "http://x"}), "me"
        )
    for number in range(40):
        tx.put_configuration(
            ConfigurationRecord(f"unused-{number}", 1, source, BEGIN, BEGIN, "sql", {"query": "x"}), "me"
        )
    for number in range(JOBS):
        job_id, type_ = f"job-{number}", TYPES[number % len(TYPES)]
        labels = {"team": TEAMS[number % 3], "tier": str(number % 4)}
        spec = ScheduleSpec("every", {"every": 60})
        task = Task(
            type_,
            {"command": ["true"]} if type_ == "command" else {"url": "http://x/"},
            use="orders" if type_ == "http" else None,
        )
        job = Job(job_id=job_id, task=task, labels=labels, schedules=(spec,))
        tx.insert_job(JobRecord(job, 1, source, BEGIN, BEGIN))
        tx.put_schedules([ScheduleRecord(f"{job_id}:default", job_id, spec, 0, BEGIN, END, END)])


def _runs(count: int, sums: Counter[tuple[int, int, str]]) -> Iterator[dict[str, Any]]:
    """Rows in the order of their due times; the last few are not over."""
    chance = random.Random(7)
    begin, step = to_micros(BEGIN), DAYS * 86_400 * _SECOND // count
    flow = ""
    for number in range(count):
        job = chance.randrange(JOBS)
        due = begin + number * step
        run_id = f"{due // 1000:013x}{number:09x}"
        roll = chance.random()
        downstream = roll < 0.05 and bool(flow)
        cause = "downstream" if downstream else "manual" if roll < 0.06 else "schedule"
        if not downstream:
            flow = run_id
        left = count - number
        state = _state(chance) if left > 600 else "queued" if left > 20 else "running"
        row = _row(run_id, job, due, cause, flow if downstream else run_id, state, chance)
        if state in ("succeeded", "failed", "cancelled", "skipped"):
            for span in SPANS:
                sums[span, due - due % (span * _SECOND), state] += 1
        yield row


def _state(chance: random.Random) -> str:
    return chance.choices(("succeeded", "failed", "cancelled", "skipped"), (93, 4, 1, 2))[0]


def _row(run_id: str, job: int, due: int, cause: str, flow: str, state: str, chance: random.Random) -> dict[str, Any]:
    begun = state in ("succeeded", "failed", "cancelled", "running")
    lateness = chance.expovariate(5)
    started = due + int(lateness * _SECOND) if begun else None
    duration = chance.lognormvariate(1, 1.2) if begun and state != "running" else None
    error = chance.choice(ERRORS) if state == "failed" else None
    http = TYPES[job % len(TYPES)] == "http"
    row = dict.fromkeys((column.name for column in runs.columns), None) | {
        "id": run_id,
        "job_id": f"job-{job}",
        "version": 1,
        "state": state,
        "cause": cause,
        "run_key": run_id[::-1],
        "due_at": due,
        "created_at": due,
        "flow_id": flow,
        "actor": chance.choice(("cli:alice", "rest:ci", "cli:bob")) if cause == "manual" else "scheduler",
        "schedule_id": f"job-{job}:default" if cause == "schedule" else None,
        "fire_at": due if cause == "schedule" else None,
        "rank": 0,
        "queue": "default",
        "exclusive": 1,
        "queued_at": due,
        "started_at": started,
        "finished_at": None if duration is None or started is None else started + int(duration * _SECOND),
        "attempts": int(begun),
        "failures": int(state == "failed"),
        "lost": 0,
        "labels": f'{{"team":"{TEAMS[job % 3]}","tier":"{job % 4}"}}',
        "reason": "overlap" if state == "skipped" else None,
        "exit_code": 0 if state == "succeeded" else None,
        "result": '{"rows":17,"note":"what a task gave back, in a few words"}' if state == "succeeded" else None,
        "lateness_s": lateness if begun else None,
        "duration_s": duration,
        "configuration": "orders" if http and begun else None,
        "configuration_version": 1 + due % 3 if http and begun else None,
    }
    if error is not None:
        row |= {"error_code": error.code, "error_message": error.message, "error_signature": signature(error)}
    return row


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": row["id"],
        "number": 1,
        "token": 1,
        "node_id": "n1",
        "claimed_at": row["due_at"],
        "executor": "commands",
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "outcome": row["state"] if row["finished_at"] else None,
        "worker": "n1",
        "process": '{"pid":4711}',
        "exit_code": row["exit_code"],
        "error_code": row["error_code"],
        "error_message": row["error_message"],
        "duration_s": row["duration_s"],
        "log_bytes": 100,
        "rated_job": None,
    }


def _skips(count: int) -> Iterator[dict[str, Any]]:
    step = DAYS * 86_400 * _SECOND // count
    for number in range(count):
        at, job = to_micros(BEGIN) + number * step, number % JOBS
        yield {
            "schedule_id": f"job-{job}:default",
            "job_id": f"job-{job}",
            "first_at": at,
            "last_at": at,
            "count": 1,
            "reason": ("paused", "overlap", "catch_up")[number % 3],
            "detail": "the run before was not over",
            "decided_at": at,
        }


def _audit(count: int) -> Iterator[dict[str, Any]]:
    step = DAYS * 86_400 * _SECOND // count
    for number in range(count):
        yield {
            "at": to_micros(BEGIN) + number * step,
            "actor": ("cli:alice", "rest:ci")[number % 2],
            "action": ("run.start", "job.save", "job.pause")[number % 3],
            "object": f"job-{number % JOBS}",
            "before": None,
            "after": '{"labels":{"team":"ops"}}',
        }


if __name__ == "__main__":  # a process of its own: what it takes to fill does not count
    target = Path(sys.argv[1])
    made = open_store(target, VirtualClock(END))
    build(made, target, int(sys.argv[2]))
    made.close()
