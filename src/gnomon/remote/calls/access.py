"""Who may come in and who did what; nodes, incidents, health."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypedDict

from gnomon.remote.answers import About, AuditEntry, Incident, NewToken, Node, Session, TaskType, Token, User

from .call import Call, Listed, When, edit, get, listed, post

Role = Literal["viewer", "operator", "author", "admin"]
_TOKEN = "/tokens/{name}"
_USER = "/users/{name}"


class Check(TypedDict):
    """One thing that was looked at."""

    name: str
    ok: bool
    level: Literal["ok", "degraded", "failing"]
    message: str
    since: str | None


class Health(TypedDict):
    """Whether the scheduler does its work."""

    ok: bool
    level: Literal["ok", "degraded", "failing"]
    at: str
    line: str
    checks: list[Check]


def sign_in(token: str) -> Call[Session]:
    """Begin a session, as browsers do: its cookie is kept by the client."""
    return post("sign_in", "/session", body={"token": token})


def get_session() -> Call[Session]:
    """Who am I?"""
    return get("get_session", "/session")


def sign_out() -> Call[None]:
    """End the session."""
    return edit("sign_out", "DELETE", "/session", {})


def list_tokens(*, limit: int = 50) -> Listed[Token]:
    """Tokens by name."""
    return listed("list_tokens", "/tokens", limit=limit)


def create_token(name: str, role: Role, *, user: str | None = None, expires: When | None = None) -> Call[NewToken]:
    """Make a token; its text is shown this once. `expires`: a time, or so long from now (`90d`)."""
    return post("create_token", "/tokens", body={"name": name, "role": role, "user": user, "expires": expires})


def get_token(name: str) -> Call[Token]:
    """One token, without its secret."""
    return get("get_token", _TOKEN, {"name": name})


def revoke_token(name: str) -> Call[Token]:
    """It counts for nothing from now on."""
    return post("revoke_token", _TOKEN + "/revoke", {"name": name})


def delete_token(name: str) -> Call[None]:
    """Remove a token; the name is free again."""
    return edit("delete_token", "DELETE", _TOKEN, {"name": name})


def list_users(*, limit: int = 50) -> Listed[User]:
    """Users by name."""
    return listed("list_users", "/users", limit=limit)


def create_user(name: str, role: Role) -> Call[User]:
    """Add a user."""
    return post("create_user", "/users", body={"name": name, "role": role})


def get_user(name: str) -> Call[User]:
    """One user."""
    return get("get_user", _USER, {"name": name})


def change_user(name: str, *, role: Role | None = None, disabled: bool | None = None) -> Call[User]:
    """Give a user another role, disable or enable them."""
    body = {key: value for key, value in {"role": role, "disabled": disabled}.items() if value is not None}
    return edit("change_user", "PATCH", _USER, {"name": name}, body)


def delete_user(name: str) -> Call[None]:
    """Remove a user with their tokens."""
    return edit("delete_user", "DELETE", _USER, {"name": name})


def list_audit(
    *,
    q: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int = 50,
) -> Listed[AuditEntry]:
    """Who changed what, newest first."""
    said: dict[str, Any] = {"q": q, "actor": actor, "action": action, "object": object, "since": since, "until": until}
    return listed("list_audit", "/audit", **said, limit=limit)


def list_nodes() -> Listed[Node]:
    """Scheduler processes that live; the one with `leader` plans."""
    return listed("list_nodes", "/nodes")


def list_incidents(*, open: bool | None = None, job: str | None = None, limit: int = 50) -> Listed[Incident]:
    """What went wrong, newest first."""
    return listed("list_incidents", "/incidents", open=open, job=job, limit=limit)


def get_incident(incident_id: str) -> Call[Incident]:
    """One incident with its messages."""
    return get("get_incident", "/incidents/{incident_id}", {"incident_id": incident_id})


def acknowledge_incident(incident_id: str) -> Call[Incident]:
    """Somebody takes care of it: no more reminders."""
    path = "/incidents/{incident_id}/acknowledge"
    return post("acknowledge_incident", path, {"incident_id": incident_id}, repeatable=True)


def get_about() -> Call[About]:
    """Version, database, zone and settings."""
    return get("get_about", "/about")


def list_task_types() -> Listed[TaskType]:
    """What a job can do."""
    return listed("list_task_types", "/task-types")


def get_openapi() -> Call[dict[str, Any]]:
    """The OpenAPI document."""
    return get("get_openapi", "/openapi.json")


def get_health() -> Call[Health]:
    """Whether the scheduler does its work; needs no token."""
    return replace(get("get_health", ""), path="/healthz", accepted=(503,))
