"""Group commit: callers that come while a commit is under way share the next one.

The first caller leads: it runs every waiting work in one transaction, each behind a savepoint, commits once, and
hands the lead to the first of those that came meanwhile. Nobody hears of success before the commit is durable.
So a work may run in another caller's thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gnomon.core.errors import InvariantViolated, Problem
from gnomon.core.ports import Transaction

MOST_AT_ONCE = 512


class Ticket:
    """One caller's work, and what became of it."""

    __slots__ = ("answer", "error", "kept", "leads", "settled", "wake", "work")

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.answer: Any = None
        self.error: BaseException | None = None
        self.kept = False  # durable, though the commit was interrupted right after
        self.settled = False
        self.leads = False
        self.wake: threading.Event | None = None

    def settle(self) -> None:
        """What became of it is final: tell the caller."""
        self.settled = True
        if self.wake is not None:
            self.wake.set()


class Committer(Protocol):
    """Performs one shared transaction."""

    def commit(self, take: Callable[[], list[Ticket]]) -> None:
        """Open a transaction, then `take` the tickets, run each, commit.

        Fills `answer` or `error` of each. Raises what spoils the whole transaction: nothing was kept then, except
        of tickets marked `kept`.
        """


class GroupCommit:
    """Turns many callers' writes into few transactions. Safe for threads; one transaction at a time."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._gate = threading.Lock()
        self._waiting: deque[Ticket] = deque()
        self._leading = False
        self._leader: int | None = None

    def is_led_here(self) -> bool:
        """Whether this thread is in the middle of a shared transaction."""
        return self._leader == threading.get_ident()

    def write(self, work: Callable[[Transaction], Any]) -> Any:
        """Run `work` in a transaction of its own or a shared one; return its value once that is durable."""
        me = threading.get_ident()
        if self.is_led_here():
            raise InvariantViolated(Problem("nested_write", "a write was begun inside a write"))
        ticket = Ticket(work)
        with self._gate:
            self._waiting.append(ticket)
            if self._leading:
                ticket.wake = threading.Event()
            else:
                self._leading = ticket.leads = True
        if ticket.wake is not None:
            self._wait(ticket, ticket.wake)
        if ticket.leads and not ticket.settled:
            self._lead(me)
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer

    def _wait(self, ticket: Ticket, wake: threading.Event) -> None:
        try:
            wake.wait()
        except BaseException:
            # Interrupted (KeyboardInterrupt): withdraw what nobody has begun, and pass on a lead just received.
            with self._gate:
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                if ticket.leads and not ticket.settled:
                    self._hand_on()
            raise

    def _lead(self, me: int) -> None:
        taken: list[Ticket] = []

        def take() -> list[Ticket]:
            with self._gate:
                while self._waiting and len(taken) < MOST_AT_ONCE:
                    taken.append(self._waiting.popleft())
            return taken

        self._leader = me
        try:
            self._committer.commit(take)
        except Exception as error:
            for ticket in taken or take():
                ticket.error = error
        except BaseException:
            # It struck this thread only: what was rolled back of the others is done again by the next leader.
            with self._gate:
                self._waiting.extendleft([ticket for ticket in reversed(taken) if not (ticket.leads or ticket.kept)])
            taken = [ticket for ticket in taken if ticket.kept]
            raise
        finally:
            self._leader = None
            with self._gate:
                self._hand_on()
            for ticket in taken:
                ticket.settle()

    def _hand_on(self) -> None:
        """Make the first in line the leader. The gate is held."""
        if self._waiting:
            heir = self._waiting[0]
            heir.leads = True
            if heir.wake is not None:
                heir.wake.set()
        else:
            self._leading = False
