"""What is asked of a store about tokens, users, sessions, kept answers and the audit (part of `ports`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from .access import KeptAnswer, Role, SessionRecord, TokenRecord, UserRecord
from .filters import AuditFilter
from .records import AuditRecord, Page


class AccessReader(Protocol):
    """Questions. See `ports.Reader`."""

    def audit(self, limit: int = 50) -> Sequence[AuditRecord]:
        """Newest first."""

    def audit_page(self, where: AuditFilter, limit: int = 50, cursor: str | None = None) -> Page[AuditRecord]:
        """Newest first."""

    def token(self, token_id: str) -> TokenRecord | None: ...

    def token_by_name(self, name: str) -> TokenRecord | None: ...

    def access_tokens(self, limit: int = 50, cursor: str | None = None) -> Page[TokenRecord]:
        """Tokens by name, revoked ones included."""

    def tokens_of_role(self, role: Role) -> Sequence[TokenRecord]:
        """All tokens made with that role, by name."""

    def tokens_of_user(self, user: str) -> Sequence[TokenRecord]:
        """All tokens of that user, by name."""

    def user(self, name: str) -> UserRecord | None: ...

    def users(self, limit: int = 50, cursor: str | None = None) -> Page[UserRecord]:
        """Users by name."""

    def users_by_name(self, names: Collection[str]) -> Mapping[str, UserRecord]:
        """Those of `names` that exist."""

    def session(self, id_digest: str) -> SessionRecord | None: ...

    def kept_answer(self, actor: str, key: str) -> KeptAnswer | None:
        """What that actor's request with that idempotency key was answered."""


class AccessWriter(Protocol):
    """Writes. See `ports.Transaction`."""

    def add_audit(self, records: Sequence[AuditRecord]) -> None: ...

    def put_token(self, record: TokenRecord) -> None:
        """Add or replace. No two may have one name."""

    def delete_token(self, token_id: str) -> None:
        """Remove it and its sessions. Idempotent."""

    def used_tokens(self, moments: Mapping[str, datetime]) -> None:
        """Move `last_used_at` of those that are there forward, never back. Leaves no entry in the feed."""

    def put_user(self, record: UserRecord) -> None:
        """Add or replace."""

    def delete_user(self, name: str) -> None:
        """Remove the row of a user. Idempotent."""

    def put_session(self, record: SessionRecord) -> None: ...

    def seen_sessions(self, moments: Mapping[str, datetime]) -> None:
        """Move `last_seen_at` of those that are there forward, never back. Leaves no entry in the feed."""

    def delete_session(self, id_digest: str) -> None:
        """Idempotent."""

    def delete_sessions_of(self, token_id: str) -> None:
        """Idempotent."""

    def keep_answer(self, kept: KeptAnswer) -> None:
        """Add or replace what is kept under (actor, key)."""

    def prune_access(
        self, *, now: datetime, idle_since: datetime, answers_before: datetime, audit_before: datetime, limit: int
    ) -> int:
        """Remove at most `limit` each of sessions that expired by `now` or were last seen by `idle_since`, answers
        and audit records older than given. Returns how many rows."""
