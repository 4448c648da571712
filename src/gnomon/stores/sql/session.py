"""Statements prepared once, and the session of one transaction that runs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, Table, bindparam, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from gnomon.core.errors import InvariantViolated, Problem
from gnomon.core.ports import Clock

Row: TypeAlias = "tuple[Any, ...]"


class _HintingCompiler(SQLiteCompiler):
    """Renders `INDEXED BY …`, which SQLAlchemy leaves out for SQLite."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:
        return text


class _SqliteDialect(SQLiteDialect):
    statement_compiler = _HintingCompiler


DIALECTS: Mapping[str, Dialect] = {"sqlite": _SqliteDialect(paramstyle="qmark")}
INSERTS: Mapping[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Cursor(Protocol):
    """What is used of a driver's cursor (PEP 249)."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, text: str, values: Any = ..., /) -> Any: ...

    def executemany(self, text: str, rows: Iterable[Any], /) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def fetchone(self) -> Any: ...


class Statement:
    """One SQLAlchemy Core statement, compiled once per dialect and run by the driver itself.

    Args:
        element: the statement, or how to build it for a dialect's name.
    """

    __slots__ = ("_compiled", "_element")

    def __init__(self, element: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._element = element
        self._compiled: dict[str, tuple[str, tuple[tuple[str, Any], ...]]] = {}

    def compiled(self, dialect: str) -> tuple[str, tuple[tuple[str, Any], ...]]:
        """Its text, and name and default of each value in the order of the text."""
        known = self._compiled.get(dialect)
        if known is None:
            known = self._compiled[dialect] = self._compile(dialect)
        return known

    def _compile(self, dialect: str) -> tuple[str, tuple[tuple[str, Any], ...]]:
        element = self._element if isinstance(self._element, ClauseElement) else self._element(dialect)
        made = element.compile(dialect=DIALECTS[dialect], compile_kwargs={"render_postcompile": True})
        assert isinstance(made, SQLCompiler)
        return made.string, tuple((name, made.params.get(name)) for name in made.positiontup or ())


def indexed_by(name: str) -> tuple[str, str]:
    """The hint (`with_hint`) that SQLite is to use this index. Without, it guesses: of a table that is never analysed
    it knows nothing, and takes a walk through all history in the right order for cheaper than a little sorting."""
    return f"INDEXED BY {name}", "sqlite"


def given(name: str) -> BindParameter[Any]:
    """A value that comes when the statement runs."""
    return bindparam(name)


class within(ColumnElement[bool]):  # noqa: N801 (reads as part of a statement)
    """`column` is in the list given as `name`: one text, however long the list is (bind it with `listed`)."""

    inherit_cache = False
    __visit_name__ = "gnomon_within"

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.parameter: BindParameter[Any] = bindparam(name)


@compiles(within, "sqlite")
def _within_sqlite(element: within, compiler: SQLCompiler, **options: Any) -> str:
    left, right = compiler.process(element.column, **options), compiler.process(element.parameter, **options)
    return f"{left} IN (SELECT value FROM json_each({right}))"  # noqa: S608


def listed(values: Collection[Any]) -> str:
    """The value for `within`."""
    return json.dumps(list(values))


def insert(table: Table) -> Statement:
    """Add rows; values in the order of the table's columns."""
    return Statement(table.insert())


def upsert(table: Table, *, growing: str | None = None) -> Statement:
    """Add rows, or replace those with the same primary key. `growing`: a column that becomes its old value and one."""
    keys = [column.name for column in table.primary_key]

    def build(dialect: str) -> ClauseElement:
        adding = INSERTS[dialect](table)
        rest = {column.name: adding.excluded[column.name] for column in table.columns if column.name not in keys}
        if growing is not None:
            rest[growing] = table.c[growing] + literal_column("1")
        made: ClauseElement = adding.on_conflict_do_update(index_elements=keys, set_=rest)
        return made

    return Statement(build)


def insert_new(
    table: Table, unique: Sequence[str], *, without: Collection[str] = (), greater: str | None = None
) -> Statement:
    """Add rows, leaving out those whose `unique` columns exist; `without`: columns the database fills.

    `greater`: a row that has more in this column replaces the one that exists.
    """
    names = [column.name for column in table.columns if column.name not in without]

    def build(dialect: str) -> ClauseElement:
        adding = INSERTS[dialect](table).values({name: bindparam(name) for name in names})
        if greater is None:
            ignored: ClauseElement = adding.on_conflict_do_nothing(index_elements=list(unique))
            return ignored
        rest = {name: adding.excluded[name] for name in names if name not in unique}
        newer = adding.excluded[greater] > table.c[greater]
        made: ClauseElement = adding.on_conflict_do_update(index_elements=list(unique), set_=rest, where=newer)
        return made

    return Statement(build)


class Session:
    """A transaction in progress: runs statements, remembers what they touched. One thread at a time."""

    dialect = "sqlite"

    def __init__(self, cursor: Cursor, clock: Clock) -> None:
        self._cursor = cursor
        self.clock = clock

    def end(self) -> None:
        """The transaction is over: a use from now on is a bug and fails."""
        del self._cursor

    def fetch(self, statement: Statement, **values: Any) -> list[Row]:
        """All rows of the answer."""
        text, names = statement.compiled(self.dialect)
        self._cursor.execute(text, [values.get(name, default) for name, default in names])
        return self._cursor.fetchall()

    def first(self, statement: Statement, **values: Any) -> Row | None:
        """The first row, or None."""
        text, names = statement.compiled(self.dialect)
        self._cursor.execute(text, [values.get(name, default) for name, default in names])
        answer: Row | None = self._cursor.fetchone()
        if answer is not None:
            self._cursor.fetchall()
        return answer

    def change(self, statement: Statement, **values: Any) -> int:
        """How many rows it changed."""
        text, names = statement.compiled(self.dialect)
        self._cursor.execute(text, [values.get(name, default) for name, default in names])
        return self._cursor.rowcount

    def change_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        """Run it for each row; values in the order of the statement's text. How many rows it changed in all."""
        if not rows:
            return 0
        text, _ = statement.compiled(self.dialect)
        self._cursor.executemany(text, rows)
        return self._cursor.rowcount


class WriteSession(Session):
    """A session that may write. `touched`: ids per kind, for the changes feed."""

    def __init__(self, cursor: Cursor, clock: Clock) -> None:
        super().__init__(cursor, clock)
        self.touched: dict[str, dict[str, None]] = {}
        self.wrote = False
        self.tokens: int | None = None

    def touch(self, kind: str, ids: Collection[str]) -> None:
        """Remember that this transaction changed these."""
        if ids:
            self.touched.setdefault(kind, {}).update(dict.fromkeys(ids))

    def change(self, statement: Statement, **values: Any) -> int:
        count = super().change(statement, **values)
        self.wrote = self.wrote or count > 0
        return count

    def change_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        count = super().change_many(statement, rows)
        self.wrote = self.wrote or count > 0
        return count


def one(flag: bool) -> int:
    """A truth value as the schema keeps it."""
    return 1 if flag else 0


def must(count: int, expected: int, what: str) -> None:
    """Raise InvariantViolated unless a write changed as many rows as it had to."""
    if count != expected:
        problem = Problem("store_lost_write", f"{what}: {count} rows changed instead of {expected}")
        raise InvariantViolated(problem)
