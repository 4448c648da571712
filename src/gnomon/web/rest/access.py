"""Who may come in: sessions of browsers, tokens, users; and the audit."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from gnomon.core.access import Permission, role_of
from gnomon.core.values import rfc3339
from gnomon.operations import access, audit, tokens, users
from gnomon.operations.context import Desk
from gnomon.operations.filters import AUDIT
from gnomon.operations.moments import parse_when
from gnomon.web.answers import answers, nothing, ok, page
from gnomon.web.asking import Asked, needs
from gnomon.web.callers import COOKIE, session_cookie
from gnomon.web.models.access import (
    EXAMPLE_AUDIT,
    EXAMPLE_TOKEN,
    EXAMPLE_USER,
    AuditPage,
    NewToken,
    Session,
    SignIn,
    Token,
    TokenBody,
    TokenPage,
    User,
    UserBody,
    UserChange,
    UserPage,
)
from gnomon.web.models.page import page_of
from gnomon.web.service import Service

from .common import Asking, Cursor, Limit, chosen
from .runs import Word

router = APIRouter(tags=["access"])
Name = Annotated[str, Path(max_length=64)]
_ME = {"name": "anna-laptop", "role": "admin", "user": "anna", "expires_at": "2026-12-21T10:00:00Z"}


@router.post(
    "/session",
    operation_id="sign_in",
    summary="Sign a browser in with a token",
    description="The answer sets a cookie that scripts cannot read. It ends with the token, on request, or by itself.",
    status_code=201,
    responses=answers(Session, status=201, examples=[_ME]),
)
def sign_in(request: Request, body: SignIn) -> Response:
    """Begin a session. The only route that may be asked by nobody known."""
    service: Service = request.app.state.service
    desk = service.desk("rest", None if request.client is None else request.client.host)
    principal = access.authenticate(desk, body.token)
    before = session_cookie(request.headers)
    secret, record = access.sign_in(desk, body.token)
    if before is not None:  # the browser forgets it: it would stay good unseen
        access.sign_out(desk, before)
    said = {"name": principal.name, "role": str(principal.role), "user": principal.user}
    answer = ok({**said, "expires_at": rfc3339(record.expires_at)}, HTTPStatus.CREATED)
    seconds = int((record.expires_at - record.created_at).total_seconds())
    answer.set_cookie(
        COOKIE, secret, max_age=seconds, path="/", secure=service.secure, httponly=True, samesite="strict"
    )
    return answer


@router.get("/session", operation_id="get_session", summary="Who am I?", responses=answers(Session, examples=[_ME]))
def get_session(asked: Annotated[Asked, needs(Permission.READ)]) -> Response:
    """Whose token or session this is, and what it may."""
    who = asked.principal
    return ok({"name": who.name, "role": str(who.role), "user": who.user, "expires_at": None})


@router.delete(
    "/session", operation_id="sign_out", summary="Sign out", status_code=204, responses=answers(None, status=204)
)
def sign_out(asked: Annotated[Asked, needs(Permission.READ)], request: Request) -> Response:
    """End the session of this browser."""
    secret = session_cookie(request.headers)
    if secret is not None:
        access.sign_out(asked.desk, secret)
    answer = nothing()
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


@router.get(
    "/tokens",
    operation_id="list_tokens",
    summary="All tokens",
    responses=answers(TokenPage, examples=[{"items": [EXAMPLE_TOKEN], "next": None, "partial": False}]),
)
def list_tokens(asked: Annotated[Asked, needs(Permission.ADMIN)], limit: Limit = 50, cursor: Cursor = None) -> Response:
    """By name; revoked and expired ones too."""
    return page(tokens.list_tokens(asked.desk, limit, cursor))


@router.post(
    "/tokens",
    operation_id="create_token",
    summary="Make a token",
    description="The answer is the only place where its text is ever shown.",
    status_code=201,
    responses=answers(NewToken, 404, 409, status=201, examples=[{**EXAMPLE_TOKEN, "token": "gnm_…"}]),
)
def create_token(asked: Annotated[Asked, needs(Permission.ADMIN)], body: TokenBody) -> Response:
    """A new token."""
    desk = asked.desk
    expires = None if body.expires is None else _later(desk, body.expires)
    made = tokens.create_token(desk, body.name, role_of(body.role), user=body.user, expires_at=expires)
    return ok(made, HTTPStatus.CREATED)


@router.get(
    "/tokens/{name}",
    operation_id="get_token",
    summary="One token",
    responses=answers(Token, 404, examples=[EXAMPLE_TOKEN]),
)
def get_token(asked: Annotated[Asked, needs(Permission.ADMIN)], name: Name) -> Response:
    """By its name or id."""
    return ok(tokens.show_token(asked.desk, name))


@router.post(
    "/tokens/{name}/revoke",
    operation_id="revoke_token",
    summary="Revoke a token",
    responses=answers(Token, 404, 409, examples=[{**EXAMPLE_TOKEN, "revoked_at": "2026-11-22T10:00:00Z"}]),
)
def revoke_token(asked: Annotated[Asked, needs(Permission.ADMIN)], name: Name) -> Response:
    """It counts for nothing within a second, and its sessions are over."""
    return ok(tokens.revoke_token(asked.desk, name))


@router.delete(
    "/tokens/{name}",
    operation_id="delete_token",
    summary="Delete a token",
    status_code=204,
    responses=answers(None, 404, 409, status=204),
)
def delete_token(asked: Annotated[Asked, needs(Permission.ADMIN)], name: Name) -> Response:
    """The name is free again; what was done with it stays in the audit."""
    tokens.delete_token(asked.desk, name)
    return nothing()


@router.get(
    "/users",
    operation_id="list_users",
    summary="All users",
    responses=answers(UserPage, examples=[{"items": [EXAMPLE_USER], "next": None, "partial": False}]),
)
def list_users(asked: Annotated[Asked, needs(Permission.ADMIN)], limit: Limit = 50, cursor: Cursor = None) -> Response:
    """By name."""
    return page(users.list_users(asked.desk, limit, cursor))


@router.post(
    "/users",
    operation_id="create_user",
    summary="Add a user",
    status_code=201,
    responses=answers(User, 409, status=201, examples=[EXAMPLE_USER]),
)
def create_user(asked: Annotated[Asked, needs(Permission.ADMIN)], body: UserBody) -> Response:
    """A user is known by tokens, and has no password."""
    return ok(users.create_user(asked.desk, body.name, role_of(body.role)), HTTPStatus.CREATED)


@router.get(
    "/users/{name}", operation_id="get_user", summary="One user", responses=answers(User, 404, examples=[EXAMPLE_USER])
)
def get_user(asked: Annotated[Asked, needs(Permission.ADMIN)], name: Name) -> Response:
    """One user."""
    return ok(users.show_user(asked.desk, name))


@router.patch(
    "/users/{name}",
    operation_id="change_user",
    summary="Change a user's role, disable or enable them",
    responses=answers(User, 404, 409, examples=[EXAMPLE_USER]),
)
def change_user(asked: Annotated[Asked, needs(Permission.ADMIN)], name: Name, body: UserChange) -> Response:
    """Their tokens may no more than they may; those of a disabled user count for nothing."""
    desk = asked.desk
    found = users.show_user(desk, name)
    if body.role is not None:
        found = users.set_role(desk, name, role_of(body.role))
    if body.disabled is not None:
        found = users.disable_user(desk, name) if body.disabled else users.enable_user(desk, name)
    return ok(found)


@router.delete(
    "/users/{name}",
    operation_id="delete_user",
    summary="Delete a user with their tokens",
    status_code=204,
    responses=answers(None, 404, 409, status=204),
)
def delete_user(asked: Annotated[Asked, needs(Permission.ADMIN)], name: Name) -> Response:
    """What they did stays in the audit."""
    users.delete_user(asked.desk, name)
    return nothing()


@router.get(
    "/audit",
    operation_id="list_audit",
    summary="Who changed what",
    responses=answers(AuditPage, examples=[page_of(EXAMPLE_AUDIT)]),
)
def list_audit(
    asked: Annotated[Asked, needs(Permission.ADMIN)],
    q: Asking = None,
    actor: Word = None,
    action: Word = None,
    object: Word = None,
    since: Word = None,
    until: Word = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Newest first."""
    desk = asked.desk
    said = {"actor": actor, "action": action, "object": object, "since": since, "until": until}
    return page(audit.list_audit(desk, chosen(AUDIT, desk, said, q), limit, cursor))


def _later(desk: Desk, text: str) -> datetime:
    """`90d` means so long from now, anything else a time."""
    now = desk.clock.now()
    word = text.strip()
    ahead = f"+{word}" if word[:1].isdigit() and not word[-1:].isdigit() and word[-1:] not in "Zz" else word
    return parse_when(ahead, now, ZoneInfo(desk.timezone), key="expires").at
