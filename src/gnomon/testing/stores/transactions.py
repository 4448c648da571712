"""Promises about transactions: all or nothing, alone, and only then told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from gnomon.core.errors import InvariantViolated, Unavailable
from gnomon.core.ports import Reader, Store, Transaction

from .base import Opener, StoreCase, ids, put_runs, run


class Boom(Exception):
    """Raised by a work on purpose."""


def adding(name: str, fail: bool = False) -> Callable[[Transaction], str]:
    """Adds a run and perhaps raises."""

    def work(tx: Transaction) -> str:
        tx.insert_runs([run(name)])
        if fail:
            raise Boom(name)
        return name

    return work


class TransactionCases(StoreCase):
    """One store, one or more threads."""

    def test_write_returns_what_the_work_returns(self, store: Store) -> None:
        assert store.write(adding("1")) == "1"
        assert store.read(lambda r: r.run("1")) == run("1")

    def test_a_work_that_raises_leaves_nothing(self, store: Store) -> None:
        version = store.data_version()

        def work(tx: Transaction) -> None:
            tx.insert_runs([run("1")])
            tx.put_setting("x", "y")
            tx.next_token()
            raise Boom

        with pytest.raises(Boom):
            store.write(work)
        assert store.read(lambda r: (r.run("1"), r.setting("x"), r.last_change())) == (None, None, 0)
        assert store.data_version() == version
        assert store.write(adding("1")) == "1"

    def test_a_work_sees_its_own_writes(self, store: Store) -> None:
        def work(tx: Transaction) -> list[str]:
            tx.insert_runs([run("1")])
            return ids(tx.queued(["default"], 5))

        assert store.write(work) == ["1"]

    def test_data_version_moves_with_commits_only(self, store: Store) -> None:
        before = store.data_version()
        assert store.data_version() == before
        store.read(lambda r: r.run("1"))
        store.write(lambda tx: tx.run("1"))
        assert store.data_version() == before
        store.write(adding("1"))
        assert store.data_version() != before

    def test_a_write_inside_a_write_is_refused(self, store: Store) -> None:
        with pytest.raises(InvariantViolated) as caught:
            store.write(lambda tx: store.write(adding("1")))
        assert caught.value.code == "nested_write"
        assert store.write(adding("1")) == "1"

    def test_a_read_inside_a_read(self, store: Store) -> None:
        put_runs(store, run("1"))
        assert store.read(lambda r: store.read(lambda inner: inner.run("1"))) == run("1")

    def test_a_transaction_ends_with_its_work(self, store: Store) -> None:
        kept: list[Reader] = []
        store.write(kept.append)
        store.read(kept.append)
        for reader in kept:
            with pytest.raises(Exception, match="cursor"):
                reader.run("1")

    def test_many_threads_lose_nothing_and_poison_nobody(self, store: Store) -> None:
        workers, each = 8, 25
        begin = threading.Barrier(workers)

        def work(number: int) -> list[str]:
            begin.wait(30)
            done = []
            for turn in range(each):
                name, fails = f"{number}-{turn}", turn % 5 == number % 5
                if fails:
                    with pytest.raises(Boom, match=f"^{name}$"):
                        store.write(adding(name, fails))
                else:
                    done.append(store.write(adding(name)))
            return done

        with ThreadPoolExecutor(workers) as pool:
            told = [name for names in pool.map(work, range(workers)) for name in names]
        assert len(told) == workers * each * 4 // 5
        assert sorted(ids(store.read(lambda r: r.queued(["default"], 1000)))) == sorted(told)
        feed = store.read(lambda r: r.changes(0))
        assert sorted(name for change in feed for name in change.ids["runs"]) == sorted(told)

    def test_counting_from_threads_is_exact(self, store: Store) -> None:
        def work(tx: Transaction) -> int:
            count = int(tx.setting("count") or 0) + 1
            tx.put_setting("count", str(count))
            return tx.next_token()

        with ThreadPoolExecutor(4) as pool:
            tokens = list(pool.map(lambda _: store.write(work), range(100)))
        assert store.read(lambda r: r.setting("count")) == "100"
        assert len(set(tokens)) == 100

    def test_before_commit_rolls_back(self, opened: Opener) -> None:
        armed = True

        def hook(moment: str) -> None:
            if armed and moment == "before_commit":
                raise Boom

        store = opened(hook)
        with pytest.raises(Boom):
            store.write(adding("1"))
        armed = False
        assert store.read(lambda r: r.run("1")) is None
        assert store.write(adding("1")) == "1"

    def test_after_commit_is_durable_though_the_caller_hears_an_error(self, opened: Opener) -> None:
        moments: list[str] = []

        def hook(moment: str) -> None:
            moments.append(moment)
            if moment == "after_commit":
                raise Boom

        store = opened(hook)
        with pytest.raises(Boom):
            store.write(adding("1"))
        assert moments == ["before_commit", "after_commit"]
        assert store.read(lambda r: r.run("1")) == run("1")
        store.write(lambda tx: tx.run("1"))
        assert len(moments) == 2

    def test_closed(self, store: Store) -> None:
        store.close()
        store.close()
        for act in (lambda: store.write(adding("1")), lambda: store.read(lambda r: r.run("1"))):
            with pytest.raises(Unavailable) as caught:
                act()
            assert caught.value.code == "store_closed"

    def test_closing_waits_for_the_write_under_way(self, store: Store) -> None:
        inside, go = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> str:
            inside.set()
            assert go.wait(30)
            tx.insert_runs([run("1")])
            return "kept"

        with ThreadPoolExecutor(3) as pool:
            writing = pool.submit(store.write, slow)
            assert inside.wait(30)
            closing, late = pool.submit(store.close), pool.submit(store.write, adding("2"))
            go.set()
            assert writing.result(30) == "kept"
            closing.result(30)
            error = late.exception(30)
        assert error is None or (isinstance(error, Unavailable) and error.code == "store_closed")
