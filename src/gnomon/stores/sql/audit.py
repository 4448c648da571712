"""The list of changes that people made."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import and_, or_, select, tuple_

from gnomon.core.filters import AuditFilter
from gnomon.core.records import AuditRecord, Page
from gnomon.core.values import from_micros, to_micros

from .paging import scope_of
from .schema import audit
from .session import Row, Session, Statement, WriteSession, given, insert_new
from .values import clean, from_cursor, micros, text, to_cursor, value

SCAN = 20_000
"""Rows that a page reads at most when it looks for words, which no index has."""


@lru_cache(maxsize=256)
def _list(names: frozenset[str], actions: int) -> Statement:
    """The list under the filters that are set."""
    query = select(*audit.columns).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(given("limit"))
    if "actor" in names:
        query = query.where(audit.c.actor == given("actor"))
    if "kind" in names:
        of_kind = and_(audit.c.actor >= given("kind_low"), audit.c.actor < given("kind_high"))
        query = query.where(or_(audit.c.actor == given("kind"), of_kind))
    if "object" in names:
        query = query.where(audit.c.object == given("object"))
    if "since" in names:
        query = query.where(audit.c.at >= given("since"))
    if "until" in names:
        query = query.where(audit.c.at < given("until"))
    if "after_at" in names:
        query = query.where(tuple_(audit.c.at, audit.c.id) < tuple_(given("after_at"), given("after_id")))
    if actions:
        ranges = [and_(audit.c.action >= given(f"low{n}"), audit.c.action < given(f"high{n}")) for n in range(actions)]
        query = query.where(or_(*ranges))
    return Statement(query)


def _record(row: Row) -> AuditRecord:
    id_, at, actor, action, subject, before, after, address = row
    return AuditRecord(from_micros(at), actor, action, subject, value(before), value(after), address, id_)


def _fits(row: Row, where: AuditFilter) -> bool:
    if not where.words and not where.not_words:
        return True
    found = f"{row[4]}\n{row[2]}\n{row[3]}".casefold()
    return all(word.casefold() in found for word in where.words) and not any(
        word.casefold() in found for word in where.not_words
    )


class AuditReads(Session):
    """Questions about the audit."""

    def audit(self, limit: int = 50) -> Sequence[AuditRecord]:
        return self.audit_page(AuditFilter(), limit).items

    def audit_page(self, where: AuditFilter, limit: int = 50, cursor: str | None = None) -> Page[AuditRecord]:
        values = _values(where)
        if cursor is not None:
            values["after_at"], values["after_id"] = from_cursor(cursor, scope_of("audit", where), int, int)
        searching = bool(where.words or where.not_words)
        most = max(SCAN, limit) if searching else limit
        names = frozenset(values)
        rows = self.fetch(_list(names, len(where.actions)), **values, limit=most + 1)
        found: list[Row] = []
        for position, row in enumerate(rows[:most]):
            if _fits(row, where):
                found.append(row)
            if len(found) == limit and position + 1 < len(rows):
                return Page(tuple(map(_record, found)), to_cursor(scope_of("audit", where), row[1], row[0]))
        if len(rows) > most:
            last = rows[most - 1]
            return Page(
                tuple(map(_record, found)), to_cursor(scope_of("audit", where), last[1], last[0]), partial=searching
            )
        return Page(tuple(map(_record, found)))


def _values(where: AuditFilter) -> dict[str, str | int | None]:
    """What is asked for, by the names of the statement; what is not set is left out."""
    values: dict[str, str | int | None] = {
        "object": where.object,
        "since": micros(where.since),
        "until": micros(where.until),
    }
    if where.actor is not None and ":" in where.actor:
        values["actor"] = where.actor
    elif where.actor is not None:
        values |= {"kind": where.actor, "kind_low": f"{where.actor}:", "kind_high": f"{where.actor};"}
    for n, action in enumerate(where.actions):
        whole = "." in action
        values[f"low{n}"] = action if whole else f"{action}."
        values[f"high{n}"] = f"{action}\0" if whole else f"{action}/"
    return {name: asked for name, asked in values.items() if asked is not None}


_ADD = insert_new(audit, ("id",), without=("id",))


class AuditWrites(WriteSession):
    """Additions to the audit."""

    def add_audit(self, records: Sequence[AuditRecord]) -> None:
        self.change_many(_ADD, [_row(record) for record in records])


def _row(r: AuditRecord) -> Row:
    subject = (clean(r.actor), r.action, clean(r.object))
    return (to_micros(r.at), *subject, text(r.before), text(r.after), clean(r.address))
