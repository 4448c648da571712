"""Sessions, tokens, users, the audit; nodes and incidents."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE_TOKEN: dict[str, Any] = {
    "id": "gy42d5ax52f3",
    "name": "grafana",
    "user": None,
    "role": "viewer",
    "created_at": "2026-11-21T10:00:00Z",
    "created_by": "rest:anna",
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
}
EXAMPLE_USER: dict[str, Any] = {
    "name": "anna",
    "role": "admin",
    "disabled": False,
    "disabled_at": None,
    "tokens": ["anna-laptop"],
    "created_at": "2026-11-21T10:00:00Z",
    "created_by": "cli:root",
}


class SignIn(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"token": "gnm_…"}})

    token: str = Field(max_length=200)


class Session(BaseModel):
    """Who is signed in."""

    name: str
    role: str
    user: str | None
    expires_at: str | None


class TokenBody(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "grafana", "role": "viewer"}})

    name: str = Field(max_length=64)
    role: str = Field(max_length=20, description="viewer, operator, author or admin")
    user: str | None = Field(default=None, max_length=64, description="Whose it is: it may no more than they may.")
    expires: str | None = Field(default=None, max_length=64, description="A time, or so long from now: `90d`.")


class Token(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    user: str | None
    role: str
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class NewToken(Token):
    """A new token; `token` is the text itself, shown this once."""

    token: str


class TokenPage(BaseModel):
    """Tokens by name."""

    items: list[Token]
    next: str | None
    partial: bool


class UserBody(BaseModel):
    """A new user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "anna", "role": "author"}})

    name: str = Field(max_length=64)
    role: str = Field(max_length=20, description="viewer, operator, author or admin")


class UserChange(BaseModel):
    """What is to change."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"role": "operator"}})

    role: str | None = Field(default=None, max_length=20)
    disabled: bool | None = None


class User(BaseModel):
    """A person, who has tokens."""

    name: str
    role: str
    disabled: bool
    disabled_at: str | None
    tokens: list[str]
    created_at: str
    created_by: str


class UserPage(BaseModel):
    """Users by name."""

    items: list[User]
    next: str | None
    partial: bool


class AuditEntry(BaseModel):
    """A change: who, when, from where, what, and how it was before and after."""

    id: int
    at: str
    actor: str
    address: str | None
    action: str
    object: str
    before: Any
    after: Any


EXAMPLE_AUDIT = {
    "id": 7,
    "at": "2026-11-21T10:00:00Z",
    "actor": "rest:anna-laptop",
    "address": "127.0.0.1",
    "action": "job.pause",
    "object": "daily-report",
    "before": None,
    "after": "the database moves",
}


class AuditPage(BaseModel):
    """Changes, newest first."""

    items: list[AuditEntry]
    next: str | None
    partial: bool


class Node(BaseModel):
    """A scheduler process."""

    id: str
    host: str
    pid: int
    started_at: str
    lease_until: str
    stopped_at: str | None
    concurrency: int
    version: str
    leader: bool


EXAMPLE_NODE = {
    "id": "srv1-4711",
    "host": "srv1",
    "pid": 4711,
    "started_at": "2026-11-21T10:00:00Z",
    "lease_until": "2026-11-21T10:05:15Z",
    "stopped_at": None,
    "concurrency": 10,
    "version": "0.1.0",
    "leader": True,
}


class NodeList(BaseModel):
    """Scheduler processes that live."""

    items: list[Node]
    next: str | None
    partial: bool


class Incident(BaseModel):
    """Something that went wrong with a job, from its first sign to its recovery."""

    model_config = ConfigDict(extra="allow")

    id: str
    job_id: str
    kind: str
    open: bool
    opened_at: str
    last_at: str
    count: int
    text: str
    run_id: str | None
    closed_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None


EXAMPLE_INCIDENT = {
    "id": "01k8h2c6y8r9",
    "job_id": "daily-report",
    "kind": "failure",
    "open": True,
    "opened_at": "2026-11-21T10:00:00Z",
    "last_at": "2026-11-21T10:10:00Z",
    "count": 2,
    "text": "daily-report failed: exit_code: the command ended with 1",
    "run_id": "01k8h2c6y8ra",
    "closed_at": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
}


class IncidentPage(BaseModel):
    """Incidents, newest first."""

    items: list[Incident]
    next: str | None
    partial: bool
