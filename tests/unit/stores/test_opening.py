"""Opening a store: what is made, what is refused, and in which words."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gnomon.core.errors import GnomonError, Unavailable, UsageError
from gnomon.core.ports import Store
from gnomon.stores import open_store, sqlite_files
from gnomon.stores.schema_sqlite import HEAD
from gnomon.stores.sqlite import SqliteStore
from gnomon.system.clock import VirtualClock
from gnomon.system.filelock import FileLock
from gnomon.testing.stores.base import put_runs, run

CLOCK = VirtualClock(datetime(2026, 11, 20, tzinfo=UTC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gnomon.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = open_store(path, CLOCK)
    yield made
    made.close()


def refusal(target: object, **options: object) -> GnomonError:
    with pytest.raises(GnomonError) as caught:
        open_store(str(target), CLOCK, **options)  # type: ignore[arg-type]
    assert "Traceback" not in str(caught.value)
    return caught.value


def raw(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_missing_directories_are_made_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "gnomon" / "x.db"
    store = open_store(path, CLOCK)
    put_runs(store, run("1"))
    assert {mode(path.parent), mode(path.parent.parent)} == {0o700}
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    assert {file.name for file in path.parent.iterdir()} >= {"x.db", "x.db-wal", "x.db.lock", "x.db.next"}
    store.close()


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    here = os.path.realpath(tmp_path)
    for target, name in [
        ("a.db", "a.db"),
        ("~/b.db", "b.db"),
        ("sqlite:///c.db", "c.db"),
        (f"sqlite:///{here}/d.db", "d.db"),
        ("sqlite:///e%20f.db", "e f.db"),
        ("odd?#%41.db", None),
    ]:
        if name is None:
            assert refusal(target).code == "unknown_store"
            continue
        store = open_store(target, CLOCK)
        assert isinstance(store, SqliteStore)
        assert store.path == os.path.join(here, name)
        store.close()
        assert (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a#b.db", "a%41.db", "ü ö.db"])
def test_odd_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    open_store(tmp_path / name, CLOCK).close()
    assert (tmp_path / name).exists()


def test_links_lead_to_the_same_locks(tmp_path: Path, path: Path, store: Store) -> None:
    (tmp_path / "link.db").symlink_to(path)
    other = open_store(tmp_path / "link.db", CLOCK)
    assert isinstance(other, SqliteStore)
    assert other.path == os.path.realpath(path)
    other.close()


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("mysql://x/y", "unknown_store", "sqlite://, memory://"),
        ("postgresql://x/y", "postgresql_missing", "gnomon[postgres]"),
        ("postgresql+psycopg://x/y", "postgresql_missing", "not in this version"),
        ("sqlite://x.db", "database_cannot_open", "four before an absolute"),
        ("sqlite:///x.db?mode=rw", "unknown_store", "mode=ro"),
        ("", "database_cannot_open", "no file was named"),
        ("/proc/nope/x.db", "database_cannot_open", "/proc/nope"),
    ],
)
def test_bad_addresses(target: str, code: str, words: str) -> None:
    error = refusal(target)
    assert isinstance(error, UsageError)
    assert error.code == code
    assert words in str(error)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.code == "database_cannot_open"
    assert "is a directory" in str(error)


def test_a_file_in_the_way_of_the_directory(path: Path) -> None:
    path.write_text("x")
    assert refusal(path / "below.db").code == "database_cannot_open"


@pytest.mark.parametrize("content", [b"just some text, long enough for a header\n" * 50, b"\x00" * 5000])
def test_no_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    error = refusal(path)
    assert isinstance(error, UsageError)
    assert error.code == "not_a_database"
    assert str(path) in str(error)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    open_store(path, CLOCK).close()
    assert path.stat().st_size > 0


def test_somebody_elses_database(path: Path) -> None:
    raw(path, "CREATE TABLE customers (name TEXT)")
    before = path.read_bytes()
    assert refusal(path).code == "not_a_gnomon_database"
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_and_left_alone(path: Path, store: Store) -> None:
    store.close()
    raw(path, "UPDATE alembic_version SET version_num = '0777'")
    error = refusal(path)
    assert isinstance(error, UsageError)
    assert error.code == "schema_newer"
    for word in (str(path), "0777", HEAD, "upgrade gnomon"):
        assert word in str(error)
    assert refusal(f"sqlite:///{path}?mode=ro").code == "schema_newer"


def test_an_older_schema_is_refused_unless_it_may_be_upgraded(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    monkeypatch.setattr(sqlite_files, "REVISIONS", ("0000", HEAD))
    raw(path, "UPDATE alembic_version SET version_num = '0000'")
    error = refusal(path, upgrade=False)
    assert error.code == "schema_old"
    assert "gnomon db upgrade" in str(error)
    assert refusal(f"sqlite:///{path}?mode=ro").code == "schema_old"


def test_a_damaged_database(path: Path, store: Store) -> None:
    put_runs(store, *[run(f"{n:04}") for n in range(500)])
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 12288)
    path.write_bytes(content)
    assert refusal(path).code == "database_corrupt"


def test_a_copy_without_wal_gets_it_back(path: Path, store: Store, tmp_path: Path) -> None:
    put_runs(store, run("1"))
    copy = tmp_path / "copy.db"
    raw(path, f"VACUUM INTO '{copy}'")
    restored = open_store(copy, CLOCK)
    assert restored.read(lambda r: r.run("1")) == run("1")
    put_runs(restored, run("2"))
    restored.close()
    db = sqlite3.connect(copy)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_reading_only(path: Path, store: Store) -> None:
    put_runs(store, run("1"))
    looking = open_store(f"sqlite:///{path}?mode=ro", CLOCK)
    assert looking.read(lambda r: r.run("1")) == run("1")
    before = looking.data_version()
    put_runs(store, run("2"))
    assert looking.data_version() != before
    with pytest.raises(Unavailable) as caught:
        put_runs(looking, run("3"))
    assert caught.value.code == "database_read_only"
    looking.close()
    assert refusal(f"sqlite:///{path}.none?mode=ro").code == "database_cannot_open"


def test_locked_by_another_gnomon(path: Path, store: Store) -> None:
    lock = FileLock(path)
    with lock.hold():
        impatient = open_store(path, CLOCK, lock_timeout_s=0.01)
        with pytest.raises(Unavailable) as caught:
            put_runs(impatient, run("1"))
        assert caught.value.code == "database_locked"
        assert impatient.read(lambda r: r.run("1")) is None
    put_runs(impatient, run("1"))
    impatient.close()
    lock.close()


def test_locked_by_a_foreign_program(path: Path, store: Store) -> None:
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    impatient = open_store(path, CLOCK, lock_timeout_s=0.01)
    with pytest.raises(Unavailable) as caught:
        put_runs(impatient, run("1"))
    assert caught.value.code == "database_locked"
    foreign.execute("ROLLBACK")
    put_runs(impatient, run("1"))
    impatient.close()
    foreign.close()


FILL = """
import resource, signal, sys
from gnomon.core.errors import GnomonError
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock
from gnomon.testing.stores.base import put_runs, run

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1], SystemClock())
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
told = 0
try:
    while True:
        put_runs(store, *[run(f"{told}-{n}") for n in range(20)])
        told += 1
