"""The audit: who changed what, when, from where."""

from __future__ import annotations

from gnomon.core.filters import AuditFilter
from gnomon.core.records import AuditRecord, Page
from gnomon.core.values import JsonObject, rfc3339

from .context import Desk
from .elsewhere import anywhere


@anywhere
def list_audit(desk: Desk, where: AuditFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Changes that match, newest first, as objects."""
    page = desk.store.read(lambda reader: reader.audit_page(where, limit, cursor))
    return Page(tuple(audit_view(record) for record in page.items), page.next, page.partial)


def audit_view(record: AuditRecord) -> JsonObject:
    """A change: `id, at, actor, address, action, object, before, after`."""
    return {
        "id": record.id,
        "at": rfc3339(record.at),
        "actor": record.actor,
        "address": record.address,
        "action": record.action,
        "object": record.object,
        "before": record.before,
        "after": record.after,
    }
