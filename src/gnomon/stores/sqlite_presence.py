"""Whether the file that is open still has its name, and the log beside it is its own.

SQLite finds the log of a database (`-wal`, and its index `-shm`) by name alone. Who renames or deletes one of the three
under a process that has them open makes it write into a file that nobody will find, and others mix two files up
(https://www.sqlite.org/howtocorrupt.html, section 4). So names and files are compared before each use, and the lock
file says to which database the log belongs that was last written.
"""

from __future__ import annotations

import os
import sqlite3

from gnomon.system.filelock import FileLock, nap, noted
from gnomon.system.place import Mark, Place, mark_of, read_marks, written

from .sqlite_errors import foreign_log, log_replaced, replaced

_SETTLE_MS = 2000
_NAPS, _NAP_S = 100, 0.01


class Presence:
    """Of the database of one store, as it was when this was made.

    Args:
        path: where it lies, without links in it: the log is beside it.
        name: what it was called; if that leads elsewhere, it is another one.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._place = Place(name)
        self._beside: tuple[Mark | None, ...] | None = None

    def check(self) -> None:
        """Costs a few microseconds.

        Raises:
            Unavailable: `database_replaced`.
        """
        if not self._place.is_right():
            raise replaced(self._place.name, gone=not os.path.exists(self._place.name))
        if self._beside is not None and _beside(self._path) != self._beside:
            raise log_replaced(self._path)

    def opened(self, *, whole: bool) -> None:
        """The first connection has read: what lies beside is in use from now on.

        Args:
            whole: both companions must be there.

        Raises:
            Unavailable: `database_replaced`: they are not; somebody took them away just now.
        """
        found = _beside(self._path)
        if None not in found:
            self._beside = found
        elif whole:
            raise log_replaced(self._path)

    def closed(self) -> None:
        """No connection is open."""
        self._beside = None

    def note(self, lock: FileLock) -> None:
        """Put on record, as holder of the lock, to which file the log belongs that is written from now on."""
        lock.note(written(self._marks()))

    def settle(self, db: sqlite3.Connection) -> bool:
        """Bring what the log holds into its own file, if it is still ours; the caller holds the lock.

        Returns False if others read it just now.
        """
        if read_marks(noted(f"{self._path}.lock")) != self._marks():
            return True  # others have begun another log, or ours was never written
        try:
            db.execute(f"PRAGMA busy_timeout={_SETTLE_MS}")
            return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            return False

    def close(self) -> None:
        """Idempotent."""
        self._place.close()

    def _marks(self) -> list[Mark]:
        return [mark for mark in (self._place.mark, *(self._beside or ())) if mark is not None]


def refuse_foreign_log(path: str) -> None:
    """Before a connection is opened.

    Raises:
        Unavailable: `database_replaced`: SQLite would take another file's log for its own.
    """
    for _ in range(_NAPS):  # one of the two alone: whoever has them open closes, or makes the other anew
        wal, shm = _beside(path)
        if (wal is None) == (shm is None):
            break
        nap(_NAP_S)
    marks = read_marks(noted(f"{path}.lock"))
    wal = mark_of(f"{path}-wal")
    if len(marks) == 3 and marks[1] == wal and marks[0] != mark_of(path) and _has_content(f"{path}-wal"):
        raise foreign_log(path)


def _beside(path: str) -> tuple[Mark | None, Mark | None]:
    return mark_of(f"{path}-wal"), mark_of(f"{path}-shm")


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False
