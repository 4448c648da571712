"""Roles, and what tokens look like."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.access import (
    ID_BITS,
    SECRET_BITS,
    SESSION_IDLE,
    Permission,
    Role,
    SessionRecord,
    TokenRecord,
    UserRecord,
    check_name,
    effective_role,
    is_name,
    least_role,
    lesser,
    make_session_secret,
    make_token,
    may,
    parse_token,
    refusal,
    role_of,
    same_digest,
    secret_digest,
    session_over,
)
from gnomon.core.errors import Unauthenticated, UsageError

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TOKENS = st.builds(make_token, st.integers(0, (1 << ID_BITS) - 1), st.integers(0, (1 << SECRET_BITS) - 1))


def token(**values: object) -> TokenRecord:
    return replace(TokenRecord("i", "ci", None, Role.AUTHOR, "d", NOW, "cli:me"), **values)  # type: ignore[arg-type]


def user(role: Role = Role.VIEWER, **values: object) -> UserRecord:
    return replace(UserRecord("ann", role, None, NOW, "cli:me"), **values)  # type: ignore[arg-type]


def test_what_each_role_may() -> None:
    allowed = {role: "".join(p[0] for p in Permission if may(role, p)) for role in Role}
    assert allowed == {Role.VIEWER: "r", Role.OPERATOR: "rr", Role.AUTHOR: "rrd", Role.ADMIN: "rrda"}
    assert [least_role(p) for p in Permission] == list(Role)


@given(st.sampled_from(Role), st.sampled_from(Role), st.sampled_from(Permission))
def test_the_lesser_role_may_what_both_may(one: Role, other: Role, permission: Permission) -> None:
    assert may(lesser(one, other), permission) == (may(one, permission) and may(other, permission))
    assert effective_role(token(role=one), user(other)) is lesser(one, other)
    assert effective_role(token(role=one), None) is one


def test_when_a_token_counts_for_nothing() -> None:
    later, soon = NOW + timedelta(seconds=1), NOW - timedelta(microseconds=1)
    assert refusal(token(), None, NOW) is None
    assert refusal(token(revoked_at=soon), None, NOW) == "token_revoked"
    assert refusal(token(expires_at=NOW), None, NOW) == "token_expired"
    assert refusal(token(expires_at=later), None, NOW) is None
    assert refusal(token(user="ann"), user(), NOW) is None
    assert refusal(token(user="ann"), user(disabled_at=soon), NOW) == "user_disabled"
    assert refusal(token(user="ann"), None, NOW) == "user_disabled"


def test_when_a_session_is_over() -> None:
    session = SessionRecord("d", "i", NOW, NOW + timedelta(days=9), NOW)
    assert not session_over(session, NOW)
    assert session_over(session, NOW + SESSION_IDLE)
    assert session_over(replace(session, last_seen_at=session.expires_at), session.expires_at)


@given(TOKENS)
def test_a_token_is_read_back(made: object) -> None:
    text = str(made)
    assert re.fullmatch(r"gnm_[0-9a-hjkmnp-tv-z]{12}_[0-9a-hjkmnp-tv-z]{59}", text)
    assert parse_token(text) == made
    assert parse_token(f" {text}\n") == made
    assert text[-30:] not in repr(made)


@given(TOKENS, st.integers(4, 75), st.characters())
def test_one_wrong_sign_is_noticed(made: object, place: int, sign: str) -> None:
    text = str(made)
    wrong = text[:place] + sign + text[place + 1 :]
    if wrong != text:
        with pytest.raises(Unauthenticated) as caught:
            parse_token(wrong)
        assert caught.value.code == "token_malformed"
        assert wrong not in str(caught.value)


@given(TOKENS, st.integers(4, 74))
def test_two_signs_that_changed_places_are_noticed(made: object, place: int) -> None:
    text = str(made)
    wrong = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if wrong != text:
        with pytest.raises(Unauthenticated):
            parse_token(wrong)


@given(st.text())
def test_any_other_text_is_no_token(text: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        parse_token(text)
    assert not text or len(text) < 12 or text not in str(caught.value)


def test_every_bit_counts() -> None:
    base = make_token(0, 0)
    assert len({str(make_token(1 << n, 0)) for n in range(ID_BITS)} | {str(base)}) == ID_BITS + 1
    assert len({str(make_token(0, 1 << n)) for n in range(SECRET_BITS)} | {str(base)}) == SECRET_BITS + 1
    assert len({make_session_secret(1 << n) for n in range(SECRET_BITS)}) == SECRET_BITS


def test_digests_tell_keys_purposes_and_secrets_apart() -> None:
    digests = {secret_digest(k, p, s) for k in (b"k", b"l") for p in ("token", "session") for s in ("a", "b", "\ud800")}
    assert len(digests) == 12
    assert all(re.fullmatch("[0-9a-f]{64}", found) for found in digests)
    assert same_digest("ab", "ab")
    assert not same_digest("ab", "ac")


@pytest.mark.parametrize("name", ["a", "ci-1", "ann@example.org", "x" * 64])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "ü", "a\n", "x" * 65, "٣"])
def test_no_names(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert caught.value.code == "bad_name"


def test_unknown_roles_name_the_known_ones() -> None:
    assert role_of("author") is Role.AUTHOR
    with pytest.raises(UsageError) as caught:
        role_of("root")
    assert "viewer, operator, author, admin" in caught.value.problems[0].hint
