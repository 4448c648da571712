"""Group commit where it is awkward: interrupts, failed commits, interrupted waits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gnomon.core.errors import InvariantViolated, Unavailable
from gnomon.core.ports import Transaction
from gnomon.stores.group import GroupCommit, Ticket
from gnomon.stores.sqlite_errors import explain


class Fake:
    """A committer that does what the test says before each commit."""

    def __init__(self) -> None:
        self.before: Callable[[list[Ticket]], None] = lambda tickets: None
        self.sizes: list[int] = []

    def commit(self, take: Callable[[], list[Ticket]]) -> None:
        tickets = take()
        self.before(tickets)
        for ticket in tickets:
            ticket.answer = ticket.work(None)  # type: ignore[arg-type]
        self.sizes.append(len(tickets))


def held(fake: Fake, pool: ThreadPoolExecutor, group: GroupCommit, count: int) -> tuple[Any, list[Any]]:
    """A leader that is inside its commit, and `count` others that wait; the leader goes on by `go`."""
    inside, go = threading.Event(), threading.Event()

    def first(tx: Transaction) -> str:
        inside.set()
        assert go.wait(30)
        return "first"

    leading = pool.submit(group.write, first)
    assert inside.wait(30)
    others = [pool.submit(group.write, lambda tx, n=n: n) for n in range(count)]  # type: ignore[misc]
    while len(group._waiting) < count:
        threading.Event().wait(0.001)
    return (leading, go), others


def test_those_that_wait_share_the_next_commit() -> None:
    fake = Fake()
    group = GroupCommit(fake)
    with ThreadPoolExecutor(9) as pool:
        (leading, go), others = held(fake, pool, group, 8)
        go.set()
        assert leading.result(30) == "first"
        assert [future.result(30) for future in others] == list(range(8))
    assert fake.sizes == [1, 8]


def test_a_failed_commit_is_told_to_everyone_in_it_and_to_nobody_else() -> None:
    fake = Fake()
    group = GroupCommit(fake)

    def fail(tickets: list[Ticket]) -> None:
        if len(tickets) > 1:
            raise explain(sqlite3.OperationalError("disk I/O error"), "x.db")

    fake.before = fail
    with ThreadPoolExecutor(4) as pool:
        (leading, go), others = held(fake, pool, group, 3)
        go.set()
        assert leading.result(30) == "first"
        for future in others:
            with pytest.raises(InvariantViolated):
                future.result(30)
    assert group.write(lambda tx: "on") == "on"


def test_an_interrupt_of_the_leader_is_not_the_others_misfortune() -> None:
    fake = Fake()
    group = GroupCommit(fake)
    times = 0

    def interrupt(tickets: list[Ticket]) -> None:
        nonlocal times
        times += len(tickets) > 1
        if len(tickets) > 1 and times == 1:
            raise KeyboardInterrupt

    fake.before = interrupt
    with ThreadPoolExecutor(4) as pool:
        (_, go), others = held(fake, pool, group, 3)
        go.set()
        results = [future.exception(30) or future.result() for future in others]
    assert sum(isinstance(result, KeyboardInterrupt) for result in results) == 1
    assert sorted(result for result in results if isinstance(result, int)) == [1, 2]
    assert group.write(lambda tx: "on") == "on"


def test_what_was_durable_when_the_interrupt_came_is_not_done_again() -> None:
    fake = Fake()
    group = GroupCommit(fake)
    done: list[int] = []

    def interrupt(tickets: list[Ticket]) -> None:
        if len(tickets) > 1:
            for ticket in tickets:
                ticket.answer = ticket.work(None)  # type: ignore[arg-type]
                ticket.kept = True
                done.append(ticket.answer)
            raise KeyboardInterrupt

    fake.before = interrupt
    with ThreadPoolExecutor(4) as pool:
        (_, go), others = held(fake, pool, group, 3)
        go.set()
        results = [future.exception(30) or future.result() for future in others]
    assert done == [0, 1, 2]
    assert isinstance(results[0], KeyboardInterrupt)
    assert results[1:] == [1, 2]


class Interrupted(threading.Event):
    """A wait that a signal ends."""

    def wait(self, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt


def test_an_interrupted_wait_withdraws_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    group = GroupCommit(fake)
    ran: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        (leading, go), _ = held(fake, pool, group, 0)
        with monkeypatch.context() as patch:
            patch.setattr("gnomon.stores.group.threading.Event", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                group.write(lambda tx: ran.append("no"))
        go.set()
        assert leading.result(30) == "first"
    assert group.write(lambda tx: "on") == "on"
    assert not ran


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        (sqlite3.SQLITE_FULL, Unavailable, "disk_full"),
        (sqlite3.SQLITE_IOERR_FSYNC, Unavailable, "database_io_error"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable, "database_locked"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Unavailable, "database_read_only"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, Unavailable, "database_cannot_open"),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, InvariantViolated, "store_statement"),
    ],
)
def test_what_sqlite_reports_in_words(code: int, kind: type[Exception], name: str) -> None:
    said = sqlite3.OperationalError("what it said")
    said.sqlite_errorcode = code
    error = explain(said, "/data/x.db")
    assert isinstance(error, kind)
    assert error.code == name
    for word in ("/data/x.db", "what it said"):
        assert word in str(error)