except GnomonError as error:
    print(told, type(error).__name__, error.code)
again = None
try:
    put_runs(store, run("more", note="x" * 500_000))
except GnomonError as error:
    again = error.code
found = store.read(lambda r: len(r.queued(["default"], 100_000)))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
put_runs(store, run("room again"))
print(found, again)
store.close()
"""


def test_no_room_left_says_so_and_loses_nothing(path: Path) -> None:
    """A limit on the size of files: writes fail as on a full disk, in the middle of a commit."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", FILL, path], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told, kind, code, found, again = done.stdout.split()
    assert (kind, code, again) == ("Unavailable", code, code)
    assert code in ("disk_full", "database_io_error")
    assert int(found) == int(told) * 20
    store = open_store(path, CLOCK)
    assert len(store.read(lambda r: r.queued(["default"], 100_000))) == int(told) * 20 + 1
    store.close()


def test_a_full_database_refuses_what_does_not_fit_and_goes_on(path: Path, store: Store) -> None:
    put_runs(store, run("1"))
    assert isinstance(store, SqliteStore)
    writer = store._writer._db
    assert writer is not None
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(Unavailable) as caught:
        put_runs(store, run("2", note="x" * 100_000))
    assert caught.value.code == "disk_full"
    assert store.read(lambda r: r.runs_by_id(["1", "2"])) == {"1": run("1")}
    put_runs(store, run("3"))
    assert store.read(lambda r: r.run("3")) == run("3")
