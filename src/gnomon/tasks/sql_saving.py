"""The rows of a query into a table: within one database, or from one to another. Runs in workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.types import TypeEngine

from gnomon.core.values import Json, JsonObject

from .data import as_json
from .performing import TaskFailed, Work
from .sql_binding import bound, json_text
from .sql_connecting import Database, url_of

PORTION = 500
_WITHIN = ("sqlite", "postgresql", "mysql", "mariadb")
_TYPES: tuple[tuple[type, Any], ...] = (
    (bool, sa.Boolean()),
    (int, sa.BigInteger()),
    (float, sa.Double()),
    (Decimal, sa.Numeric()),
    (datetime, sa.DateTime(timezone=True)),
    (date, sa.Date()),
    (time, sa.Time()),
    (bytes, sa.LargeBinary()),
    (UUID, sa.Uuid()),
)


def save(arguments: JsonObject, into: JsonObject, work: Work, source: Database, private: Json) -> Json:
    """Save all rows, in one transaction of the database they go to.

    Raises:
        TaskFailed: `table_exists`, or what either database says.
    """
    from .sql_performing import distinct, read

    # the same isolation and waiting time hold for both; its address and its user are its own
    own = {**arguments, "username": None, "password": None, **into} if "url" in into else arguments
    target = Database(url_of(own, "into."), own, work, private, must_exist=False) if "url" in into else source
    same = target.url == source.url
    with ExitStack() as stack:
        if same and source.engine.dialect.name in _WITHIN:
            connection = stack.enter_context(source.transaction())
            table = _Table(connection, into)
            count = _within(connection, table, arguments)
        else:
            other = target if not same else Database(source.url, arguments, work, private, must_exist=True)
            result = stack.enter_context(read(stack.enter_context(source.transaction()), arguments))
            table = _Table(stack.enter_context(other.transaction()), into)
            count = _across(table, result, distinct(list(result.keys())))
    work.log(f"{count} rows into {table.name}")
    return {
        "row_count": count,
        "columns": cast(Json, table.columns),
        "table": table.name,
        "created": table.created,
    }


class _Table:
    """The table that rows go into. Everything is quoted: whatever its name is, it is a name."""

    def __init__(self, connection: Connection, into: JsonObject) -> None:
        self.connection, self.name = connection, str(into["table"])
        schema, _, name = self.name.rpartition(".")
        self._schema, self._bare = schema or None, name
        self.quoted = f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)
        self.columns: list[str] = []
        self.created = not sa.inspect(connection).has_table(name, schema=self._schema)
        self.replaced = not self.created and into.get("mode") == "replace"
        if not self.created and into.get("mode") == "fail":
            raise TaskFailed("table_exists", f"into.table: there is a table {self.name} already (mode: fail)")

    def quote(self, name: str) -> str:
        """A name for the text of `sqlalchemy.text`, in which `:word` would be a parameter."""
        preparer = self.connection.dialect.identifier_preparer
        doubled = name.replace(preparer.final_quote, preparer.final_quote * 2)
        return f"{preparer.initial_quote}{doubled}{preparer.final_quote}".replace(":", "\\:")

    def empty(self) -> None:
        """Delete its rows; keep its columns, indexes and rights."""
        self.connection.execute(sa.text(f"DELETE FROM {self.quoted}"))  # noqa: S608 - a quoted name

    def create(self, types: Mapping[str, str], temporary: str | None = None) -> None:
        """Create it, or a temporary one of that name: columns and their types as this database writes them."""
        columns = ", ".join(f"{self.quote(name)} {kind}" for name, kind in types.items())
        what = f"TABLE {self.quoted}" if temporary is None else f"TEMPORARY TABLE {temporary}"
        self.connection.execute(sa.text(f"CREATE {what} ({columns})"))

    def existing(self) -> dict[str, Any]:
        """Its columns with their types."""
        return {c["name"]: c["type"] for c in sa.inspect(self.connection).get_columns(self._bare, schema=self._schema)}

    def lightweight(self, names: Sequence[str]) -> sa.TableClause:
        """It, for statements that leave the types to the database."""
        return sa.table(self._bare, *(sa.column(name) for name in names), schema=self._schema)


def _within(connection: Connection, table: _Table, arguments: JsonObject) -> int:
    """The database copies by itself; no row comes here.

    Before a table is emptied the new rows are in a temporary one: the query may read the table that it replaces.
    """
    query = str(arguments["query"]).strip().rstrip(";")
    values = cast("dict[str, Json]", arguments.get("parameters") or {})

    def execute(text: str) -> CursorResult[Any]:
        clause, given = bound(text, values, connection.dialect)
        return connection.execute(clause, given)

    wrapped = f"SELECT * FROM (\n{query}\n) AS gnomon_rows LIMIT 0"  # noqa: S608 - the author's own text
    staged = table.quote("gnomon_new_rows") if table.replaced else None
    postgresql = connection.dialect.name == "postgresql"
    if (table.created or staged) and not postgresql:
        execute(
            f"CREATE TABLE {table.quoted} AS {wrapped}"
            if not staged
            else f"CREATE TEMPORARY TABLE {staged} AS {wrapped}"
        )
    with execute(wrapped) as nothing:
        table.columns = list(nothing.keys())
        described = list(nothing.cursor.description)
    if (table.created or staged) and postgresql:  # takes no parameters in CREATE TABLE AS
        ask = sa.text("select format_type(cast(:oid as oid), null)")
        kinds = [str(connection.execute(ask, {"oid": column[1]}).scalar_one()) for column in described]
        table.create(dict(zip(table.columns, kinds, strict=True)), staged)
    names = ", ".join(table.quote(name) for name in table.columns)
    count = execute(f"INSERT INTO {staged or table.quoted} ({names})\n{query}").rowcount
    if staged:
        table.empty()
        execute(f"INSERT INTO {table.quoted} ({names}) SELECT {names} FROM {staged}")  # noqa: S608 - quoted names
    return max(0, count)


def _across(table: _Table, result: CursorResult[Any], names: list[str]) -> int:
    """In portions, so that memory does not grow with the number of rows."""
    rows: Iterator[Any] = iter(result)
    first = list(islice(rows, PORTION))
    if table.replaced:
        table.empty()
    blind: set[int] = set()
    dialect = table.connection.dialect
    if table.created:
        guessed = [_type_of([row[n] for row in first]) for n in range(len(names))]
        blind = {n for n, kind in enumerate(guessed) if kind is None}
        kinds = [dialect.type_compiler_instance.process(kind or sa.Text()) for kind in guessed]
        table.create(dict(zip(names, kinds, strict=True)))
    existing = table.existing()
    missing = [name for name in names if name not in existing]
    if missing:
        raise TaskFailed("sql_error", f"the table {table.name} has no column {missing[0]!r}")
    table.columns = names
    insert = sa.insert(table.lightweight(names))
    keys = [f"c{n}" for n in range(len(names))]
    insert = insert.values({name: sa.bindparam(key) for name, key in zip(names, keys, strict=True)})
    types = [existing[name] for name in names]
    count, everything = 0, chain(first, rows)
    while portion := list(islice(everything, PORTION)):
        made = [_row(row, keys, types, blind, dialect.name) for row in portion]
        table.connection.execute(insert, made)
        count += len(portion)
    return count


def _row(row: Sequence[Any], keys: list[str], types: list[Any], blind: set[int], dialect: str) -> dict[str, Any]:
    return {
        key: _text(value) if n in blind else _fitting(value, types[n], dialect)
        for n, (key, value) in enumerate(zip(keys, row, strict=True))
    }


def _type_of(values: Sequence[Any]) -> TypeEngine[Any] | None:
    """A type that takes all of these; None: they say nothing, or different things."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return sa.Double()
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is int and any(abs(value) >= 2**63 for value in values if value is not None):
        return sa.Numeric()
    if kind is datetime and all(value.tzinfo is None for value in values if value is not None):
        return sa.DateTime()
    if kind in (dict, list):
        return sa.JSON()
    return next((made for python, made in _TYPES if kind is python), sa.Text())


def _fitting(value: Any, kind: TypeEngine[Any], dialect: str) -> Any:
    """A value as the driver of the other database takes it for a column of this type."""
    if isinstance(value, dict) or (isinstance(value, list) and (isinstance(kind, sa.JSON) or dialect != "postgresql")):
        return _text(value)
    if isinstance(value, timedelta):
        return value if dialect != "sqlite" else value.total_seconds()
    if dialect == "sqlite" and isinstance(value, Decimal | date | time | UUID):
        return as_json(value)
    if dialect in ("mysql", "mariadb") and isinstance(value, UUID):
        return str(value)
    return value


def _text(value: Any) -> Any:
    """As text; nothing stays nothing."""
    if value is None or isinstance(value, str):
        return value
    made = as_json(value)
    return made if isinstance(made, str) else json_text(made)
