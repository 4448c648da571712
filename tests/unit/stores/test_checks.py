"""Contradictions in a database are found; a database that only gnomon wrote has none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gnomon.app.checking import check_database
from gnomon.operations.settings import Settings, load_settings
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock
from tests.unit.engine.deployment import Deployment, finish


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A database with a job, an ended run and one that is running, copied from a stepped deployment."""
    d = Deployment()
    d.add("a", "every 60s")
    node, executor = d.node()
    node.step()
    d.clock.advance(60)
    node.step()
    finish(d, node, executor)
    d.clock.advance(60)
    node.step()
    path = tmp_path / "gnomon.db"
    open_store(path, SystemClock()).close()
    with closing(sqlite3.connect(path)) as db, db:
        source = d.store._store._db  # type: ignore[attr-defined,unused-ignore]
        for table in ("jobs", "job_definitions", "schedules", "runs", "attempts", "nodes", "leader"):
            rows = source.execute(f"SELECT * FROM {table}").fetchall()
            db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    return load_settings({"db": str(path)}, {}, search=False)


def wrong(settings: Settings, *statements: str) -> dict[str, int]:
    with closing(sqlite3.connect(settings.db.removeprefix("sqlite:///"))) as db, db:
        for statement in statements:
            db.execute(statement)
    return {finding.name: finding.count for finding in check_database(settings) if not finding.ok}


def orphans(settings: Settings) -> tuple[bool, int, str]:
    (found,) = [finding for finding in check_database(settings) if finding.name == "orphans"]
    return found.ok, found.count, found.message


def test_a_database_that_only_gnomon_wrote_is_good(settings: Settings) -> None:
    assert wrong(settings) == {}
    assert orphans(settings)[:2] == (True, 0)


def test_work_of_dead_schedulers_is_wrong_only_if_another_one_leaves_it_lying(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.db.removeprefix("sqlite:///"))) as db, db:
        (row,) = db.execute("SELECT * FROM nodes").fetchall()
        db.execute(f"INSERT INTO nodes VALUES ({','.join('?' * len(row))})", ("n2", *row[1:]))
    assert wrong(settings, "UPDATE nodes SET lease_until = 1 WHERE node_id = 'n1'") == {"orphans": 1}
    assert wrong(settings, "UPDATE nodes SET lease_until = 1") == {}
    assert orphans(settings)[:2] == (True, 1)
    assert "wait for the next scheduler" in orphans(settings)[2]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("DELETE FROM jobs", {"schedules_without_job": 1, "runs_without_job": 2}),
        ("DELETE FROM job_definitions", {"jobs_without_definition": 1, "runs_without_definition": 2}),
        ("DELETE FROM runs WHERE state = 'succeeded'", {"attempts_without_run": 1}),
        ("UPDATE runs SET state = 'failed' WHERE state = 'running'", {"live_attempts_of_ended_runs": 1}),
        ("DELETE FROM attempts WHERE outcome IS NULL", {"running_without_attempt": 1}),
        ("DELETE FROM nodes", {"stranded_attempts": 1}),
        ("UPDATE nodes SET stopped_at = 1", {"stranded_attempts": 1}),
        ("UPDATE runs SET parent_id = 'gone' WHERE state = 'succeeded'", {"items_without_parent": 1}),
        (
            "UPDATE runs SET configuration = 'c', configuration_version = 1 WHERE state = 'succeeded'",
            {"runs_without_configuration": 1},
        ),
    ],
)
def test_each_contradiction_is_found_and_no_other(settings: Settings, statement: str, names: dict[str, int]) -> None:
    assert wrong(settings, statement) == names
