"""Tokens, users, sessions: who comes in, as whom, and until when."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.access import SESSION_IDLE, SESSION_LIFE, Role, make_token, parse_token, secret_digest
from gnomon.core.errors import GnomonError, NotFound
from gnomon.core.filters import AuditFilter
from gnomon.core.keys import _ALPHABET
from gnomon.engine.settings import EngineSettings
from gnomon.operations import tokens, users
from gnomon.operations.access import authenticate, session, sign_in, sign_out
from gnomon.operations.audit import list_audit
from gnomon.operations.context import Desk
from gnomon.operations.credentials import KEY
from gnomon.operations.idempotency import once
from gnomon.operations.sightings import Sightings
from gnomon.stores import open_store
from tests.unit.engine.deployment import Deployment


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def make(d: Deployment, name: str = "ci", role: Role = Role.OPERATOR, **values: Any) -> str:
    """The text of a new token."""
    return str(tokens.create_token(d.desk, name, role, **values)["token"])


def refused(work: Callable[[], object]) -> str:
    """The code of the error."""
    with pytest.raises(GnomonError) as caught:
        work()
    return caught.value.code


def changes(d: Deployment, *actions: str) -> list[Any]:
    return list(list_audit(d.desk, AuditFilter(actions=actions)).items)


def guess(token_id: str, bits: int) -> str:
    """A well-formed token of that id."""
    number = 0
    for sign in token_id:
        number = number << 5 | _ALPHABET.index(sign)
    return str(make_token(number, bits))


# ---- tokens ----------------------------------------------------------------------------------------


def test_the_holder_of_a_token_is_known(d: Deployment) -> None:
    made = tokens.create_token(d.desk, "ci", Role.OPERATOR)
    who = authenticate(d.desk, str(made["token"]))
    assert (who.name, who.role, who.token_id, who.actor, who.user) == ("ci", Role.OPERATOR, made["id"], "rest:ci", None)
    shown = tokens.show_token(d.desk, "ci")
    assert shown == {key: value for key, value in made.items() if key != "token"}
    assert shown == tokens.show_token(d.desk, str(made["id"])) == tokens.list_tokens(d.desk).items[0]
    assert (shown["state"], shown["effective_role"], shown["created_by"]) == ("active", "operator", "alice")


def test_no_secret_is_in_the_database(tmp_path: Path, d: Deployment) -> None:
    store = open_store(tmp_path / "g.db", d.clock)
    desk = Desk(store, d.clock, d.logs, d.context("x"), "alice")
    text = str(tokens.create_token(desk, "ci", Role.ADMIN)["token"])
    secret, _ = sign_in(desk, text)
    store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert parse_token(text).id.encode() in kept
    for piece in (parse_token(text).secret[:20], parse_token(text).secret[-20:], secret[:20], secret[-20:]):
        assert piece.encode() not in kept


def test_tokens_that_are_not_ours(d: Deployment) -> None:
    other = Deployment()
    other.entropy.bits(9)
    foreign = make(other)
    assert refused(lambda: authenticate(d.desk, foreign)) == "token_invalid"  # there is not even a key
    mine = make(d)
    assert authenticate(d.desk, mine).name == "ci"
    assert guess(parse_token(mine).id, 7)[:17] == mine[:17]
    for text in (foreign, guess(parse_token(mine).id, 0), guess(parse_token(mine).id, (1 << 256) - 1)):
        assert refused(lambda text=text: authenticate(d.desk, text)) == "token_invalid"  # type: ignore[misc]
    assert refused(lambda: authenticate(d.desk, mine[:-1])) == "token_malformed"
    tokens.delete_token(d.desk, "ci")
    assert refused(lambda: authenticate(d.desk, mine)) == "token_invalid"


def test_every_answer_compares_digests_in_constant_time(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, compared = make(d), []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr("gnomon.core.access.hmac.compare_digest", compare)
    authenticate(d.desk, mine)
    refused(lambda: authenticate(d.desk, guess(parse_token(mine).id, 3)))
    refused(lambda: authenticate(d.desk, guess("0" * 12, 3)))
    refused(lambda: authenticate(Deployment().desk, mine))
    assert compared == [(64, 64)] * 4


def test_a_token_ends(d: Deployment) -> None:
    text = make(d, expires_at=d.clock.now() + timedelta(days=1))
    d.clock.advance(86399)
    assert authenticate(d.desk, text).name == "ci"
    d.clock.advance(1)
    assert refused(lambda: authenticate(d.desk, text)) == "token_expired"
    assert tokens.show_token(d.desk, "ci")["state"] == "expired"
    assert tokens.show_token(d.desk, "ci")["effective_role"] is None
    assert refused(lambda: make(d, "late", expires_at=d.clock.now())) == "expiry_past"


def test_a_revoked_token_counts_for_nothing_from_then_on(d: Deployment) -> None:
    text = make(d)
    secret, _ = sign_in(d.desk, text)
    assert session(d.desk, secret).name == "ci"
    revoked = tokens.revoke_token(d.desk, "ci")
    assert (revoked["state"], revoked["effective_role"]) == ("revoked", None)
    assert refused(lambda: authenticate(d.desk, text)) == "token_revoked"
    assert refused(lambda: sign_in(d.desk, text)) == "token_revoked"
    assert refused(lambda: session(d.desk, secret)) == "session_over"
    assert tokens.revoke_token(d.desk, "ci") == revoked
    assert len(changes(d, "token.revoke")) == 1


def test_another_process_sees_a_revocation_at_once(tmp_path: Path, d: Deployment) -> None:
    stores = [open_store(tmp_path / "g.db", d.clock) for _ in range(2)]
    here, there = (Desk(store, d.clock, d.logs, d.context("x"), "alice") for store in stores)
    text = str(tokens.create_token(here, "ci", Role.VIEWER)["token"])
    assert authenticate(there, text).name == "ci"
    tokens.revoke_token(here, "ci")
    assert refused(lambda: authenticate(there, text)) == "token_revoked"
    for store in stores:
        store.close()


def test_a_leaked_token_can_be_revoked_by_its_text(d: Deployment) -> None:
    text = make(d)
    assert tokens.revoke_token(d.desk, text)["name"] == "ci"
    tokens.delete_token(d.desk, text)
    with pytest.raises(NotFound) as caught:
        tokens.show_token(d.desk, text)
    assert parse_token(text).secret not in str(caught.value)


def test_names_of_tokens(d: Deployment) -> None:
    make(d)
    assert refused(lambda: make(d)) == "token_exists"
    assert refused(lambda: make(d, "a b")) == "bad_name"
    assert refused(lambda: make(d, "bootstrap")) == "bad_name"
    assert refused(lambda: make(d, "x", user="ann")) == "user_not_found"
    assert [item["name"] for item in tokens.list_tokens(d.desk).items] == ["ci"]
    with pytest.raises(NotFound) as caught:
        tokens.revoke_token(d.desk, "cii")
    assert caught.value.problems[0].hint == "did you mean 'ci'?"
    tokens.delete_token(d.desk, "ci")
    make(d)


# ---- users -----------------------------------------------------------------------------------------


def test_a_token_may_no_more_than_its_user(d: Deployment) -> None:
    users.create_user(d.desk, "ann", Role.VIEWER)
    text = make(d, role=Role.AUTHOR, user="ann")
    assert (authenticate(d.desk, text).role, authenticate(d.desk, text).user) == (Role.VIEWER, "ann")
    users.set_role(d.desk, "ann", Role.ADMIN)
    assert authenticate(d.desk, text).role is Role.AUTHOR
    assert tokens.show_token(d.desk, "ci")["effective_role"] == "author"


def test_a_disabled_user_is_out_until_enabled(d: Deployment) -> None:
    users.create_user(d.desk, "ann", Role.VIEWER)
    text = make(d, user="ann")
    secret, _ = sign_in(d.desk, text)
    assert users.disable_user(d.desk, "ann")["disabled"] is True
    users.disable_user(d.desk, "ann")
    assert refused(lambda: authenticate(d.desk, text)) == "user_disabled"
    assert refused(lambda: session(d.desk, secret)) == "session_over"
    users.enable_user(d.desk, "ann")
    assert authenticate(d.desk, text).name == "ci"
    assert refused(lambda: session(d.desk, secret)) == "session_over"
    assert [change["action"] for change in changes(d, "user")] == ["user.enable", "user.disable", "user.create"]


def test_a_deleted_user_takes_their_tokens_along(d: Deployment) -> None:
    users.create_user(d.desk, "ann", Role.VIEWER)
    text, other = make(d, user="ann"), make(d, "other")
    users.delete_user(d.desk, "ann")
    assert refused(lambda: authenticate(d.desk, text)) == "token_invalid"
    assert authenticate(d.desk, other).name == "other"
    assert [item["name"] for item in tokens.list_tokens(d.desk).items] == ["other"]
    assert changes(d, "user.delete")[0]["before"] == {"role": "viewer", "disabled_at": None, "tokens": ["ci"]}


def test_names_of_users(d: Deployment) -> None:
    made = users.create_user(d.desk, "ann", Role.VIEWER)
    assert made == users.show_user(d.desk, "ann") == users.list_users(d.desk).items[0]
    assert refused(lambda: users.create_user(d.desk, "ann", Role.VIEWER)) == "user_exists"
    assert refused(lambda: users.create_user(d.desk, "", Role.VIEWER)) == "bad_name"
    for work in (users.show_user, users.disable_user, users.enable_user, users.delete_user):
        assert refused(lambda work=work: work(d.desk, "anm")) == "user_not_found"  # type: ignore[misc]


def test_the_last_admin_stays(d: Deployment) -> None:
    users.create_user(d.desk, "ann", Role.ADMIN)
    text = make(d, "root", Role.ADMIN, user="ann")
    make(d, "past", Role.ADMIN, expires_at=d.clock.now() + timedelta(seconds=1))
    d.clock.advance(2)
    for work in (
        lambda: tokens.revoke_token(d.desk, "root"),
        lambda: tokens.delete_token(d.desk, "root"),
        lambda: users.set_role(d.desk, "ann", Role.AUTHOR),
        lambda: users.disable_user(d.desk, "ann"),
        lambda: users.delete_user(d.desk, "ann"),
    ):
        assert refused(work) == "last_admin"
        assert authenticate(d.desk, text).role is Role.ADMIN
    before = len(changes(d))
    tokens.delete_token(d.desk, "past")
    make(d, "other", Role.ADMIN)
    tokens.revoke_token(d.desk, "root")
    assert refused(lambda: tokens.delete_token(d.desk, "other")) == "last_admin"
    assert len(changes(d)) == before + 3


# ---- sessions --------------------------------------------------------------------------------------


def test_a_session_may_what_its_token_may(d: Deployment) -> None:
    users.create_user(d.desk, "ann", Role.OPERATOR)
    text = make(d, role=Role.ADMIN, user="ann")
    secret, record = sign_in(d.desk, text)
    assert session(d.desk, secret) == authenticate(d.desk, text)
    assert secret not in repr(record)
    users.set_role(d.desk, "ann", Role.VIEWER)
    assert session(d.desk, secret).role is Role.VIEWER
    sign_out(d.desk, secret)
    sign_out(d.desk, secret)
    assert refused(lambda: session(d.desk, secret)) == "session_over"
    assert authenticate(d.desk, text).name == "ci"
    assert [(c["action"], c["actor"], c["object"]) for c in changes(d, "session")] == [
        ("session.delete", "rest:ci", "ci"),
        ("session.create", "rest:ci", "ci"),
    ]


@pytest.mark.parametrize("secret", ["", "x", "gnm_1", "\ud800", "0" * 52, "é" * 9999])
def test_any_other_text_is_no_session(d: Deployment, secret: str) -> None:
    assert refused(lambda: session(d.desk, secret)) == "session_over"
    sign_in(d.desk, make(d))
    assert refused(lambda: session(d.desk, secret)) == "session_over"
    sign_out(d.desk, secret)


def test_a_session_ends(d: Deployment) -> None:
    idle, _ = sign_in(d.desk, make(d))
    d.clock.advance(SESSION_IDLE.total_seconds() - 1)
    assert session(d.desk, idle).name == "ci"
    d.clock.advance(1)
    assert refused(lambda: session(d.desk, idle)) == "session_over"
    sightings = Sightings(d.store)
    d.desk.sightings = sightings
    busy, record = sign_in(d.desk, make(d, "busy"))
    assert record.expires_at == d.clock.now() + SESSION_LIFE
    for _ in range(59):
        d.clock.advance(SESSION_LIFE.total_seconds() / 60)
        assert session(d.desk, busy).name == "busy"
        sightings.flush()
    d.clock.advance(SESSION_LIFE.total_seconds() / 60)
    assert refused(lambda: session(d.desk, busy)) == "session_over"


def test_a_session_lasts_no_longer_than_its_token(d: Deployment) -> None:
    soon = d.clock.now() + timedelta(minutes=5)
    secret, record = sign_in(d.desk, make(d, expires_at=soon))
    assert record.expires_at == soon
    d.clock.advance(300)
    assert refused(lambda: session(d.desk, secret)) == "session_over"


# ---- last use --------------------------------------------------------------------------------------


def test_last_use_is_noted_once_a_minute(d: Deployment) -> None:
    text = make(d)
    sightings = Sightings(d.store)
    d.desk.sightings = sightings
    noted = []
    for _ in range(130):
        authenticate(d.desk, text)
        sightings.flush()
        noted.append(tokens.show_token(d.desk, "ci")["last_used_at"])
        d.clock.advance(1)
    assert len(set(noted)) == 3
    assert noted[0] == "2030-01-01T00:00:00Z"


def test_noting_the_last_use_keeps_nobody_waiting(tmp_path: Path, d: Deployment) -> None:
    go_on, committing = threading.Event(), threading.Event()
    go_on.set()

    def on_commit(moment: str) -> None:
        if moment == "before_commit":
            committing.set()
            assert go_on.wait(10)

    store = open_store(tmp_path / "g.db", d.clock, on_commit=on_commit)
    sightings = Sightings(store)
    desk = Desk(store, d.clock, d.logs, d.context("x"), "alice", sightings=sightings)
    text = str(tokens.create_token(desk, "ci", Role.VIEWER)["token"])
    committing.clear()
    go_on.clear()
    assert authenticate(desk, text).name == "ci"
    assert committing.wait(10)
    assert authenticate(desk, text).name == "ci"
    assert tokens.show_token(desk, "ci")["last_used_at"] is None
    go_on.set()
    sightings.close()
    assert tokens.show_token(desk, "ci")["last_used_at"] is not None
    store.close()


def test_a_failed_note_hurts_nobody(d: Deployment) -> None:
    text = make(d)
    sightings = Sightings(d.store)
    d.desk.sightings = sightings
    d.store.fails = "before"
    assert authenticate(d.desk, text).name == "ci"
    sightings.close()
    d.store.fails = None
    assert tokens.show_token(d.desk, "ci")["last_used_at"] is None


# ---- audit -----------------------------------------------------------------------------------------


def test_what_was_changed_by_whom_from_where(d: Deployment) -> None:
    d.desk.address = "192.0.2.7"
    make(d)
    tokens.revoke_token(d.desk, "ci")
    (revoked, made) = changes(d, "token")
    assert made["after"] == {**revoked["before"]}
    assert (revoked["before"]["revoked_at"], revoked["after"]["revoked_at"]) == (None, "2030-01-01T00:00:00Z")
    assert {(c["actor"], c["address"], c["object"]) for c in (revoked, made)} == {("alice", "192.0.2.7", "ci")}
    assert not any("digest" in str(change) for change in changes(d))


def test_a_change_and_its_record_are_one_transaction(tmp_path: Path, d: Deployment) -> None:
    failing = threading.Event()

    def on_commit(moment: str) -> None:
        if moment == "before_commit" and failing.is_set():
            raise OSError("power cut")

    store = open_store(tmp_path / "g.db", d.clock, on_commit=on_commit)
    desk = Desk(store, d.clock, d.logs, d.context("x"), "alice")
    tokens.create_token(desk, "a", Role.ADMIN)
    tokens.create_token(desk, "b", Role.ADMIN)
    users.create_user(desk, "ann", Role.VIEWER)

    def facts() -> object:
        found = (tokens.list_tokens(desk), users.list_users(desk), list_audit(desk, AuditFilter()))
        return [page.items for page in found]

    before = facts()
    failing.set()
    for work in (
        lambda: tokens.create_token(desk, "c", Role.ADMIN),
        lambda: tokens.revoke_token(desk, "a"),
        lambda: tokens.delete_token(desk, "a"),
        lambda: users.create_user(desk, "bob", Role.ADMIN),
        lambda: users.set_role(desk, "ann", Role.ADMIN),
        lambda: users.disable_user(desk, "ann"),
        lambda: users.delete_user(desk, "ann"),
    ):
        with pytest.raises(OSError, match="power cut"):
            work()
        assert facts() == before
    store.close()


def test_the_janitor_removes_what_is_over(d: Deployment) -> None:
    d.settings = EngineSettings(retention_audit_days=3)
    node, _ = d.node()
    ended, _ = sign_in(d.desk, make(d, "old"))
    d.clock.advance(2 * 86400)
    going, _ = sign_in(d.desk, make(d, "new"))
    once(d.desk, "rest:new", "k", "x", None, lambda _: 1)
    key = bytes.fromhex(d.read(lambda r: r.setting(KEY)))
    known = [secret_digest(key, "session", secret) for secret in (ended, going)]

    def left() -> tuple[list[bool], bool, int]:
        sessions = [d.read(lambda r, s=s: r.session(s)) is not None for s in known]  # type: ignore[misc]
        return sessions, d.read(lambda r: r.kept_answer("rest:new", "k")) is not None, len(changes(d))

    node.step()
    assert left() == ([False, True], True, 4)
    d.clock.advance(86401)
    node.step()
    assert left() == ([False, False], False, 2)
