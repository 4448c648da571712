"""SQLite: one writer at a time behind a fair file lock, group commit with fsync, readers beside it on snapshots."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from gnomon.core.errors import GnomonError, Problem, Unavailable
from gnomon.core.ports import Clock, Reader, Transaction
from gnomon.system.filelock import FileLock, LockTimeoutError

from . import forking
from .group import GroupCommit, Ticket
from .sql.transaction import SqlReader, SqlTransaction
from .sqlite_errors import EXPLAINED, explain, locked

T = TypeVar("T")
Hook = Callable[[str], None]
IDLE_READERS = 8


def connect(path: str, *, timeout_s: float, read_only: bool = False, cache_kib: int = 8192) -> sqlite3.Connection:
    """A connection that begins no transaction by itself. WAL must be set already (it stays with the file)."""
    where = f"file:{_uri(path)}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(
        where, timeout=timeout_s, isolation_level=None, check_same_thread=False, cached_statements=256, uri=True
    )
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA cache_size=-{cache_kib}")
    db.execute("PRAGMA temp_store=MEMORY")
    return db


def _uri(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class Writer:
    """One write connection and the shared transactions on it (`group.Committer`)."""

    def __init__(
        self,
        open_: Callable[[], sqlite3.Connection],
        guard: Callable[[], contextlib.AbstractContextManager[object]],
        clock: Clock,
        place: str,
        on_commit: Hook | None,
        *,
        reopens: bool = True,
    ) -> None:
        self._reopens = reopens
        self._open = open_
        self._guard = guard
        self._clock = clock
        self._place = place
        self._on_commit = on_commit
        self._db: sqlite3.Connection | None = None
        self._busy = threading.RLock()
        self.commits = 0

    def commit(self, take: Callable[[], list[Ticket]]) -> None:
        """See `group.Committer`."""
        try:
            with self._busy, self._guard():
                self._commit(take)
        except sqlite3.Error as error:
            raise explain(error, self._place) from error

    def _commit(self, take: Callable[[], list[Ticket]]) -> None:
        if self._db is None:
            self._db = self._open()
        db, tickets, committing = self._db, list[Ticket](), False
        try:
            db.execute("BEGIN IMMEDIATE")
            tickets = take()
            if self._run_all(db, tickets):
                self._tell("before_commit")
                committing = True
                db.execute("COMMIT")
                self.commits += 1
            elif db.in_transaction:
                db.execute("ROLLBACK")
        except BaseException as error:
            if committing and not isinstance(error, sqlite3.Error) and not db.in_transaction:
                for ticket in tickets:  # an interrupt right behind the commit: it is durable
                    ticket.kept = True
                raise
            self._abandon(db, error)
            raise
        if committing:
            try:
                self._tell("after_commit")
            except BaseException as error:
                for ticket in tickets:
                    ticket.error = error

    def _run_all(self, db: sqlite3.Connection, tickets: list[Ticket]) -> bool:
        """Whether there is anything to commit."""
        touched: dict[str, dict[str, None]] = {}
        wrote = False
        for ticket in tickets:
            session = SqlTransaction(db.cursor(), self._clock)
            if self._run(db, ticket, session, alone=len(tickets) == 1):
                wrote = wrote or session.wrote
                for kind, ids in session.touched.items():
                    touched.setdefault(kind, {}).update(ids)
            session.end()
        if touched:
            feed = SqlTransaction(db.cursor(), self._clock)
            feed.append_change(self._clock.now(), touched)
            feed.end()
        return wrote

    def _run(self, db: sqlite3.Connection, ticket: Ticket, session: SqlTransaction, *, alone: bool) -> bool:
        """Run one work; whether it is to be kept."""
        if not alone:
            db.execute("SAVEPOINT work")
        try:
            ticket.answer = ticket.work(session)
            session.keep_tokens()
        except BaseException as error:
            if not (isinstance(error, Exception) or ticket.leads):
                raise
            ticket.answer = None
            ticket.error = explain(error, self._place) if isinstance(error, EXPLAINED) else error
            if ticket.error is not error:
                ticket.error.__cause__ = error
            if alone and db.in_transaction:
                db.execute("ROLLBACK")
            elif not alone:
                if not db.in_transaction and isinstance(ticket.error, GnomonError):
                    raise ticket.error from None  # SQLite gave up the whole transaction, the others' work with it
                db.execute("ROLLBACK TO work")
                db.execute("RELEASE work")
            return False
        if not alone:
            db.execute("RELEASE work")
        return True

    def _abandon(self, db: sqlite3.Connection, error: BaseException) -> None:
        with contextlib.suppress(sqlite3.Error):
            if db.in_transaction:
                db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error) and self._reopens:
            self._db = None  # after a failed write or fsync, begin anew from what the file says
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def _tell(self, moment: str) -> None:
        if self._on_commit is not None:
            self._on_commit(moment)

    def close(self) -> None:
        """After the transaction under way, if any. Idempotent."""
        with self._busy:
            self._close()

    def pause(self) -> None:
        """Close after the transaction under way, and begin none before `resume`, which the same thread calls."""
        self._busy.acquire()
        self._close()

    def resume(self) -> None:
        """See `pause`."""
        self._busy.release()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class SqliteStore:
    """A `Store` in one SQLite file, shared by threads and by processes of one machine.

    Args:
        path: a file with the current schema (`gnomon.stores.open_store` sees to that).
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
        lock_timeout_s: float = 30.0,
        read_only: bool = False,
        on_commit: Hook | None = None,
    ) -> None:
        self.path = path
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
        self._writer = Writer(self._open_writer, self._exclusively, clock, path, on_commit)
        self._group = GroupCommit(self._writer)
        forking.watch(self)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """See `core.ports.Store`."""
        self._check_usable()
        if self._read_only:
            hint = "open it without mode=ro"
            raise Unavailable(Problem("database_read_only", f"{self.path} was opened for reading only", hint=hint))
        answer: T = self._group.write(work)
        return answer

    def read(self, work: Callable[[Reader], T]) -> T:
        """See `core.ports.Store`."""
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
                self._check_usable()
                with self._watching:
                    if not self._forking:
                        return self._look()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _look(self) -> int:
        if self._watch is None:
            self._watch = self._open_reader()
            self._watches += 1  # the number means something within one connection only
        return (self._watches << 32) + int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """See `core.ports.Store`."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
        self._close_readers()
        self._writer.close()
        if self._lock is not None:
            self._lock.close()

    def before_fork(self) -> None:
        """See `forking.Forkable`."""
        with self._gate:
            self._forking = True
        self._writer.pause()
        with self._gate:
            self._gate.wait_for(lambda: not self._lent)
        self._close_readers()

    def after_fork(self) -> None:
        """See `forking.Forkable`."""
        with self._gate:
            self._forking = False
            self._gate.notify_all()
        self._writer.resume()

    def forked(self) -> None:
        """See `forking.Forkable`."""
        self._closed, self._forking = True, False
        self._gate, self._watching = threading.Condition(threading.Lock()), threading.Lock()

    def _close_readers(self) -> None:
        with self._gate:
            idle, self._idle = self._idle, []
        with self._watching:
            watch, self._watch = self._watch, None
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
