"""The migrations lead to the schema of the tables, step by step and all or nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from gnomon.core.records import RunFilter
from gnomon.stores import open_store, sqlite_files
from gnomon.stores.migrations import config, upgrade
from gnomon.stores.schema_sqlite import HEAD, REVISIONS, create
from gnomon.system.clock import VirtualClock
from gnomon.testing.stores.base import put_runs, run

CLOCK = VirtualClock(datetime(2026, 11, 20, tzinfo=UTC))

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"

def upgrade():
    op.add_column("runs", sa.Column("mood", sa.Text()))
    {then}
"""


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    yield made
    made.close()


def schema(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = db.execute("SELECT type, name, sql FROM sqlite_master")
    return {(kind, name): re.sub(r"\s+|(?<=\()\s+|\s+(?=\))", "", sql or "") for kind, name, sql in rows}


def test_migrations_give_the_schema_of_the_tables(db: sqlite3.Connection) -> None:
    upgrade(db)
    direct = sqlite3.connect(":memory:", isolation_level=None)
    create(direct)
    assert schema(db) == schema(direct)
    assert db.execute("SELECT * FROM alembic_version").fetchall() == [(HEAD,)]
    assert direct.execute("SELECT * FROM alembic_version").fetchall() == [(HEAD,)]
    direct.close()


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(config())
    known = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(known)) == REVISIONS
    assert scripts.get_current_head() == HEAD == REVISIONS[-1]


def next_revision(directory: Path, then: str = "pass") -> Path:
    directory.mkdir()
    (directory / "next.py").write_text(NEXT.format(revision="9999", before=HEAD, then=then))
    return directory


def test_an_older_file_is_upgraded_when_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, more = tmp_path / "x.db", next_revision(tmp_path / "more")
    old = open_store(path, CLOCK)
    put_runs(old, run("1"))
    old.close()
    pretend(monkeypatch, more)
    open_store(path, CLOCK).close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT id, mood FROM runs").fetchall() == [("1", None)]
    assert db.execute("SELECT * FROM alembic_version").fetchall() == [("9999",)]
    db.close()


def pretend(monkeypatch: pytest.MonkeyPatch, more: Path) -> None:
    """This version knows the next revision."""
    monkeypatch.setattr(sqlite_files, "HEAD", "9999")
    monkeypatch.setattr(sqlite_files, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr("gnomon.stores.migrations.upgrade", lambda db: upgrade(db, "head", str(more)))


def test_an_upgrade_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had to be kept in the log is in the copy, and an earlier copy stays."""
    path = tmp_path / "x.db"
    more = next_revision(tmp_path / "more")
    for number in ("1", "2"):
        path.unlink(missing_ok=True)
        old = open_store(path, CLOCK)
        put_runs(old, run(number))
        with monkeypatch.context() as patched:
            pretend(patched, more)
            open_store(path, CLOCK).close()
        old.close()
    kept = sqlite_files.kept_of(path, HEAD)
    assert kept == tmp_path / f"x.db.schema-{HEAD}-2"
    for name, number in (("", "1"), ("-2", "2")):
        copy = open_store(tmp_path / f"x.db.schema-{HEAD}{name}", CLOCK, upgrade=False)
        assert copy.read(lambda r: [r.id for r in r.runs(RunFilter()).items]) == [number]
        copy.close()


def test_a_step_that_fails_changes_nothing(tmp_path: Path, db: sqlite3.Connection) -> None:
    more = next_revision(tmp_path / "more", then="raise ValueError('half way')")
    upgrade(db)
    before = schema(db)
    with pytest.raises(ValueError, match="half way"):
        upgrade(db, "head", str(more))
    assert schema(db) == before
    assert not db.in_transaction
