"""When the database stands still, reading goes on: writers beyond some are sent away at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gnomon.core.errors import Unavailable
from gnomon.operations.unclogging import MOST, PATIENCE_S, Unclogged


class Stuck:
    """A store that keeps no write until it is let go; and the clock."""

    def __init__(self) -> None:
        self.let_go, self.seconds = threading.Event(), 0.0

    def write(self, work: Any) -> Any:
        assert self.let_go.wait(20)
        return work(None)

    def read(self, work: Any) -> Any:
        return work(None)

    def monotonic(self) -> float:
        return self.seconds


def test_writers_beyond_some_are_sent_away_while_the_first_waits_long() -> None:
    stuck: Any = Stuck()
    store, done = Unclogged(stuck, stuck), []
    threads = [threading.Thread(target=lambda n=n: done.append(store.write(lambda _: n))) for n in range(MOST)]
    for thread in threads:
        thread.start()
    early = threading.Thread(target=lambda: done.append(store.write(lambda _: -1)))
    early.start()  # not long enough yet: it waits too
    while len(store._waiting) < MOST + 1:
        threading.Event().wait(0.005)
    stuck.seconds = PATIENCE_S + 0.1
    with pytest.raises(Unavailable, match="wait for the database"):
        store.write(lambda _: 0)
    assert store.read(lambda _: "read") == "read"
    stuck.let_go.set()
    for thread in (*threads, early):
        thread.join(20)
    assert sorted(done) == list(range(-1, MOST))
    assert store.write(lambda _: "again") == "again", "it goes on by itself"
    (found,) = store.checks()
    assert found.name == "writes_refused"
    assert "1 changes were refused lately" in found.message
    stuck.seconds += 601
    assert list(store.checks()) == []
