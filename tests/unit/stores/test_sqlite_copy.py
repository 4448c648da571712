"""Copies of a file that others write to: one moment, whole, and nobody waits."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gnomon.core.errors import Unavailable, UsageError
from gnomon.core.filters import RunFilter
from gnomon.stores import open_store
from gnomon.stores.sqlite_copy import copy_database, problems_in, refuse_newer, schema_in
from gnomon.system.clock import VirtualClock
from gnomon.testing.stores.base import put_runs, run

CLOCK = VirtualClock(datetime(2026, 11, 20, tzinfo=UTC))

MOVES = """
import sys, time
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock
store, count, longest = open_store(sys.argv[1], SystemClock()), 0, 0.0

def move(tx):
    left, right = (int(tx.setting(name)) for name in ("left", "right"))
    tx.put_setting("left", str(left - 1))
    tx.put_setting("right", str(right + 1))

while True:
    begun = time.monotonic()
    store.write(move)
    longest = max(longest, time.monotonic() - begun)
    count += 1
    print(count, longest, flush=True)
"""


def settings(path: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return {name: int(value) for name, value in db.execute("SELECT name, value FROM settings")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of a few hundred pages."""
    place = tmp_path / "gnomon.db"
    store = open_store(place, CLOCK)
    put_runs(store, *[run(f"r{n}", parameters={"text": "x" * 500}) for n in range(1000)])
    store.write(lambda tx: tx.put_setting("left", "0"))
    store.write(lambda tx: tx.put_setting("right", "0"))
    store.close()
    return place


def test_a_copy_under_writes_is_one_moment_in_between_and_nobody_waits_for_it(path: Path, tmp_path: Path) -> None:
    """Another process moves ones from left to right. Every step of the copy waits for a commit of it."""
    with subprocess.Popen([sys.executable, "-c", MOVES, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout

        def moved() -> tuple[int, float]:
            count, longest = said.readline().split()
            return int(count), float(longest)

        before, _ = moved()
        steps: list[tuple[int, int]] = []

        def told(done: int, total: int) -> None:
            steps.append((done, total))
            moved()

        copy_database(path, tmp_path / "copy.db", told, step=20)
        after, longest = moved()
        process.kill()
    assert len(steps) > 10
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})  # it never began anew
    assert after - before > len(steps)
    assert longest < 5
    kept = settings(tmp_path / "copy.db")
    assert kept["left"] + kept["right"] == 0
    assert before <= kept["right"] <= after
    assert problems_in(tmp_path / "copy.db") == []


def test_a_copy_is_one_private_file_that_opens_as_a_store(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "sub" / "copy.db"
    copy.parent.mkdir()
    copy_database(path, copy)
    assert [entry.name for entry in copy.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert schema_in(copy) == "0001"
    store = open_store(copy, CLOCK)
    assert len(store.read(lambda r: r.runs(RunFilter(), limit=10_000)).items) == 1000
    store.close()


def test_what_is_not_yet_in_the_file_itself_is_copied_too(path: Path, tmp_path: Path) -> None:
    store = open_store(path, CLOCK)
    store.write(lambda tx: tx.put_setting("left", "5"))
    assert path.with_name("gnomon.db-wal").stat().st_size > 0
    copy_database(path, tmp_path / "copy.db")
    store.close()
    assert settings(tmp_path / "copy.db")["left"] == 5


def test_an_old_or_unknown_schema_is_copied_as_it_is(path: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE alembic_version SET version_num = '0999'")
    copy_database(path, tmp_path / "copy.db")
    assert schema_in(tmp_path / "copy.db") == "0999"
    with pytest.raises(UsageError) as caught:
        refuse_newer("0999", "the backup")
    assert caught.value.code == "schema_newer"


def test_what_is_no_database_of_gnomon_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE runs (id)")
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be looked at as one\n" * 10)
    for place, code in ((other, "not_a_gnomon_database"), (text, "not_a_database")):
        with pytest.raises(UsageError) as caught:
            copy_database(place, tmp_path / "copy.db")
        assert caught.value.code == code
        assert not (tmp_path / "copy.db").exists()


def test_a_full_disk_is_said(path: Path, tmp_path: Path) -> None:
    limited = """
import resource, signal, sys
from pathlib import Path
from gnomon.core.errors import GnomonError
from gnomon.stores.sqlite_copy import copy_database
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    copy_database(Path(sys.argv[1]), Path(sys.argv[2]))
except GnomonError as error:
    print(type(error).__name__, error.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", limited, str(path), str(tmp_path / "copy.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() in (["Unavailable", "disk_full"], ["Unavailable", "database_io_error"])
    assert Unavailable.exit_code == 3


def test_damage_is_found(path: Path) -> None:
    assert problems_in(path) == []
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 5)
    assert problems_in(path)
