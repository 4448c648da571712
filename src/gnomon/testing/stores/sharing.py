"""Promises of durable stores: several over the same facts, snapshots, what stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gnomon.core.ports import Reader, Store, Transaction

from .base import Opener, StoreCase, put_runs, run
from .transactions import Boom, adding


class SharingCases(StoreCase):
    """Skipped for stores that are not `durable`."""

    @pytest.fixture
    def other(self, opened: Opener, store: Store) -> Store:
        if not self.durable:
            pytest.skip("keeps nothing that could be shared")
        return opened()

    def test_facts_outlive_the_store(self, store: Store, other: Store) -> None:
        put_runs(store, run("1"))
        store.close()
        assert other.read(lambda r: r.run("1")) == run("1")

    def test_each_sees_the_others_commits(self, store: Store, other: Store) -> None:
        before = other.data_version()
        put_runs(store, run("1"))
        assert other.data_version() != before
        assert other.read(lambda r: r.run("1")) == run("1")
        assert list(other.write(lambda tx: tx.insert_runs([run("2", run_key="key-1")]))) == ["2"]

    def test_tokens_grow_over_both(self, store: Store, other: Store) -> None:
        tokens = [which.write(lambda tx: tx.next_token()) for which in (store, other, store, other)]
        assert tokens == sorted(set(tokens))

    def test_a_read_is_a_snapshot_and_blocks_no_writer(self, store: Store, other: Store) -> None:
        def look(reader: Reader) -> list[object]:
            before = reader.run("1")
            put_runs(other, run("1"))
            put_runs(store, run("2"))
            return [before, reader.run("1"), reader.run("2"), reader.last_change()]

        assert store.read(look) == [None, None, None, 0]
        assert store.read(lambda r: r.run("2")) == run("2")

    def test_a_write_is_seen_only_when_it_is_committed(self, store: Store, other: Store) -> None:
        def work(tx: Transaction) -> object:
            tx.insert_runs([run("1")])
            return other.read(lambda r: r.run("1"))

        assert store.write(work) is None

    def test_counting_over_several_stores_is_exact(self, store: Store, other: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.put_setting("count", str(int(tx.setting("count") or 0) + 1))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: (store, other)[n % 2].write(work), range(60)))
        assert store.read(lambda r: r.setting("count")) == "60"

    def test_works_that_wait_share_one_commit_and_fail_alone(self, opened: Opener, other: Store) -> None:
        commits: list[str] = []
        store = opened(commits.append)
        held, go = threading.Event(), threading.Event()

        def first(tx: Transaction) -> None:
            held.set()
            assert go.wait(30)
            tx.insert_runs([run("first")])

        with ThreadPoolExecutor(12) as pool:
            leading = pool.submit(store.write, first)
            assert held.wait(30)
            begun = threading.Barrier(11)

            def later(number: int) -> str:
                begun.wait(30)
                return store.write(adding(f"{number}", number == 5))

            waiting = [pool.submit(later, number) for number in range(10)]
            begun.wait(30)
            go.set()
            leading.result(30)
            for number, future in enumerate(waiting):
                if number == 5:
                    with pytest.raises(Boom):
                        future.result(30)
                else:
                    assert future.result(30) == str(number)
        names = ["first", *map(str, range(10))]
        assert sorted(other.read(lambda r: r.runs_by_id(names))) == sorted(set(names) - {"5"})
        assert commits.count("before_commit") < 11
