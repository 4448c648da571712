"""`gnomon token …`, `gnomon user …`, `gnomon audit`: who may do what over HTTP, and who did what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.access import Role
from gnomon.core.errors import UsageError, usage

from . import command as shared
from .choosing import confirm
from .command import command, group
from .jobs import nothing_yet
from .output import local_time, print_fields, print_json, print_page, print_table, shown, state_text
from .session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from rich.text import Text

tokens = group("Tokens, which programs and people come in with over HTTP: create, list, show, revoke, delete.")
users = group("Users, who have tokens: create, list, set-role, disable, enable, delete.")
Token = Annotated[
    str, typer.Argument(metavar="TOKEN", help="Name or id of a token, or the token itself.", show_default=False)
]
User = Annotated[str, typer.Argument(metavar="USER", help="Name of a user.", show_default=False)]
RoleOption = Annotated[
    Role, typer.Option("--role", metavar="ROLE", help="viewer, operator, author or admin.", show_default=False)
]
_STATES = {"active": "ok", "revoked": "cancelled", "expired": "skipped", "user_disabled": "disabled"}


@command(tokens, "create")
def create_token(
    session: Session,
    role: RoleOption,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="How history names its holder.")],
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="Whose it is: it may no more than they may.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="It ends after that: 90d, 12h. Never.")
    ] = None,
) -> None:
    """Make a token and print it, this once. Who has a token of an author or admin runs code as the service's user."""
    from gnomon.operations.tokens import create_token as create

    end = None if expires is None else _end(session, expires)
    with session.desk(new=True) as desk:
        made = cast(dict[str, Any], create(desk, name, role, user=user, expires_at=end))
    if session.json:
        print_json(made)
        return
    print(made["token"])
    session.tell(f"this is the token {name!r} ({role}): it is shown this once")


def _end(session: Session, text: str) -> datetime:
    from gnomon.core.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except UsageError as error:
        problem = error.problems[0]
        raise usage(problem.code, problem.message, key="--expires", hint=problem.hint) from None
    return session.now + timedelta(seconds=seconds)


@command(tokens, "list")
def list_tokens(session: Session, limit: shared.Limit = 50, cursor: shared.Cursor = None) -> None:
    """Tokens by name, revoked and expired ones too."""
    from gnomon.operations.tokens import list_tokens as list_

    if nothing_yet(session):
        return
    with session.desk() as desk:
        page = list_(desk, limit, cursor)
    if print_page(page, session.json):
        return
    columns = ("token", "role", "state", "user", f"last used ({session.settings.timezone})", "expires", "id")
    rows = [_token_row(cast(dict[str, Any], item), session) for item in page.items]
    print_table(columns, rows, optional=("id", "expires"))


def _token_row(item: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    role = item["role"] if item["effective_role"] in (None, item["role"]) else f"{item['effective_role']} (user)"
    used, expires = (local_time(item[key], session.zone) for key in ("last_used_at", "expires_at"))
    return item["name"], role, _state(item), item["user"], used or "never", expires or "never", item["id"]


def _state(item: Mapping[str, Any]) -> Text:
    return state_text(_STATES[item["state"]], item["state"].replace("_", " "))


@command(tokens, "show")
def show_token(session: Session, token: Token) -> None:
    """One token, without its secret."""
    from gnomon.operations.tokens import show_token as show

    with session.desk() as desk:
        _print_token(session, cast(dict[str, Any], show(desk, token)))


@command(tokens, "revoke")
def revoke_token(session: Session, token: Token) -> None:
    """It counts for nothing from now on, and its sessions are over; it stays in the list."""
    from gnomon.operations.tokens import revoke_token as revoke

    with session.desk() as desk:
        _print_token(session, cast(dict[str, Any], revoke(desk, token)))


def _print_token(session: Session, item: Mapping[str, Any]) -> None:
    if session.json:
        print_json(item)
        return
    zone = session.zone
    print_fields(
        {
            "token": item["name"],
            "id": item["id"],
            "state": _state(item),
            "role": item["role"],
            "may now": item["effective_role"],
            "user": item["user"],
            "made": local_time(item["created_at"], zone),
            "made by": item["created_by"],
            "expires": local_time(item["expires_at"], zone),
            "last used": local_time(item["last_used_at"], zone) or "never",
            "revoked": local_time(item["revoked_at"], zone),
            "times are in": session.settings.timezone,
        }
    )


@command(tokens, "delete")
def delete_token(session: Session, token: Token, yes: shared.Yes = False) -> None:
    """Remove a token; the name is free again. What was done with it stays in the audit."""
    from gnomon.operations.tokens import delete_token as delete
    from gnomon.operations.tokens import show_token as show

    with session.desk() as desk:
        name = str(show(desk, token)["name"])
        confirm(f"delete the token {name!r}", yes)
        delete(desk, name)
    _deleted(session, name)


@command(users, "create")
def create_user(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="USER", help="Name of the user.", show_default=False)],
    role: RoleOption,
) -> None:
    """Make a user. `gnomon token create --user USER` gives them a token."""
    from gnomon.operations.users import create_user as create

    with session.desk(new=True) as desk:
        _print_user(session, cast(dict[str, Any], create(desk, name, role)))


