"""SQLite: one writer at a time behind a fair file lock, group commit with fsync, readers beside it on snapshots."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from gnomon.core.errors import Problem, Unavailable
from gnomon.core.ports import Clock, Reader, Transaction
from gnomon.system.filelock import FileLock, LockTimeoutError

from . import forking
from .group import GroupCommit
from .sql.transaction import SqlReader
from .sqlite_errors import EXPLAINED, explain, locked
from .sqlite_presence import Presence, refuse_foreign_log
from .writer import Hook, Writer

T = TypeVar("T")
IDLE_READERS = 8
_LET_GO_S = 5.0
"""How long readers at work are waited for, when all connections have to be opened anew."""


def connect(path: str, *, timeout_s: float, read_only: bool = False, cache_kib: int = 8192) -> sqlite3.Connection:
    """A connection that begins no transaction by itself. WAL must be set already (it stays with the file)."""
    refuse_foreign_log(path)
    where = f"file:{_uri(path)}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(
        where, timeout=timeout_s, isolation_level=None, check_same_thread=False, cached_statements=256, uri=True
    )
    try:
        for setting in ("synchronous=FULL", f"cache_size=-{cache_kib}", "temp_store=MEMORY"):
            db.execute(f"PRAGMA {setting}")
    except sqlite3.Error:  # no database
        db.close()
        raise
    return db


def _uri(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class SqliteStore:
    """A `Store` in one SQLite file, shared by threads and by processes of one machine.

    Args:
        path: a file with the current schema (`gnomon.stores.open_store` sees to that).
        name: what it was called, if links lead from there to `path`.
        clock: for the times in the feed of changes.
        lock_timeout_s: how long a write waits for other processes before it gives up.
        read_only: every write is refused.
        on_commit: told "before_commit" and "after_commit"; what it raises before rolls back, after does not.
    """

    def __init__(
        self,
        path: str,
        clock: Clock,
        *,
        name: str | None = None,
        lock_timeout_s: float = 30.0,
        read_only: bool = False,
        on_commit: Hook | None = None,
    ) -> None:
        self.path = path
        self._presence = Presence(path, name or path)
        self._clock = clock
        self._timeout_s = lock_timeout_s
        self._read_only = read_only
        self._closed = False
        self._gate = threading.Condition(threading.Lock())
        self._forking = False
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._watching = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        self._watches = 0
        self._lock = None if read_only else FileLock(path, lock_timeout_s)
        self._writer = Writer(self._open_writer, self._exclusively, clock, path, on_commit, check=self._presence.check)
        self._group = GroupCommit(self._writer)
        forking.watch(self)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """See `core.ports.Store`."""
        self._ensure()
        if self._read_only:
            hint = "open it without mode=ro"
            raise Unavailable(Problem("database_read_only", f"{self.path} was opened for reading only", hint=hint))
        answer: T = self._group.write(work)
        return answer

    def read(self, work: Callable[[Reader], T]) -> T:
        """See `core.ports.Store`."""
        self._ensure()
        db = self._borrow()
        try:
            db.execute("BEGIN")
            session = SqlReader(db.cursor(), self._clock)
            try:
                return work(session)
            finally:
                session.end()
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except EXPLAINED as error:
            raise explain(error, self.path) from error
        finally:
            self._give_back(db)

    def data_version(self) -> int:
        """See `core.ports.Store`."""
        try:
            while True:
                self._ensure()
                with self._watching:
                    if not self._forking:
                        seen = int(self._pin().execute("PRAGMA data_version").fetchone()[0])
                        return (self._watches << 32) + seen
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _pin(self) -> sqlite3.Connection:
        """The connection that is opened first and closed last: while it lives, nobody puts the log away. The caller
        holds `_watching`."""
        if self._watch is None:
            db = self._open_reader()
            try:
                db.execute("PRAGMA schema_version").fetchone()
                self._presence.opened(whole=not self._read_only)
            except BaseException:
                db.close()
                raise
            self._watch = db
            self._watches += 1  # the number of a version means something within one connection only
        return self._watch

    def close(self) -> None:
        """See `core.ports.Store`."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
        self._writer.close()
        self._close_readers()
        self._presence.close()
        if self._lock is not None:
            self._lock.close()

    def before_fork(self) -> None:
        """See `forking.Forkable`."""
        self._step_aside(None)
        self._close_readers()

    def _step_aside(self, timeout_s: float | None) -> bool:
        """Let nobody begin, and wait for what is under way; whether it is over."""
        with self._gate:
            self._forking = True
        self._writer.pause()
        with self._gate:
            return self._gate.wait_for(lambda: not self._lent, timeout_s)

    def after_fork(self) -> None:
        """See `forking.Forkable`."""
        with self._gate:
            self._forking = False
            self._gate.notify_all()
        self._writer.resume()

    def forked(self) -> None:
        """See `forking.Forkable`."""
        self._closed, self._forking = True, False
        self._presence.close()
        self._gate, self._watching = threading.Condition(threading.Lock()), threading.Lock()

    def _ensure(self) -> None:
        """The store can be used, and its name means the file that it always meant.

        Connections to what had the name are let go first: they are opened anew when all is right again.
        """
        self._check_usable()
        try:
            self._presence.check()
        except Unavailable:
            self._let_go()
            self._presence.check()

    def _let_go(self) -> None:
        """Close every connection that this process has to the file, as soon as what the log holds is in it."""
        with forking.no_fork():
            own = [one for one in forking.stores() if isinstance(one, SqliteStore) and one.path == self.path]
            if self._watch is None or self._lock is None or any(one._group.is_led_here() for one in own):
                return
            with contextlib.ExitStack() as stack:
                idle = True
                for one in own:
                    idle = one._step_aside(_LET_GO_S) and idle
                    stack.callback(one.after_fork)
                if not idle:
                    return
                with self._exclusively():
                    settled = self._presence.settle(self._watch)
                for one in own if settled else ():
                    one._close_readers()

    def _close_readers(self) -> None:
        with self._gate:
            idle, self._idle = self._idle, []
        with self._watching:
            watch, self._watch = self._watch, None
            self._presence.closed()
        for db in [*idle, *([watch] if watch else [])]:
            db.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(Problem("store_closed", f"the store {self.path} was closed"))

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        self._check_open()
        assert self._lock is not None
        try:
            self._lock.acquire()
        except LockTimeoutError:
            raise locked(self.path, self._timeout_s) from None
        try:
            yield
        finally:
            self._lock.release()

    def _open_writer(self) -> sqlite3.Connection:
        self._check_open()
        assert self._lock is not None
        with self._watching:
            self._pin()
        self._presence.note(self._lock)
        db = connect(self.path, timeout_s=self._timeout_s, cache_kib=32768)
        db.execute("PRAGMA wal_autocheckpoint=2000")
        db.execute("PRAGMA journal_size_limit=67108864")
        return db

    def _open_reader(self) -> sqlite3.Connection:
        db = connect(self.path, timeout_s=self._timeout_s, read_only=self._read_only)
        db.execute("PRAGMA query_only=1")
        return db

    def _check_usable(self) -> None:
        """Wait while the process forks."""
        while self._forking:
            with self._gate:
                self._gate.wait_for(lambda: not self._forking)
        self._check_open()

    def _borrow(self) -> sqlite3.Connection:
        with self._gate:
            self._gate.wait_for(lambda: not self._forking)
            self._check_open()
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            with self._watching:
                self._pin()
            return self._open_reader()
        except BaseException as error:
            self._give_back(None)
            if isinstance(error, sqlite3.Error):
                raise explain(error, self.path) from error
            raise

    def _give_back(self, db: sqlite3.Connection | None) -> None:
        with self._gate:
            keep = db is not None and not self._closed and not self._forking and len(self._idle) < IDLE_READERS
            if db is not None and keep:
                self._idle.append(db)
            elif db is not None:
                db.close()
            self._lent -= 1
            if self._forking and not self._lent:
                self._gate.notify_all()
