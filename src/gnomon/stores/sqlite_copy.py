"""A copy of an SQLite file as it was at one moment, while others write to it; and whether a file is whole."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gnomon.core.errors import Unavailable, usage

from .schema_sqlite import HEAD, REVISIONS
from .sqlite import connect
from .sqlite_errors import explain, explain_os

STEP_PAGES = 256
"""Pages (of 4 KiB) copied between two looks at whether to go on."""
_TIMEOUT_S = 30.0


def copy_database(
    source: Path, target: Path, told: Callable[[int, int], None] = lambda done, total: None, step: int = STEP_PAGES
) -> None:
    """Copy `source`, of whatever schema, to the new file `target` (0600), as one file without a log beside it.

    All of it is one snapshot, read in small steps: writers of `source` are never held up, and never make it begin
    anew. Until it is done their log cannot be shortened and grows. On return `target` is on the disk.

    Args:
        told: (pages done, pages in all), after every step.

    Raises:
        UsageError: `not_a_database`, `not_a_gnomon_database`, `permission_denied`, `database_corrupt`.
        Unavailable: `disk_full`, `database_io_error`, …
    """
    with _explained(source), contextlib.closing(connect(str(source), timeout_s=_TIMEOUT_S)) as db:
        db.execute("PRAGMA query_only=1")
        db.execute("BEGIN")
        schema_of(db, source)  # the first look takes the snapshot; the backup reads in it
        with _explained(target):
            os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous=OFF")
                copy.execute("PRAGMA journal_mode=OFF")
                db.backup(copy, pages=step, progress=lambda status, left, total: told(total - left, total))
                copy.execute("PRAGMA journal_mode=DELETE")
            _sync(target)


def problems_in(path: Path, limit: int = 20) -> Sequence[str]:
    """What SQLite finds wrong with the file: nothing, if it is whole. Reads all of it."""
    try:
        with contextlib.closing(connect(str(path), timeout_s=_TIMEOUT_S)) as db:
            found = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({int(limit)})")]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise explain(error, str(path)) from error
        return [str(error)]
    return [text for text in found if text != "ok"]


def schema_of(db: sqlite3.Connection, path: Path) -> str:
    """The revision of its schema.

    Raises:
        UsageError: `not_a_gnomon_database`.
    """
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    row = None
    if {"alembic_version", "runs", "schedules"} <= tables:
        row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise usage("not_a_gnomon_database", f"{path} is a database, but not one of gnomon's", hint="name another file")
    return str(row[0])


def schema_in(path: Path) -> str:
    """The same of a file."""
    with _explained(path), contextlib.closing(connect(str(path), timeout_s=_TIMEOUT_S)) as db:
        return schema_of(db, path)


def refuse_newer(schema: str, place: str) -> None:
    """Raises:
    UsageError: `schema_newer`.
    """
    if schema not in REVISIONS:
        said = f"{place} was written by a newer gnomon: its schema is {schema}, this version knows up to {HEAD}"
        raise usage("schema_newer", said, hint="upgrade gnomon, then restore it; nothing was changed")


def settle_log(path: Path) -> None:
    """Bring what its log holds into the file itself, as far as that is possible now."""
    with contextlib.suppress(sqlite3.Error, Unavailable), contextlib.closing(connect(str(path), timeout_s=1.0)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, str(place)) from error
    except OSError as error:
        raise explain_os(error, str(error.filename or place)) from error
