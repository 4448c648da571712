"""Promises about attempts and their tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gnomon.core.attempts import Failure, Handle, Outcome
from gnomon.core.model import Rate
from gnomon.core.ports import Store, Transaction

from .base import StoreCase, at, attempt, job, job_record, put_jobs, put_runs, run

FULL = attempt(
    "1",
    2,
    7,
    node_id="n2",
    claimed_at=at(0.25),
    executor="pool",
    started_at=at(1),
    finished_at=at(2),
    outcome=Outcome.TIMED_OUT,
    handle=Handle("w1", {"pid": 4711, "start": [1, None]}),
    exit_code=-15,
    error=Failure("timed_out", "über 1 s"),
    duration_s=0.5,
    log_bytes=1 << 40,
)


class AttemptCases(StoreCase):
    """Claims, fencing, what is live."""

    def test_attempt_comes_back_as_it_was(self, store: Store) -> None:
        put_runs(store, run("1"))
        bare = attempt("1", handle=Handle("w1"))
        store.write(lambda tx: tx.insert_attempts([FULL, bare]))
        assert store.read(lambda r: r.attempt("1", 2)) == FULL
        assert store.read(lambda r: r.attempts(["1", "2"])) == {"1": (bare, FULL)}
        assert store.read(lambda r: r.attempt("1", 3)) is None
        assert store.read(lambda r: r.attempts([])) == {}

    def test_update_needs_the_stored_token(self, store: Store) -> None:
        store.write(lambda tx: tx.insert_attempts([attempt("1", token=5), attempt("2", token=6)]))
        started = [attempt("1", token=5, started_at=at(1)), attempt("2", token=5, started_at=at(1))]
        refused = store.write(lambda tx: tx.update_attempts([*started, attempt("3")]))
        assert list(refused) == [("2", 1), ("3", 1)]
        assert store.read(lambda r: r.attempt("1", 1)) == started[0]
        assert store.read(lambda r: r.attempt("2", 1)) == attempt("2", token=6)
        assert list(store.write(lambda tx: tx.update_attempts([]))) == []

    def test_an_ended_attempt_takes_nothing_more(self, store: Store) -> None:
        ended = attempt("1", outcome=Outcome.SUCCEEDED, finished_at=at(3))
        store.write(lambda tx: tx.insert_attempts([attempt("1")]))
        assert list(store.write(lambda tx: tx.update_attempts([ended, replace(ended, exit_code=9)]))) == [("1", 1)]
        assert list(store.write(lambda tx: tx.update_attempts([ended]))) == [("1", 1)]
        takeover = {("1", 1): 1}
        assert list(store.write(lambda tx: tx.update_attempts([attempt("1", token=2)], token=takeover))) == [("1", 1)]
        assert store.read(lambda r: r.attempt("1", 1)) == ended

    def test_takeover_changes_the_token_and_fences_the_former_owner(self, store: Store) -> None:
        store.write(lambda tx: tx.insert_attempts([attempt("1", token=5), attempt("2", token=6)]))
        mine = [attempt("1", token=9, node_id="n2"), attempt("2", token=10, node_id="n2")]
        expected = {("1", 1): 5, ("2", 1): 5}
        assert list(store.write(lambda tx: tx.update_attempts(mine, token=expected))) == [("2", 1)]
        assert store.read(lambda r: r.attempt("1", 1)) == mine[0]
        late = attempt("1", token=5, outcome=Outcome.SUCCEEDED)
        assert list(store.write(lambda tx: tx.update_attempts([late]))) == [("1", 1)]
        assert not store.write(lambda tx: tx.update_attempts([replace(mine[0], outcome=Outcome.LOST)]))

    def test_live_attempts_of_a_node(self, store: Store) -> None:
        ended = attempt("3", outcome=Outcome.FAILED)
        store.write(
            lambda tx: tx.insert_attempts([attempt("1"), attempt("2", 4), ended, attempt("4", node_id="other")])
        )
        assert [a.run_id for a in store.read(lambda r: r.live_attempts("n1"))] == ["1", "2"]
        assert store.read(lambda r: r.live_count("n1")) == 2
        assert store.read(lambda r: r.live_count("nobody")) == 0
        assert store.read(lambda r: r.live_by_executor("n1")) == {"commands": 2}
        assert store.read(lambda r: r.live_by_executor("nobody")) == {}

    @pytest.mark.parametrize("rated", [False, True])
    def test_starts_since(self, store: Store, rated: bool) -> None:
        put_jobs(store, job_record(job("a", rate=Rate(5, 60.0) if rated else None)), "b")
        put_runs(store, run("1"), run("2"), run("x", job_id="b"))
        claims = [("2", 1, 30), ("1", 1, 10), ("1", 2, 20), ("x", 1, 15)]
        records = [attempt(name, number, claimed_at=at(when)) for name, number, when in claims]
        store.write(lambda tx: tx.insert_attempts(records))
        assert list(store.read(lambda r: r.starts_since("a", at(10)))) == [at(20), at(30)]
        assert list(store.read(lambda r: r.starts_since("a", at(0)))) == [at(10), at(20), at(30)]
        assert list(store.read(lambda r: r.starts_since("nope", at(0)))) == []

    def test_a_rate_given_later_counts_earlier_starts(self, store: Store) -> None:
        put_jobs(store, "a")
        put_runs(store, run("1"), run("2"))
        store.write(lambda tx: tx.insert_attempts([attempt("1", claimed_at=at(1))]))
        put_jobs(store, job_record(job("a", rate=Rate(1, 60.0)), version=2))
        store.write(lambda tx: tx.insert_attempts([attempt("2", claimed_at=at(2))]))
        assert list(store.read(lambda r: r.starts_since("a", at(0)))) == [at(1), at(2)]

    def test_tokens_only_grow(self, store: Store) -> None:
        def three(tx: Transaction) -> list[int]:
            return [tx.next_token() for _ in range(3)]

        first = store.write(three)
        assert first == sorted(set(first))
        assert min(store.write(three)) > max(first)
