"""How a server is asked who may come in, who did what and what went wrong; as `table`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from gnomon.core.access import Role
from gnomon.core.filters import AuditFilter
from gnomon.core.records import Page
from gnomon.core.values import JsonObject
from gnomon.operations import alerts, audit, nodes, tokens, users
from gnomon.operations.filters import AUDIT

from .client import Client
from .table import answers, every, paged, plain


@answers(nodes.list_nodes)
def _(client: Client) -> list[JsonObject]:
    return every(client.list_nodes())


@answers(alerts.list_incidents)
def _(
    client: Client,
    *,
    is_open: bool | None = None,
    job_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[JsonObject]:
    return paged(client.list_incidents(open=is_open, job=job_id), limit, cursor)


@answers(alerts.show_incident)
def _(client: Client, incident_id: str) -> JsonObject:
    return plain(client.get_incident(incident_id))


@answers(alerts.acknowledge_incident)
def _(client: Client, incident_id: str) -> JsonObject:
    return plain(client.acknowledge_incident(incident_id))


@answers(tokens.create_token)
def _(
    client: Client, name: str, role: Role, *, user: str | None = None, expires_at: datetime | None = None
) -> JsonObject:
    return plain(client.create_token(name, cast(Any, str(role)), user=user, expires=expires_at))


@answers(tokens.list_tokens)
def _(client: Client, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_tokens(), limit, cursor)


@answers(tokens.show_token)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.get_token(name))


@answers(tokens.revoke_token)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.revoke_token(name))


@answers(tokens.delete_token)
def _(client: Client, name: str) -> None:
    client.delete_token(name)


@answers(users.create_user)
def _(client: Client, name: str, role: Role) -> JsonObject:
    return plain(client.create_user(name, cast(Any, str(role))))


@answers(users.list_users)
def _(client: Client, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_users(), limit, cursor)


@answers(users.show_user)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.get_user(name))


@answers(users.set_role)
def _(client: Client, name: str, role: Role) -> JsonObject:
    return plain(client.change_user(name, role=cast(Any, str(role))))


@answers(users.disable_user)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.change_user(name, disabled=True))


@answers(users.enable_user)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.change_user(name, disabled=False))


@answers(users.delete_user)
def _(client: Client, name: str) -> None:
    client.delete_user(name)


@answers(audit.list_audit)
def _(client: Client, where: AuditFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_audit(q=AUDIT.write(where)), limit, cursor)
