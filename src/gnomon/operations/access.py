"""Who asks: from a token or a session to the one whose it is. Nothing is kept between two questions: what is revoked
counts for nothing from then on."""

from __future__ import annotations

from datetime import datetime

from gnomon.core.access import (
    SECRET_BITS,
    SESSION_LIFE,
    Principal,
    SessionRecord,
    TokenRecord,
    UserRecord,
    effective_role,
    make_session_secret,
    parse_token,
    refusal,
    secret_digest,
    session_over,
)
from gnomon.core.errors import Problem, Unauthenticated
from gnomon.core.ports import Reader, Transaction
from gnomon.core.values import rfc3339

from . import credentials
from .bootstrap import bootstrap, has_admin
from .context import Desk

__all__ = ["authenticate", "bootstrap", "has_admin", "session", "sign_in", "sign_out"]

_AGAIN = "`gnomon token create` makes a new one"


def authenticate(desk: Desk, token_text: str) -> Principal:
    """The one who holds this token.

    Raises:
        Unauthenticated: it is no token, nobody's, expired, revoked, or its user is disabled.
    """
    record, user = _holder(desk, token_text)
    if desk.sightings is not None:
        desk.sightings.token(record, desk.clock.now())
    return _principal(record, user)


def sign_in(desk: Desk, token_text: str) -> tuple[str, SessionRecord]:
    """Begin a session of the holder of this token: its secret, which is nowhere else, and its record.

    Raises:
        Unauthenticated: as `authenticate`.
    """
    holder, user = _holder(desk, token_text)
    secret = make_session_secret(desk.engine.entropy.bits(SECRET_BITS))

    def work(tx: Transaction) -> SessionRecord:
        now = desk.clock.now()
        key = credentials.server_key(tx, desk.engine.entropy)
        end = now + SESSION_LIFE if holder.expires_at is None else min(now + SESSION_LIFE, holder.expires_at)
        record = SessionRecord(secret_digest(key, "session", secret), holder.id, now, end, now)
        tx.put_session(record)
        after = {"token_id": holder.id, "expires_at": rfc3339(end)}
        desk.audit(tx, "session.create", holder.name, after=after, actor=_principal(holder, user).actor)
        return record

    return secret, desk.store.write(work)


def session(desk: Desk, secret: str) -> Principal:
    """The one whose session this is.

    Raises:
        Unauthenticated: it is over, or its token counts for nothing any more.
    """
    now = desk.clock.now()

    def work(reader: Reader) -> tuple[SessionRecord, TokenRecord, UserRecord | None] | None:
        record = _session(reader, secret)
        token = None if record is None else reader.token(record.token_id)
        if record is None or token is None or session_over(record, now):
            return None
        return record, token, None if token.user is None else reader.user(token.user)

    found = desk.store.read(work)
    if found is None:
        hint = "sign in again with a token"
        raise Unauthenticated(Problem("session_over", "the session is over", hint=hint))
    record, token, user = found
    _refuse(token, user, now)
    if desk.sightings is not None:
        desk.sightings.session(record, now)
        desk.sightings.token(token, now)
    return _principal(token, user)


def sign_out(desk: Desk, secret: str) -> None:
    """End a session. Idempotent."""

    def work(tx: Transaction) -> None:
        record = _session(tx, secret)
        if record is None:
            return
        tx.delete_session(record.id_digest)
        token = tx.token(record.token_id)
        if token is not None:
            user = None if token.user is None else tx.user(token.user)
            before = {"token_id": token.id, "created_at": rfc3339(record.created_at)}
            desk.audit(tx, "session.delete", token.name, before, actor=_principal(token, user).actor)

    desk.store.write(work)


def _holder(desk: Desk, token_text: str) -> tuple[TokenRecord, UserRecord | None]:
    """A token that is good now, and whose it is."""
    token = parse_token(token_text)

    def work(reader: Reader) -> tuple[bytes | None, TokenRecord | None, UserRecord | None]:
        record = reader.token(token.id)
        user = None if record is None or record.user is None else reader.user(record.user)
        return credentials.known_key(reader), record, user

    key, record, user = desk.store.read(work)
    if not credentials.holds(key, token, record) or record is None:
        text = "the token is not one of this service: it was deleted, or belongs to another database"
        raise Unauthenticated(Problem("token_invalid", text, hint=_AGAIN))
    _refuse(record, user, desk.clock.now())
    return record, user


def _session(reader: Reader, secret: str) -> SessionRecord | None:
    key = credentials.known_key(reader)
    return None if key is None else reader.session(secret_digest(key, "session", secret))


def _refuse(token: TokenRecord, user: UserRecord | None, now: datetime) -> None:
    code = refusal(token, user, now)
    if code is None:
        return
    text = {
        "token_revoked": f"the token {token.name!r} was revoked",
        "token_expired": f"the token {token.name!r} expired at {rfc3339(token.expires_at)}",
        "user_disabled": f"the user {token.user!r} of the token {token.name!r} is disabled",
    }[code]
    hint = "an admin can enable the user" if code == "user_disabled" else _AGAIN
    raise Unauthenticated(Problem(code, text, hint=hint))


def _principal(token: TokenRecord, user: UserRecord | None) -> Principal:
    return Principal(token.name, effective_role(token, user), token.id, f"rest:{token.name}", token.user)
