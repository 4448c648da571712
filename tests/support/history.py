"""A long history, copied in SQL from the rows that a database has: a hundred thousand runs in seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

STATES = "CASE {n} % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'skipped' WHEN 2 THEN 'cancelled' ELSE 'succeeded' END"


def lengthen(db: sqlite3.Connection, count: int, newest: int, step: int = 1_000_000) -> None:
    """`count` finished runs more, the newest due at `newest` and the others `step` earlier each (microseconds), with
    an attempt each, and a tenth as many of everything else that is kept of what is over.

    The database must have a row of each kind.
    """
    few, at = count // 10, f"({newest} - n * {step})"
    job = "(SELECT job_id FROM job_ids WHERE rowid = 1 + n % (SELECT count(*) FROM job_ids))"
    version = f"(SELECT version FROM jobs WHERE job_id = {job})"
    db.execute("CREATE TEMP TABLE job_ids AS SELECT job_id FROM jobs ORDER BY job_id")
    run_id = "printf('00%013x', n)"
    over: dict[str, str] = {"state": STATES.format(n="n"), "finished_at": at, "available_at": "NULL"}
    times = {"due_at": at, "created_at": at, "queued_at": at, "started_at": at}
    alone = {"parent_id": "NULL", "item": "NULL", "schedule_id": f"{job} || ':default'", "pools": "NULL"}
    named = {"id": run_id, "flow_id": run_id, "run_key": "'old' || n", "job_id": job, "version": version}
    plain = {"queue": "'default'", "attempts": "1", "cancel_requested_at": "NULL", "deadline_at": "NULL"}
    error = {"error_signature": "'s' || (n % 3)", "duration_s": "n % 100", "lateness_s": "n % 7"}
    _copy(db, "runs", count, over | times | alone | named | plain | error)
    _copy(
        db,
        "attempts",
        count,
        {"run_id": run_id, "number": "1", "outcome": "'succeeded'", "claimed_at": at, "finished_at": at}
        | {"rated_job": f"CASE WHEN {job} = 'rated' THEN 'rated' END"},
    )
    _copy(db, "skips", few, {"id": "-n", "job_id": job, "first_at": at, "last_at": at, "decided_at": at})
    _copy(db, "audit", few, {"id": "-n", "at": at})
    _copy(db, "changes", few, {"seq": "-n", "at": at})
    _copy(db, "incidents", few, {"id": "'old' || n", "opened_at": at, "last_at": at, "told_at": at, "closed_at": at})
    done = {"id": "-n", "created_at": at, "expires_at": at, "next_at": "NULL", "delivered_at": at}
    _copy(db, "deliveries", few, done | {"incident_id": "'old' || n"})
    _copy(db, "idempotency", few, {"key": "'old' || n", "at": at})
    _copy(db, "nodes", few, {"node_id": "'old' || n", "started_at": at, "stopped_at": at, "lease_until": at})
    db.execute("DROP TABLE job_ids")


def _copy(db: sqlite3.Connection, table: str, count: int, changed: Mapping[str, str]) -> None:
    """Rows like the first one there is, with these columns by expressions of `n`."""
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(name, f'first."{name}"') for name in names)
    done = db.execute(
        f"INSERT INTO {table} "
        "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?), "
        f"first AS MATERIALIZED (SELECT * FROM {table} LIMIT 1) SELECT {values} FROM counted, first",
        (count,),
    )
    assert done.rowcount == count, f"there is no row in {table}"
