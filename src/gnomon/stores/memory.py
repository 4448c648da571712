"""SQLite in memory: gone with the object. One connection, one lock; opening takes a few milliseconds."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TypeVar

from gnomon.core.errors import InvariantViolated, Problem, Unavailable
from gnomon.core.ports import Clock, Reader, Transaction

from . import forking
from .group import Ticket
from .schema_sqlite import create
from .sql.transaction import SqlReader
from .sqlite_errors import EXPLAINED, explain
from .writer import Hook, Writer

T = TypeVar("T")
PLACE = "in memory"


class MemoryStore:
    """A `Store` that keeps nothing. Reads and writes take turns; a read inside a write sees what it wrote."""

    def __init__(self, clock: Clock, *, on_commit: Hook | None = None) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._writing = False
        self._closed = False
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=256)
        weakref.finalize(self, self._db.close)  # nobody need close what is gone with the store
        create(self._db)
        self._writer = Writer(lambda: self._db, contextlib.nullcontext, clock, PLACE, on_commit, reopens=False)
        forking.watch(self)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """See `core.ports.Store`."""
        with self._turn():
            if self._writing:
                raise InvariantViolated(Problem("nested_write", "a write was begun inside a write"))
            ticket = Ticket(work)
            ticket.leads = True
            self._writing = True
            try:
                self._writer.commit(lambda: [ticket])
            finally:
                self._writing = False
        if ticket.error is not None:
            raise ticket.error
        answer: T = ticket.answer
        return answer

    def read(self, work: Callable[[Reader], T]) -> T:
        """See `core.ports.Store`."""
        with self._turn():
            session = SqlReader(self._db.cursor(), self._clock)
            try:
                return work(session)
            except EXPLAINED as error:
                raise explain(error, PLACE) from error
            finally:
                session.end()

    def data_version(self) -> int:
        """See `core.ports.Store`."""
        return self._writer.commits

    def close(self) -> None:
        """See `core.ports.Store`."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writer.close()
                self._db.close()

    def before_fork(self) -> None:
        """See `forking.Forkable`. The connection stays: nothing of it is shared, but SQLite's own locks are."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """See `forking.Forkable`."""
        self._lock.release()

    def forked(self) -> None:
        """See `forking.Forkable`."""
        self._closed = True
        self._lock.release()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise Unavailable(Problem("store_closed", "the store in memory was closed"))
            yield
