"""The list of changes that people made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from sqlalchemy import ColumnElement, func, not_, or_, select, tuple_

from gnomon.core.filters import AuditFilter
from gnomon.core.records import AuditRecord, Page
from gnomon.core.values import from_micros, to_micros

from .paging import Key, Stream, next_cursor, scope_of, start_of, walk
from .schema import audit
from .session import Row, Session, Statement, WriteSession, given, insert_new, listed, within
from .text_conditions import actor_values, has_word, is_actor, word_values
from .values import clean, micros, text, value

_NEWEST = (audit.c.at.desc(), audit.c.id.desc())
_BY_ID = Statement(select(*audit.columns).where(within(audit.c.id, "ids")).order_by(*_NEWEST))
_NUMBER = re.compile(r"[0-9]+$")
# A list in the order of one index: all changes, those to one object, of one actor, or of one kind.
_SOURCES: Mapping[str, tuple[str, tuple[ColumnElement[bool], ...]]] = {
    "all": ("ix_audit_at", ()),
    "object": ("ix_audit_object", (audit.c.object == given("of"),)),
    "actor": ("ix_audit_actor", (audit.c.actor == given("of"),)),
    "action": ("ix_audit_action", (audit.c.action == given("of"),)),
}


def _has_word(name: str) -> ColumnElement[bool]:
    """Object, actor or action have the word in them."""
    return or_(*(has_word(column, name) for column in (audit.c.object, audit.c.actor, audit.c.action)))


_CONDITIONS: Mapping[str, Callable[[str], ColumnElement[bool]]] = {
    "actor": lambda name: is_actor(audit.c.actor),
    "whole": lambda name: audit.c.action == given(name),
    "action": lambda name: func.substr(audit.c.action, 1, func.length(given(name))) == given(name),
    "object": lambda name: audit.c.object == given("object"),
    "word": _has_word,
    "not_word": lambda name: not_(_has_word(name)),
}


@lru_cache(maxsize=256)
def _list(source: str, bounds: frozenset[str], rest: frozenset[str], *, last: bool = False) -> Statement:
    """Keys of the changes that match; `last`: the key of the last one that may be looked at."""
    index, conditions = _SOURCES[source]
    query = select(audit.c.at, audit.c.id).with_hint(audit, f"INDEXED BY {index}", "sqlite").where(*conditions)
    query = query.order_by(*_NEWEST)
    if "since" in bounds:
        query = query.where(audit.c.at >= given("since"))
    if "until" in bounds:
        query = query.where(audit.c.at < given("until"))
    for name, sign in (("after", "<"), ("upto", ">=")):
        if f"{name}_at" in bounds:
            key = tuple_(given(f"{name}_at"), given(f"{name}_id"))
            query = query.where(tuple_(audit.c.at, audit.c.id).op(sign, is_comparison=True)(key))
    if last:
        return Statement(query.limit(1).offset(given("skipped")))
    numbered: dict[str, list[ColumnElement[bool]]] = {}
    for name in sorted(rest - {"actor_kind"}):
        kind = _NUMBER.sub("", name)
        numbered.setdefault(kind, []).append(_CONDITIONS[kind](name))
    actions = numbered.pop("action", []) + numbered.pop("whole", [])
    query = query.where(*(condition for some in numbered.values() for condition in some))
    return Statement((query.where(or_(*actions)) if actions else query).limit(given("limit")))


def _record(row: Row) -> AuditRecord:
    id_, at, actor, action, subject, before, after, address = row
    return AuditRecord(from_micros(at), actor, action, subject, value(before), value(after), address, id_)


class AuditReads(Session):
    """Questions about the audit."""

    def audit(self, limit: int = 50) -> Sequence[AuditRecord]:
        return self.audit_page(AuditFilter(), limit).items

    def audit_page(self, where: AuditFilter, limit: int = 50, cursor: str | None = None) -> Page[AuditRecord]:
        scope = scope_of("audit", where)
        sources, rest = _plan(where)
        ends = {"since": micros(where.since), "until": micros(where.until)}
        values = rest | {name: end for name, end in ends.items() if end is not None}
        streams = [self._changes(source, values | {"of": of}, frozenset(rest)) for source, of in sources]
        walked = walk(streams, limit, start_of(cursor, scope, int, int))
        rows = self.fetch(_BY_ID, ids=listed([key[1] for key in walked.keys])) if walked.keys else []
        return Page(tuple(map(_record, rows)), next_cursor(walked, scope), walked.partial)

    def _changes(self, source: str, values: dict[str, object], rest: frozenset[str]) -> Stream:
        def bounded(after: Key | None, upto: Key | None) -> tuple[frozenset[str], dict[str, object]]:
            found: dict[str, object] = {name: values[name] for name in ("since", "until") if name in values}
            for name, key in (("after", after), ("upto", upto)):
                if key is not None:
                    found |= {f"{name}_at": key[0], f"{name}_id": key[1]}
            return frozenset(found), values | found

        def keys(after: Key | None, upto: Key | None, limit: int) -> Sequence[Key]:
            bounds, given_values = bounded(after, upto)
            return self.fetch(_list(source, bounds, rest), limit=limit, **given_values)

        def last(after: Key | None, skipped: int) -> Key | None:
            bounds, given_values = bounded(after, None)
            return self.first(_list(source, bounds, rest, last=True), skipped=skipped, **given_values)

        return Stream(keys, last if rest else None)


def _plan(where: AuditFilter) -> tuple[list[tuple[str, str | None]], dict[str, object]]:
    """Which streams give the list, and what is asked of each entry. `job` means every `job.…`."""
    actions = {f"whole{n}": one for n, one in enumerate(where.actions) if "." in one}
    actions |= {f"action{n}": f"{one}." for n, one in enumerate(where.actions) if "." not in one}
    rest: dict[str, object] = {**actions} | word_values(where.words) | word_values(where.not_words, "not_word")
    if where.actor is not None:
        rest |= actor_values(where.actor)
    if where.object is not None:
        return [("object", where.object)], rest
    if where.actor is not None and ":" in where.actor:
        return [("actor", where.actor)], {n: v for n, v in rest.items() if n not in ("actor", "actor_kind")}
    if where.actions and all("." in one for one in where.actions):
        return [("action", one) for one in dict.fromkeys(where.actions)], {
            name: value for name, value in rest.items() if name not in actions
        }
    return [("all", None)], rest


_ADD = insert_new(audit, ("id",), without=("id",))


class AuditWrites(WriteSession):
    """Additions to the audit."""

    def add_audit(self, records: Sequence[AuditRecord]) -> None:
        self.change_many(_ADD, [_row(record) for record in records])


def _row(r: AuditRecord) -> Row:
    subject = (clean(r.actor), r.action, clean(r.object))
    return (to_micros(r.at), *subject, text(r.before), text(r.after), clean(r.address))