@command(users, "list")
def list_users(session: Session, limit: shared.Limit = 50, cursor: shared.Cursor = None) -> None:
    """Users by name, and their tokens."""
    from gnomon.operations.users import list_users as list_

    if nothing_yet(session):
        return
    with session.desk() as desk:
        page = list_(desk, limit, cursor)
    if print_page(page, session.json):
        return
    found = [cast(dict[str, Any], item) for item in page.items]
    rows = [(item["name"], item["role"], _user_state(item), ", ".join(item["tokens"])) for item in found]
    print_table(("user", "role", "state", "tokens"), rows, flexible=("tokens",))


def _user_state(item: Mapping[str, Any]) -> Text:
    return state_text("disabled") if item["disabled"] else state_text("ok", "active")


@command(users, "set-role")
def set_role(session: Session, user: User, role: RoleOption) -> None:
    """What a user may do from now on; their tokens may no more than that."""
    from gnomon.operations.users import set_role as set_

    with session.desk() as desk:
        _print_user(session, cast(dict[str, Any], set_(desk, user, role)))


@command(users, "disable")
def disable_user(session: Session, user: User) -> None:
    """Their tokens count for nothing until they are enabled again, and their sessions are over."""
    from gnomon.operations.users import disable_user as disable

    with session.desk() as desk:
        _print_user(session, cast(dict[str, Any], disable(desk, user)))


@command(users, "enable")
def enable_user(session: Session, user: User) -> None:
    """Their tokens count again."""
    from gnomon.operations.users import enable_user as enable

    with session.desk() as desk:
        _print_user(session, cast(dict[str, Any], enable(desk, user)))


@command(users, "delete")
def delete_user(session: Session, user: User, yes: shared.Yes = False) -> None:
    """Remove a user with their tokens. What they did stays in the audit."""
    from gnomon.operations.users import delete_user as delete
    from gnomon.operations.users import show_user as show

    with session.desk() as desk:
        found = cast(dict[str, Any], show(desk, user))
        with_ = f" with the tokens {', '.join(found['tokens'])}" if found["tokens"] else ""
        confirm(f"delete the user {user!r}{with_}", yes)
        delete(desk, user)
    _deleted(session, user)


def _print_user(session: Session, item: Mapping[str, Any]) -> None:
    if session.json:
        print_json(item)
        return
    print_fields(
        {
            "user": item["name"],
            "role": item["role"],
            "state": _user_state(item),
            "tokens": ", ".join(item["tokens"]),
            "made": local_time(item["created_at"], session.zone),
            "made by": item["created_by"],
            "times are in": session.settings.timezone,
        }
    )


def _deleted(session: Session, name: str) -> None:
    if session.json:
        print_json({"deleted": [name], "kept": []})
    else:
        print(f"{name} is deleted")


def audit(
    session: Session,
    query: shared.Query = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="ACTOR", help="cli:ann, rest:ci, files; rest: all of them.")
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option("--action", metavar="ACTION", help="job.save; job: all of jobs. Again for several."),
    ] = None,
    object_: Annotated[
        str | None, typer.Option("--object", metavar="OBJECT", help="Id or name of what was changed.")
    ] = None,
    since: shared.Since = None,
    until: shared.Until = None,
    limit: shared.Limit = 50,
    cursor: shared.Cursor = None,
) -> None:
    """Who changed what, when, from where; newest first."""
    from gnomon.operations.audit import list_audit
    from gnomon.operations.filters import AUDIT, reading_of

    options = {"actor": actor, "action": action, "object": object_, "since": since, "until": until}
    with session.listing() as desk:
        page = list_audit(desk, AUDIT.options(options, reading_of(desk, session.zone), query), limit, cursor)
    if nothing_yet(session):
        return
    if print_page(page, session.json):
        return
    columns = (f"at ({session.settings.timezone})", "actor", "from", "action", "object", "change")
    rows = [_change_row(cast(dict[str, Any], item), session) for item in page.items]
    print_table(columns, rows, flexible=("object", "change"), optional=("from",))


def _change_row(item: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    at = local_time(item["at"], session.zone)
    return at, item["actor"], item["address"], item["action"], item["object"], _change(item["before"], item["after"])


def _change(before: object, after: object) -> str:
    """`priority: 0 → 3`, for each key; a long value is cut."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return _short(before if after is None else after)
    keys = dict.fromkeys((*before, *after))
    words = [f"{k}: {_short(before.get(k))} → {_short(after.get(k))}" for k in keys if before.get(k) != after.get(k)]
    return ", ".join(words)


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_short(inner)}" for key, inner in value.items() if inner not in (None, {}, []))
    text = "–" if value is None else shown(value)
    return text if len(text) <= 80 else text[:79] + "…"


def register(app: typer.Typer) -> None:
    """Add the groups and `audit`."""
    app.add_typer(tokens, name="token")
    app.add_typer(users, name="user")
    command(app, "audit", panel="Ask")(audit)
