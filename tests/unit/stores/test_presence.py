"""The file of a store, its log and its index are taken away under it: nothing is kept in a file that nobody finds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gnomon.core.errors import Unavailable
from gnomon.core.ports import Store, Transaction
from gnomon.stores import open_store
from gnomon.stores.sqlite_copy import copy_database, problems_in, settle_log
from gnomon.system.clock import VirtualClock

CLOCK = VirtualClock(datetime(2026, 11, 20, tzinfo=UTC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = open_store(path, CLOCK)
    put(made, "first")
    yield made
    made.close()


def put(store: Store, value: str) -> None:
    store.write(lambda tx: tx.put_setting("x", value))


def got(store: Store) -> str | None:
    return store.read(lambda r: r.setting("x"))


def refused(store: Store) -> None:
    for act in (lambda: put(store, "lost"), lambda: got(store), store.data_version):
        with pytest.raises(Unavailable) as caught:
            act()
        assert caught.value.code == "database_replaced"


def value_in(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        row = db.execute("SELECT value FROM settings WHERE name = 'x'").fetchone()
        return None if row is None else str(row[0])


def test_nothing_has_the_name(store: Store, path: Path, tmp_path: Path) -> None:
    path.rename(tmp_path / "y.db")
    refused(store)
    assert value_in(tmp_path / "y.db") == "first"
    (tmp_path / "y.db").rename(path)
    put(store, "second")
    assert got(store) == "second"


def test_another_file_has_the_name(store: Store, path: Path, tmp_path: Path) -> None:
    """It is whole, others may work on it at once, and the log of the first is none of its own."""
    copy_database(path, tmp_path / "copy.db")
    put(store, "second")
    os.link(path, tmp_path / "first.db")
    (tmp_path / "copy.db").rename(path)
    refused(store)
    assert value_in(tmp_path / "first.db") == "second"
    other = open_store(path, CLOCK)
    assert got(other) == "first"
    put(other, "third")
    refused(store)
    other.close()
    assert value_in(path) == "third"
    assert value_in(tmp_path / "first.db") == "second"


def test_another_file_has_got_the_number_of_the_first(store: Store, path: Path, tmp_path: Path) -> None:
    copy_database(path, tmp_path / "copy.db")
    path.unlink()
    refused(store)
    for _ in range(50):
        path.write_bytes((tmp_path / "copy.db").read_bytes())
        refused(store)
        path.unlink()


def test_the_link_leads_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        open_store(tmp_path / name / "x.db", CLOCK).close()
    (tmp_path / "now").symlink_to("one")
    store = open_store(tmp_path / "now" / "x.db", CLOCK)
    put(store, "first")
    (tmp_path / "now").unlink()
    (tmp_path / "now").symlink_to("two")
    refused(store)
    store.close()


def test_replaced_between_decision_and_acknowledgement(store: Store, path: Path, tmp_path: Path) -> None:
    def work(tx: Transaction) -> None:
        tx.put_setting("x", "lost")
        path.rename(tmp_path / "y.db")

    with pytest.raises(Unavailable):
        store.write(work)
    refused(store)
    assert value_in(tmp_path / "y.db") == "first"


@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="".join)
@pytest.mark.parametrize("second", [False, True], ids=["alone", "with a neighbour"])
def test_the_log_is_deleted(store: Store, path: Path, suffixes: tuple[str, ...], second: bool) -> None:
    neighbour = open_store(path, CLOCK) if second else None
    for number in range(5):
        put(store, f"{number}")
        if neighbour is not None:
            assert got(neighbour) == f"{number}"
        for suffix in suffixes:
            Path(f"{path}{suffix}").unlink()
        if neighbour is not None:
            put(neighbour, f"{number}, neighbour")
        before = store.data_version()
        assert got(store) == (f"{number}" if neighbour is None else f"{number}, neighbour")
        put(store, "again")
        assert store.data_version() != before
    if neighbour is not None:
        assert got(neighbour) == "again"
        neighbour.close()
    store.close()
    assert value_in(path) == "again"


def test_a_reader_at_work_keeps_the_old_log_a_while(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.stores.sqlite._LET_GO_S", 0.05)
    inside, go = threading.Event(), threading.Event()
    seen: list[str | None] = []

    def read() -> None:
        def work(r: object) -> None:
            inside.set()
            go.wait(20)
            seen.append(r.setting("x"))  # type: ignore[attr-defined]

        store.read(work)

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait(20)
    Path(f"{path}-wal").unlink()
    refused(store)
    go.set()
    thread.join()
    assert seen == ["first"]
    put(store, "second")
    store.close()
    assert value_in(path) == "second"


WRITER = """
import os, sys
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock
store = open_store(sys.argv[1], SystemClock())
store.write(lambda tx: tx.put_setting("x", "second"))
os._exit(1)
"""


def test_the_log_of_a_dead_process_is_not_taken_for_another_files(path: Path, tmp_path: Path) -> None:
    store = open_store(path, CLOCK)
    put(store, "first")
    copy_database(path, tmp_path / "copy.db")
    store.close()
    assert subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False).returncode == 1
    path.rename(tmp_path / "old.db")
    (tmp_path / "copy.db").rename(path)
    with pytest.raises(Unavailable) as caught:
        open_store(path, CLOCK)
    assert caught.value.code == "database_replaced"
    with pytest.raises(Unavailable):
        problems_in(path)
    settle_log(path)  # as a restore does, which moves both aside
    path.rename(tmp_path / "copy.db")
    (tmp_path / "old.db").rename(path)
    again = open_store(path, CLOCK)
    assert got(again) == "second"
    again.close()
    (tmp_path / "copy.db").rename(path)  # with a good end there is no log
    again = open_store(path, CLOCK)
    assert got(again) == "first"
    again.close()


def test_a_whole_directory_may_be_copied(path: Path, tmp_path: Path) -> None:
    """Log and database both are others then, and belong together."""
    path.parent.joinpath("d").mkdir()
    there = path.parent / "d" / "x.db"
    assert subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False).returncode == 1
    for suffix in ("", "-wal", "-lock", ".lock"):
        if Path(f"{path}{suffix}").exists():
            Path(f"{there}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    store = open_store(there, CLOCK)
    assert got(store) == "second"
    store.close()
