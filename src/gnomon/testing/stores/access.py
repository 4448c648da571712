"""Promises about tokens, users, sessions, kept answers, and the audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gnomon.core.access import KeptAnswer, Role, SessionRecord, TokenRecord, UserRecord
from gnomon.core.errors import UsageError
from gnomon.core.filters import AuditFilter
from gnomon.core.ports import Store, Transaction
from gnomon.core.records import AuditRecord

from .base import StoreCase, at


def token(name: str = "ci", **values: Any) -> TokenRecord:
    """A token."""
    return replace(TokenRecord(f"id-{name}", name, None, Role.OPERATOR, "digest", at(0), "cli:me"), **values)


def user(name: str = "ann", **values: Any) -> UserRecord:
    """A user."""
    return replace(UserRecord(name, Role.AUTHOR, None, at(0), "cli:me"), **values)


def session(digest: str = "s", expires: float = 100, seen: float = 0, token_id: str = "id-ci") -> SessionRecord:
    """A session."""
    return SessionRecord(digest, token_id, at(0), at(expires), at(seen))


def kept(key: str = "k", moment: float = 0, **values: Any) -> KeptAnswer:
    """A kept answer."""
    return replace(KeptAnswer("rest:ci", key, "run.start", "digest", {"id": "1", "n": [1, None]}, at(moment)), **values)


def write(store: Store, *works: Callable[[Transaction], object]) -> None:
    """Do these in one transaction."""

    def work(tx: Transaction) -> None:
        for one in works:
            one(tx)

    store.write(work)


def change(n: float, actor: str = "cli:me", action: str = "job.save", what: str = "a") -> AuditRecord:
    """Somebody did something `n` seconds after the start."""
    return AuditRecord(at(n), actor, action, what, None, {"n": n}, "127.0.0.1")


def listed(store: Store, limit: int = 50, **where: Any) -> Sequence[float]:
    """When the changes were made that match, newest first; over all pages."""
    found: list[AuditRecord] = []
    cursor: str | None = None
    while True:
        page = store.read(lambda r, c=cursor: r.audit_page(AuditFilter(**where), limit, c))  # type: ignore[misc]
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next
        if cursor is None:
            return [(record.at - at(0)).total_seconds() for record in found]


class AccessCases(StoreCase):
    """Who may come in, and what they did."""

    def test_token_comes_back_as_it_was(self, store: Store) -> None:
        bare, whole = token("bare"), token(user="ann", expires_at=at(9), last_used_at=at(1), revoked_at=at(2))
        write(store, lambda tx: tx.put_token(bare), lambda tx: tx.put_token(whole))
        assert store.read(lambda r: r.token("id-bare")) == bare
        assert store.read(lambda r: r.token_by_name("ci")) == whole
        assert store.read(lambda r: r.token("x")) is None
        assert store.read(lambda r: r.token_by_name("x")) is None
        write(store, lambda tx: tx.put_token(replace(bare, revoked_at=at(5))))
        assert store.read(lambda r: r.token("id-bare")) == replace(bare, revoked_at=at(5))

    def test_tokens_in_pages_by_role_and_by_user(self, store: Store) -> None:
        records = [token("c", user="ann"), token("a", role=Role.ADMIN), token("b", user="bob")]
        write(store, *[lambda tx, r=r: tx.put_token(r) for r in records])
        first = store.read(lambda r: r.access_tokens(2))
        second = store.read(lambda r: r.access_tokens(2, first.next))
        assert [t.name for t in (*first.items, *second.items)] == ["a", "b", "c"]
        assert second.next is None
        assert [t.name for t in store.read(lambda r: r.tokens_of_role(Role.ADMIN))] == ["a"]
        assert [t.name for t in store.read(lambda r: r.tokens_of_role(Role.OPERATOR))] == ["b", "c"]
        assert [t.name for t in store.read(lambda r: r.tokens_of_user("ann"))] == ["c"]

    def test_a_deleted_token_takes_its_sessions_along(self, store: Store) -> None:
        write(store, lambda tx: tx.put_token(token()), lambda tx: tx.put_session(session()))
        write(store, lambda tx: tx.put_session(session("other", token_id="id-x")))
        write(store, lambda tx: tx.delete_token("id-ci"), lambda tx: tx.delete_token("id-ci"))
        assert store.read(lambda r: r.token("id-ci")) is None
        assert store.read(lambda r: r.session("s")) is None
        assert store.read(lambda r: r.session("other")) is not None

    def test_last_use_moves_forward_and_leaves_no_entry_in_the_feed(self, store: Store) -> None:
        write(store, lambda tx: tx.put_token(token()), lambda tx: tx.put_session(session(seen=10)))
        last = store.read(lambda r: r.last_change())
        write(store, lambda tx: tx.used_tokens({"id-ci": at(20), "gone": at(20)}))
        write(store, lambda tx: tx.used_tokens({"id-ci": at(15)}))
        write(store, lambda tx: tx.seen_sessions({"s": at(20), "gone": at(20)}))
        write(store, lambda tx: tx.seen_sessions({"s": at(15)}))
        assert store.read(lambda r: r.token("id-ci")) == token(last_used_at=at(20))
        assert store.read(lambda r: r.session("s")) == session(seen=20)
        assert store.read(lambda r: r.last_change()) == last

    def test_changes_of_tokens_and_users_are_in_the_feed(self, store: Store) -> None:
        write(store, lambda tx: tx.put_token(token()), lambda tx: tx.put_user(user()))
        write(store, lambda tx: tx.delete_token("id-ci"), lambda tx: tx.delete_user("ann"))
        touched = [dict(change.ids) for change in store.read(lambda r: r.changes(0))]
        assert touched == [{"tokens": ("id-ci",), "users": ("ann",)}] * 2

    def test_users(self, store: Store) -> None:
        records = [user("c"), user("a", disabled_at=at(3)), user("b", role=Role.VIEWER)]
        write(store, *[lambda tx, r=r: tx.put_user(r) for r in records])
        first = store.read(lambda r: r.users(2))
        second = store.read(lambda r: r.users(2, first.next))
        assert [*first.items, *second.items] == sorted(records, key=lambda record: record.name)
        assert second.next is None
        assert store.read(lambda r: r.users_by_name(["a", "x"])) == {"a": records[1]}
        assert store.read(lambda r: r.users_by_name([])) == {}
        write(store, lambda tx: tx.put_user(user("c", role=Role.ADMIN)), lambda tx: tx.delete_user("b"))
        assert store.read(lambda r: r.user("c")) == user("c", role=Role.ADMIN)
        assert store.read(lambda r: r.user("b")) is None

    def test_sessions_end(self, store: Store) -> None:
        write(store, *[lambda tx, d=d: tx.put_session(session(d)) for d in "ab"])
        write(store, lambda tx: tx.delete_session("a"), lambda tx: tx.delete_session("a"))
        assert store.read(lambda r: r.session("a")) is None
        assert store.read(lambda r: r.session("b")) == session("b")
        write(store, lambda tx: tx.delete_sessions_of("id-ci"))
        assert store.read(lambda r: r.session("b")) is None

    def test_answers_are_kept_for_each_actor(self, store: Store) -> None:
        other = kept(actor="rest:other", answer=None)
        write(store, lambda tx: tx.keep_answer(kept()), lambda tx: tx.keep_answer(other))
        assert store.read(lambda r: r.kept_answer("rest:ci", "k")) == kept()
        assert store.read(lambda r: r.kept_answer("rest:other", "k")) == other
        assert store.read(lambda r: r.kept_answer("rest:ci", "x")) is None

    def test_what_is_over_goes_in_small_steps(self, store: Store) -> None:
        sessions = [session("old", expires=5), session("idle", seen=-50), session("good", seen=20), session("old2", 6)]
        write(store, *[lambda tx, r=r: tx.put_session(r) for r in sessions])
        write(store, *[lambda tx, n=n: tx.keep_answer(kept(str(n), n)) for n in range(5)])
        write(store, lambda tx: tx.add_audit([change(n) for n in range(5)]))

        def prune() -> int:
            return store.write(
                lambda tx: tx.prune_access(
                    now=at(10), idle_since=at(-10), answers_before=at(3), audit_before=at(4), limit=2
                )
            )

        assert [prune(), prune(), prune()] == [7, 3, 0]
        version = store.data_version()
        assert prune() == 0
        assert store.data_version() == version
        assert [s.id_digest for s in sessions if store.read(lambda r, s=s: r.session(s.id_digest))] == ["good"]  # type: ignore[misc]
        assert [n for n in range(5) if store.read(lambda r, n=n: r.kept_answer("rest:ci", str(n)))] == [3, 4]  # type: ignore[misc]
        assert listed(store) == [4]

    def test_audit_by_who_what_and_when(self, store: Store) -> None:
        records = [
            change(1, "cli:me", "job.save", "a"),
            change(2, "rest:ci", "job.delete", "a"),
            change(3, "rest:ci", "jobs.x", "b"),
            change(4, "scheduler", "run.start", "c"),
            change(5, "restless", "job.save", "b"),
        ]
        write(store, lambda tx: tx.add_audit(records))
        assert store.read(lambda r: r.audit()) == tuple(records[::-1])
        assert listed(store, actor="rest:ci") == [3, 2]
        assert listed(store, actor="rest") == [3, 2]
        assert listed(store, actor="scheduler") == [4]
        assert listed(store, actions=("job.save",)) == [5, 1]
        assert listed(store, actions=("job",)) == [5, 2, 1]
        assert listed(store, actions=("run", "job.delete")) == [4, 2]
        assert listed(store, object="b") == [5, 3]
        assert listed(store, since=at(2), until=at(4)) == [3, 2]
        assert listed(store, actor="rest:ci", actions=("job",), object="a", since=at(0), until=at(9)) == [2]
        assert listed(store, words=("SAVE", "me")) == [1]
        assert listed(store, words=("job",), not_words=("save",)) == [3, 2]

    def test_pages_of_the_audit_have_each_change_once(self, store: Store) -> None:
        write(store, lambda tx: tx.add_audit([change(n // 3) for n in range(10)]))
        for limit in (1, 2, 3, 10, 11):
            assert listed(store, limit) == sorted((n // 3 for n in range(10)), reverse=True)
            assert listed(store, limit, words=("save",)) == listed(store)
        with pytest.raises(UsageError):
            store.read(lambda r: r.audit_page(AuditFilter(), 1, "nonsense"))

    def test_audit_of_a_group_with_many_members(self, store: Store) -> None:
        write(store, lambda tx: tx.add_audit([change(n, f"rest:t{n % 40}", f"job.{n % 30}") for n in range(100)]))
        write(store, lambda tx: tx.add_audit([change(n, "rest-less", "jobs") for n in range(100, 103)]))
        for limit in (7, 500):
            assert listed(store, limit, actor="rest") == list(range(99, -1, -1))
            assert listed(store, limit, actions=("job",)) == list(range(99, -1, -1))
            assert listed(store, limit, actor="rest", actions=("job.3", "job.1")) == [93, 91, 63, 61, 33, 31, 3, 1]
            assert listed(store, limit, actor="rest:t3", actions=("job",)) == [83, 43, 3]
            assert listed(store, limit, actor="rest:t3", words=("JOB.3",)) == [3]
