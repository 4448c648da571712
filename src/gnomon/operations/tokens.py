"""Tokens: create, list, show, revoke, delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gnomon.core.access import BOOTSTRAP, Role, TokenRecord, check_name
from gnomon.core.errors import Conflict, Problem, usage
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Page
from gnomon.core.values import JsonObject, rfc3339

from . import credentials
from .bootstrap import remove_file
from .context import Desk
from .credentials import find_token, token_view
from .elsewhere import anywhere
from .users import find_user


@anywhere
def create_token(
    desk: Desk, name: str, role: Role, *, user: str | None = None, expires_at: datetime | None = None
) -> JsonObject:
    """A new token as an object, with the text itself under `token`: it is shown here and nowhere else.

    Args:
        user: whose it is: then it may no more than they may, and ends with them.
        expires_at: from then on it counts for nothing; None: it lasts.

    Raises:
        UsageError: the name, or a time that is past. NotFound: no such user. Conflict: the name is taken.
    """
    check_name(name)
    if name == BOOTSTRAP:
        raise usage("bad_name", f"the name {name!r} is kept for the first token", key="name", hint="choose another")
    if expires_at is not None and expires_at <= desk.clock.now():
        raise usage("expiry_past", f"{rfc3339(expires_at)} is past: the token would be of no use", key="expires_at")
    token = credentials.new_token(desk.engine.entropy)

    def work(tx: Transaction) -> JsonObject:
        now = desk.clock.now()
        before = credentials.admins(tx, now)
        if user is not None:
            find_user(tx, user)
        if tx.token_by_name(name) is not None:
            hint = "choose another name, or delete that one first (history keeps the name)"
            raise Conflict(Problem("token_exists", f"there is a token {name!r} already", "name", hint))
        digest = credentials.token_digest(credentials.server_key(tx, desk.engine.entropy), token)
        record = TokenRecord(token.id, name, user, role, digest, now, desk.actor, expires_at)
        tx.put_token(record)
        credentials.settle(tx, before, now)
        desk.audit(tx, "token.create", name, after=_said(record))
        return token_view(tx, record, now)

    view = desk.store.write(work)
    remove_file(desk)
    return {**view, "token": str(token)}


@anywhere
def list_tokens(desk: Desk, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Tokens by name, as objects; revoked and expired ones too."""

    def work(reader: Reader) -> Page[JsonObject]:
        page, now = reader.access_tokens(limit, cursor), desk.clock.now()
        return Page(tuple(token_view(reader, record, now) for record in page.items), page.next)

    return desk.store.read(work)


@anywhere
def show_token(desk: Desk, name: str) -> JsonObject:
    """One token as an object, by its name or id.

    Raises:
        NotFound: naming the nearest.
    """
    return desk.store.read(lambda reader: token_view(reader, find_token(reader, name), desk.clock.now()))


@anywhere
def revoke_token(desk: Desk, name: str) -> JsonObject:
    """It counts for nothing from now on, and its sessions are over. It stays in the list. Idempotent.

    Raises:
        NotFound: there is none. Conflict: it is the last that may administer.
    """

    def work(tx: Transaction) -> JsonObject:
        now, record = desk.clock.now(), find_token(tx, name)
        if record.revoked_at is None:
            before, revoked = credentials.admins(tx, now), replace(record, revoked_at=now)
            tx.put_token(revoked)
            tx.delete_sessions_of(record.id)
            credentials.settle(tx, before, now)
            desk.audit(tx, "token.revoke", record.name, _said(record), _said(revoked))
            record = revoked
        return token_view(tx, record, now)

    view = desk.store.write(work)
    remove_file(desk)
    return view


@anywhere
def delete_token(desk: Desk, name: str) -> None:
    """Remove it; the name is free again. What was done with it stays in the audit.

    Raises:
        NotFound: there is none. Conflict: it is the last that may administer.
    """

    def work(tx: Transaction) -> None:
        now, record = desk.clock.now(), find_token(tx, name)
        before = credentials.admins(tx, now)
        tx.delete_token(record.id)
        credentials.settle(tx, before, now)
        desk.audit(tx, "token.delete", record.name, _said(record))

    desk.store.write(work)
    remove_file(desk)


def _said(record: TokenRecord) -> JsonObject:
    """What the audit keeps of a token: never its digest."""
    return {
        "id": record.id,
        "user": record.user,
        "role": str(record.role),
        "expires_at": rfc3339(record.expires_at),
        "revoked_at": rfc3339(record.revoked_at),
    }
