"""The tables of tokens, users, sessions and kept answers. Beside `schema`, under the same rules."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text

from .schema import metadata

__all__ = ["idempotency", "metadata", "sessions", "tokens", "users"]

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("user", Text),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
)
Index("ux_tokens_name", tokens.c.name, unique=True)
Index("ix_tokens_user", tokens.c.user)

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("disabled_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_digest", Text, primary_key=True),
    Column("token_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
)
Index("ix_sessions_token", sessions.c.token_id)
Index("ix_sessions_expires", sessions.c.expires_at)
Index("ix_sessions_seen", sessions.c.last_seen_at)

idempotency = Table(
    "idempotency",
    metadata,
    Column("actor", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("answer", Text),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("actor", "key"),
)
Index("ix_idempotency_at", idempotency.c.at)
