"""The list of changes that people made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select, tuple_

from gnomon.core.filters import AuditFilter
from gnomon.core.records import AuditRecord, Page
from gnomon.core.values import from_micros, to_micros

from .paging import Key, Stream, next_cursor, scope_of, start_of, walk
from .schema import audit
from .session import Row, Session, Statement, WriteSession, given, insert_new, listed, within
from .text_conditions import has_word, word_values
from .values import clean, micros, text, value

_MOST_STREAMS = 24
_MARKS = {"actor": (":", ";"), "action": (".", "/")}
"""What ends the name of a group, and the sign that follows it."""
_ORDER = (audit.c.at.desc(), audit.c.id.desc())
_BY_ID = Statement(select(*audit.columns).where(within(audit.c.id, "ids")).order_by(*_ORDER))
_FOLLOWING = {
    name: Statement(select(func.min(audit.c[name])).where(audit.c[name] > given("low"), audit.c[name] < given("high")))
    for name in ("actor", "action")
}


def _word(name: str) -> ColumnElement[bool]:
    return or_(*(has_word(column, name) for column in (audit.c.object, audit.c.actor, audit.c.action)))


def _conditions(names: frozenset[str]) -> Iterator[ColumnElement[bool]]:
    """What is asked of each change, beside what its index answers."""
    for column in (audit.c.actor, audit.c.action):
        wanted = sorted(name for name in names if _is(name, column.name))
        if wanted:
            yield or_(*(_within(column, name) for name in wanted))
    yield from (_word(name) for name in sorted(names) if _is(name, "word"))
    yield from (not_(_word(name)) for name in sorted(names) if _is(name, "not_word"))


def _is(name: str, begin: str) -> bool:
    """Whether it is BEGIN and a number."""
    return name.startswith(begin) and name[len(begin) :].isdigit()


def _within(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """The one called so, or all of that group (values from `_asked`)."""
    return or_(column == given(name), and_(column > given(f"{name}_low"), column < given(f"{name}_high")))


def _asked(column: str, names: Sequence[str]) -> dict[str, object]:
    """The values of `_within`."""
    values: dict[str, object] = {}
    for number, name in enumerate(names):
        low, high = _group(column, name) or (name, name)
        values |= {f"{column}{number}": name, f"{column}{number}_low": low, f"{column}{number}_high": high}
    return values


def _group(column: str, name: str) -> tuple[str, str] | None:
    """Between which names those of a group lie: `job.` and `job/`. None: it is a whole name."""
    mark, behind = _MARKS[column]
    return None if mark in name else (name + mark, name + behind)


@lru_cache(maxsize=256)
def _keys(of: str, names: frozenset[str], *, last: bool = False) -> Statement:
    """Keys of the changes that match, from the index of `of`; `last`: the last key that may be looked at."""
    query: Select[tuple[int, int]] = select(audit.c.at, audit.c.id).order_by(*_ORDER)
    query = query.with_hint(audit, f"INDEXED BY ix_audit_{of}", "sqlite")
    if of != "at":
        query = query.where(audit.c[of] == given("named"))
    if "since" in names:
        query = query.where(audit.c.at >= given("since"))
    if "until" in names:
        query = query.where(audit.c.at < given("until"))
    for name, sign in (("after", "<"), ("upto", ">=")):
        if f"{name}_at" in names:
            key = tuple_(given(f"{name}_at"), given(f"{name}_id"))
            query = query.where(tuple_(audit.c.at, audit.c.id).op(sign, is_comparison=True)(key))
    if last:
        return Statement(query.limit(1).offset(given("skipped")))
    return Statement(query.where(*_conditions(names)).limit(given("limit")))


def _record(row: Row) -> AuditRecord:
    id_, at, actor, action, subject, before, after, address = row
    return AuditRecord(from_micros(at), actor, action, subject, value(before), value(after), address, id_)


class AuditReads(Session):
    """Questions about the audit."""

    def audit(self, limit: int = 50) -> Sequence[AuditRecord]:
        return self.audit_page(AuditFilter(), limit).items

    def audit_page(self, where: AuditFilter, limit: int = 50, cursor: str | None = None) -> Page[AuditRecord]:
        scope = scope_of("audit", where)
        walked = walk(self._audit_streams(where), limit, start_of(cursor, scope, int, int))
        rows = self.fetch(_BY_ID, ids=listed([key[1] for key in walked.keys])) if walked.keys else []
        return Page(tuple(map(_record, rows)), next_cursor(walked, scope), walked.partial)

    def _audit_streams(self, where: AuditFilter) -> list[Stream]:
        """From the index that answers most; several if it has several values."""
        times = {"since": micros(where.since), "until": micros(where.until)}
        bounds = {name: moment for name, moment in times.items() if moment is not None}
        asked: dict[str, object] = dict(word_values(where.words) | word_values(where.not_words, "not_word"))
        actors = [] if where.actor is None else [where.actor]
        chosen: tuple[str, list[str]] | None = None if where.object is None else ("object", [where.object])
        for column, names in (("actor", actors), ("action", list(where.actions))):
            known = self._audit_names(column, names) if names and chosen is None else None
            if known is not None:
                chosen = column, known
            else:
                asked |= _asked(column, names)
        of, values = chosen or ("at", [""])
        return [self._audit_stream(of, name, bounds, asked) for name in values]

    def _audit_names(self, column: str, names: Sequence[str]) -> list[str] | None:
        """All that these names and groups stand for; None: too many to go through each of them."""
        found: set[str] = set()
        for name in names:
            found.add(name)
            group = _group(column, name)
            if group is not None:
                found.update(islice(self._audit_group(column, *group), _MOST_STREAMS + 1))
        return sorted(found) if len(found) <= _MOST_STREAMS else None

    def _audit_group(self, column: str, low: str, high: str) -> Iterator[str]:
        while (row := self.first(_FOLLOWING[column], low=low, high=high)) is not None and row[0] is not None:
            yield row[0]
            low = row[0]

    def _audit_stream(self, of: str, named: str, bounds: dict[str, int], asked: dict[str, object]) -> Stream:
        fixed: dict[str, object] = {**bounds, **asked}

        def placed(after: Key | None, upto: Key | None) -> dict[str, object]:
            ends = (("after", after), ("upto", upto))
            return {f"{n}_{part}": key[i] for n, key in ends if key is not None for i, part in enumerate(("at", "id"))}

        def keys(after: Key | None, upto: Key | None, limit: int) -> Sequence[Key]:
            values = fixed | placed(after, upto)
            return self.fetch(_keys(of, frozenset(values)), named=named, limit=limit, **values)

        def last(after: Key | None, skipped: int) -> Key | None:
            values = {**bounds, **placed(after, None)}
            return self.first(_keys(of, frozenset(values), last=True), named=named, skipped=skipped, **values)

        every: Callable[[Key | None, int], Key | None] | None = last if asked else None
        return Stream(keys, every)


_ADD = insert_new(audit, ("id",), without=("id",))


class AuditWrites(WriteSession):
    """Additions to the audit."""

    def add_audit(self, records: Sequence[AuditRecord]) -> None:
        self.change_many(_ADD, [_row(record) for record in records])


def _row(r: AuditRecord) -> Row:
    subject = (clean(r.actor), r.action, clean(r.object))
    return (to_micros(r.at), *subject, text(r.before), text(r.after), clean(r.address))
