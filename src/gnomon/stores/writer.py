"""The one connection to SQLite that writes, and the transactions on it that several works share."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable

from gnomon.core.errors import GnomonError
from gnomon.core.ports import Clock

from .group import Ticket
from .sql.transaction import SqlTransaction
from .sqlite_errors import EXPLAINED, explain

Hook = Callable[[str], None]


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
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._reopens = reopens
        self._check = check
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
                self._check()
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
            self._check()
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
