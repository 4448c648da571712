"""Tokens, users, sessions, and answers kept under idempotency keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update

from gnomon.core.access import KeptAnswer, Role, SessionRecord, TokenRecord, UserRecord
from gnomon.core.records import Page
from gnomon.core.values import from_micros, to_micros

from .schema import audit
from .schema_access import idempotency, sessions, tokens, users
from .session import Row, Session, Statement, WriteSession, given, listed, upsert, within
from .values import clean, from_cursor, instant, micros, text, to_cursor, value

_TOKEN = Statement(select(*tokens.columns).where(tokens.c.id == given("id")))
_TOKEN_BY_NAME = Statement(select(*tokens.columns).where(tokens.c.name == given("name")))
_TOKENS = Statement(
    select(*tokens.columns).where(tokens.c.name > given("after")).order_by(tokens.c.name).limit(given("limit"))
)
_TOKENS_OF_ROLE = Statement(select(*tokens.columns).where(tokens.c.role == given("role")).order_by(tokens.c.name))
_TOKENS_OF_USER = Statement(select(*tokens.columns).where(tokens.c.user == given("user")).order_by(tokens.c.name))
_USER = Statement(select(*users.columns).where(users.c.name == given("name")))
_USERS = Statement(
    select(*users.columns).where(users.c.name > given("after")).order_by(users.c.name).limit(given("limit"))
)
_USERS_NAMED = Statement(select(*users.columns).where(within(users.c.name, "names")))
_SESSION = Statement(select(*sessions.columns).where(sessions.c.id_digest == given("id_digest")))
_KEPT = Statement(
    select(*idempotency.columns).where(idempotency.c.actor == given("actor"), idempotency.c.key == given("key"))
)


def _token(row: Row) -> TokenRecord:
    id_, name, user, role, digest, created, created_by, expires, used, revoked = row
    return TokenRecord(
        id_,
        name,
        user,
        Role(role),
        digest,
        from_micros(created),
        created_by,
        instant(expires),
        instant(used),
        instant(revoked),
    )


def _user(row: Row) -> UserRecord:
    name, role, disabled, created, created_by = row
    return UserRecord(name, Role(role), instant(disabled), from_micros(created), created_by)


class AccessReads(Session):
    """Questions about who may come in."""

    def token(self, token_id: str) -> TokenRecord | None:
        row = self.first(_TOKEN, id=token_id)
        return None if row is None else _token(row)

    def token_by_name(self, name: str) -> TokenRecord | None:
        row = self.first(_TOKEN_BY_NAME, name=name)
        return None if row is None else _token(row)

    def access_tokens(self, limit: int = 50, cursor: str | None = None) -> Page[TokenRecord]:
        after = "" if cursor is None else from_cursor(cursor, "tokens", str)[0]
        found = [_token(row) for row in self.fetch(_TOKENS, after=after, limit=limit + 1)]
        return Page(tuple(found[:limit]), to_cursor("tokens", found[limit - 1].name) if len(found) > limit else None)

    def tokens_of_role(self, role: Role) -> Sequence[TokenRecord]:
        return [_token(row) for row in self.fetch(_TOKENS_OF_ROLE, role=role.value)]

    def tokens_of_user(self, user: str) -> Sequence[TokenRecord]:
        return [_token(row) for row in self.fetch(_TOKENS_OF_USER, user=user)]

    def user(self, name: str) -> UserRecord | None:
        row = self.first(_USER, name=name)
        return None if row is None else _user(row)

    def users(self, limit: int = 50, cursor: str | None = None) -> Page[UserRecord]:
        after = "" if cursor is None else from_cursor(cursor, "users", str)[0]
        found = [_user(row) for row in self.fetch(_USERS, after=after, limit=limit + 1)]
        return Page(tuple(found[:limit]), to_cursor("users", found[limit - 1].name) if len(found) > limit else None)

    def users_by_name(self, names: Collection[str]) -> Mapping[str, UserRecord]:
        found = [_user(row) for row in self.fetch(_USERS_NAMED, names=listed(names))] if names else []
        return {record.name: record for record in found}

    def session(self, id_digest: str) -> SessionRecord | None:
        row = self.first(_SESSION, id_digest=id_digest)
        if row is None:
            return None
        digest, token_id, created, expires, seen = row
        return SessionRecord(digest, token_id, from_micros(created), from_micros(expires), from_micros(seen))

    def kept_answer(self, actor: str, key: str) -> KeptAnswer | None:
        row = self.first(_KEPT, actor=actor, key=key)
        if row is None:
            return None
        owner, named, operation, request, answer, at = row
        return KeptAnswer(owner, named, operation, request, value(answer), from_micros(at))


_PUT_TOKEN = upsert(tokens)
_DELETE_TOKEN = Statement(delete(tokens).where(tokens.c.id == given("id")))
_USED = Statement(
    update(tokens)
    .values(last_used_at=bindparam("moment"))
    .where(tokens.c.id == given("of"), (tokens.c.last_used_at.is_(None)) | (tokens.c.last_used_at < given("moment")))
)
_PUT_USER = upsert(users)
_DELETE_USER = Statement(delete(users).where(users.c.name == given("name")))
_PUT_SESSION = upsert(sessions)
_SEEN = Statement(
    update(sessions)
    .values(last_seen_at=bindparam("moment"))
    .where(sessions.c.id_digest == given("of"), sessions.c.last_seen_at < given("moment"))
)
_DELETE_SESSION = Statement(delete(sessions).where(sessions.c.id_digest == given("id_digest")))
_DELETE_SESSIONS_OF = Statement(delete(sessions).where(sessions.c.token_id == given("token_id")))
_KEEP = upsert(idempotency)
_LAPSED = select(sessions.c.id_digest).where(sessions.c.expires_at <= given("now")).limit(given("limit"))
_IDLE = select(sessions.c.id_digest).where(sessions.c.last_seen_at <= given("seen")).limit(given("limit"))
_DROP_LAPSED = Statement(delete(sessions).where(sessions.c.id_digest.in_(_LAPSED.scalar_subquery())))
_DROP_IDLE = Statement(delete(sessions).where(sessions.c.id_digest.in_(_IDLE.scalar_subquery())))
_OLD_KEYS = select(idempotency.c.actor, idempotency.c.key).where(idempotency.c.at < given("before"))
_FIND_KEYS = Statement(_OLD_KEYS.order_by(idempotency.c.at).limit(given("limit")))
_DROP_KEY = Statement(
    delete(idempotency).where(idempotency.c.actor == given("actor"), idempotency.c.key == given("key"))
)
_OLD_AUDIT = select(audit.c.id).where(audit.c.at < given("before")).order_by(audit.c.at).limit(given("limit"))
_DROP_AUDIT = Statement(delete(audit).where(audit.c.id.in_(_OLD_AUDIT.scalar_subquery())))


class AccessWrites(WriteSession):
    """Changes to who may come in. What merely was used does not appear in the feed of changes."""

    def put_token(self, record: TokenRecord) -> None:
        r = record
        row = (
            r.id,
            r.name,
            r.user,
            r.role.value,
            r.digest,
            to_micros(r.created_at),
            clean(r.created_by),
            micros(r.expires_at),
            micros(r.last_used_at),
            micros(r.revoked_at),
        )
        self.change_many(_PUT_TOKEN, [row])
        self.touch("tokens", (r.id,))

    def delete_token(self, token_id: str) -> None:
        self.change(_DELETE_SESSIONS_OF, token_id=token_id)
        if self.change(_DELETE_TOKEN, id=token_id):
            self.touch("tokens", (token_id,))

    def used_tokens(self, moments: Mapping[str, datetime]) -> None:
        for token_id, moment in moments.items():
            self.change(_USED, of=token_id, moment=to_micros(moment))

    def put_user(self, record: UserRecord) -> None:
        r = record
        row = (r.name, r.role.value, micros(r.disabled_at), to_micros(r.created_at), clean(r.created_by))
        self.change_many(_PUT_USER, [row])
        self.touch("users", (r.name,))

    def delete_user(self, name: str) -> None:
        if self.change(_DELETE_USER, name=name):
            self.touch("users", (name,))

    def put_session(self, record: SessionRecord) -> None:
        r = record
        moments = (to_micros(r.created_at), to_micros(r.expires_at), to_micros(r.last_seen_at))
        self.change_many(_PUT_SESSION, [(r.id_digest, r.token_id, *moments)])

    def seen_sessions(self, moments: Mapping[str, datetime]) -> None:
        for id_digest, moment in moments.items():
            self.change(_SEEN, of=id_digest, moment=to_micros(moment))

    def delete_session(self, id_digest: str) -> None:
        if self.change(_DELETE_SESSION, id_digest=id_digest):
            self.touch("sessions", ("over",))

    def delete_sessions_of(self, token_id: str) -> None:
        self.change(_DELETE_SESSIONS_OF, token_id=token_id)

    def keep_answer(self, kept: KeptAnswer) -> None:
        row = (kept.actor, kept.key, kept.operation, kept.request, text(kept.answer), to_micros(kept.at))
        self.change_many(_KEEP, [row])

    def prune_access(
        self, *, now: datetime, idle_since: datetime, answers_before: datetime, audit_before: datetime, limit: int
    ) -> int:
        old = self.fetch(_FIND_KEYS, before=to_micros(answers_before), limit=limit)
        return (
            self.change(_DROP_LAPSED, now=to_micros(now), limit=limit)
            + self.change(_DROP_IDLE, seen=to_micros(idle_since), limit=limit)
            + self.change_many(_DROP_KEY, old)
            + self.change(_DROP_AUDIT, before=to_micros(audit_before), limit=limit)
        )
