"""Users: create, list, show, change role, disable, enable, delete. A user is known by tokens, and has no password."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from gnomon.core.access import Role, UserRecord, check_name
from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Page
from gnomon.core.values import JsonObject, rfc3339

from . import credentials
from .bootstrap import remove_file
from .context import Desk
from .elsewhere import anywhere


@anywhere
def create_user(desk: Desk, name: str, role: Role) -> JsonObject:
    """A new user; `create_token` with their name gives them a token.

    Raises:
        UsageError: the name. Conflict: it is taken.
    """
    check_name(name)

    def work(tx: Transaction) -> JsonObject:
        if tx.user(name) is not None:
            raise Conflict(Problem("user_exists", f"there is a user {name!r} already", "name", "choose another name"))
        record = UserRecord(name, role, None, desk.clock.now(), desk.actor)
        tx.put_user(record)
        desk.audit(tx, "user.create", name, after=_said(record))
        return user_view(tx, record)

    return desk.store.write(work)


@anywhere
def list_users(desk: Desk, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Users by name, as objects."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = reader.users(limit, cursor)
        return Page(tuple(user_view(reader, record) for record in page.items), page.next)

    return desk.store.read(work)


@anywhere
def show_user(desk: Desk, name: str) -> JsonObject:
    """One user as an object.

    Raises:
        NotFound: naming the nearest.
    """
    return desk.store.read(lambda reader: user_view(reader, find_user(reader, name)))


@anywhere
def set_role(desk: Desk, name: str, role: Role) -> JsonObject:
    """What the user may do from now on; their tokens may no more than that.

    Raises:
        NotFound: there is none. Conflict: nobody could administer any more.
    """
    return _change(desk, name, "user.set_role", lambda user, _: replace(user, role=role))


@anywhere
def disable_user(desk: Desk, name: str) -> JsonObject:
    """Their tokens count for nothing, and their sessions are over, until they are enabled. Idempotent.

    Raises:
        NotFound: there is none. Conflict: nobody could administer any more.
    """
    return _change(desk, name, "user.disable", lambda user, now: replace(user, disabled_at=user.disabled_at or now))


@anywhere
def enable_user(desk: Desk, name: str) -> JsonObject:
    """Their tokens count again. Idempotent.

    Raises:
        NotFound: there is none.
    """
    return _change(desk, name, "user.enable", lambda user, _: replace(user, disabled_at=None))


@anywhere
def delete_user(desk: Desk, name: str) -> None:
    """Remove a user with their tokens. What they did stays in the audit.

    Raises:
        NotFound: there is none. Conflict: nobody could administer any more.
    """

    def work(tx: Transaction) -> None:
        now, record = desk.clock.now(), find_user(tx, name)
        before, tokens = credentials.admins(tx, now), tx.tokens_of_user(name)
        for token in tokens:
            tx.delete_token(token.id)
        tx.delete_user(name)
        credentials.settle(tx, before, now)
        desk.audit(tx, "user.delete", name, {**_said(record), "tokens": [token.name for token in tokens]})

    desk.store.write(work)
    remove_file(desk)


def find_user(reader: Reader, name: str) -> UserRecord:
    """The user of that name.

    Raises:
        NotFound: naming the nearest.
    """
    record = reader.user(name)
    if record is None:
        near = difflib.get_close_matches(name, [u.name for u in reader.users(1000).items], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`gnomon user list` shows them"
        raise NotFound(Problem("user_not_found", f"there is no user {name[:80]!r}", hint=hint))
    return record


def user_view(reader: Reader, record: UserRecord) -> JsonObject:
    """A user: `name, role, disabled, disabled_at, tokens, created_at, created_by`."""
    return {
        "name": record.name,
        "role": str(record.role),
        "disabled": record.disabled_at is not None,
        "disabled_at": rfc3339(record.disabled_at),
        "tokens": [token.name for token in reader.tokens_of_user(record.name)],
        "created_at": rfc3339(record.created_at),
        "created_by": record.created_by,
    }


def _change(desk: Desk, name: str, action: str, change: Callable[[UserRecord, datetime], UserRecord]) -> JsonObject:
    def work(tx: Transaction) -> JsonObject:
        now, record = desk.clock.now(), find_user(tx, name)
        changed = change(record, now)
        if changed != record:
            before = credentials.admins(tx, now)
            tx.put_user(changed)
            if changed.disabled_at is not None:
                for token in tx.tokens_of_user(name):
                    tx.delete_sessions_of(token.id)
            credentials.settle(tx, before, now)
            desk.audit(tx, action, name, _said(record), _said(changed))
        return user_view(tx, changed)

    view = desk.store.write(work)
    remove_file(desk)
    return view


def _said(record: UserRecord) -> JsonObject:
    return {"role": str(record.role), "disabled_at": rfc3339(record.disabled_at)}
