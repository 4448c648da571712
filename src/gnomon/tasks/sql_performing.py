"""What an `sql` task does with its connection. Runs in workers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from gnomon.core.values import Json, JsonObject

from .data import Kept, as_json
from .performing import TaskFailed, Work
from .sql import READS
from .sql_binding import bound
from .sql_connecting import Database, url_of
from .sql_saving import save

FETCH = 500
_CHANGES = re.compile(r"\b(insert|update|delete|merge|into)\b", re.I)


def perform(arguments: JsonObject, work: Work) -> Json:
    """One attempt: canonical arguments, secrets looked up, to its result."""
    private = [arguments.get("parameters"), arguments.get("password"), _own_values(arguments)]
    into = arguments.get("into")
    if isinstance(into, Mapping):
        private.append(into.get("password"))
    reads = "query" in arguments
    database = Database(url_of(arguments), arguments, work, private, must_exist=reads and into is None)
    work.log(f"connecting to {database.shown}")
    if not reads:
        return _statements(arguments, work, database)
    if isinstance(into, Mapping):
        return save(arguments, into, work, database, private)
    return _query(arguments, work, database)


def _query(arguments: JsonObject, work: Work, database: Database) -> Json:
    most = arguments.get("max_rows")
    kept = Kept(most if isinstance(most, int) else 1000)
    with database.transaction() as connection, read(connection, arguments) as result:
        columns = distinct(list(result.keys()))
        for row in result:
            kept.add(dict(zip(columns, map(as_json, row), strict=True)))
            if kept.full:
                break
    note = kept.note("rows", "max_rows")
    work.log(note or f"{kept.count} rows")
    return {
        "rows": kept.rows,
        "row_count": kept.count,
        "columns": cast(Json, columns),
        "truncated": kept.truncated,
    }


def read(connection: Connection, arguments: JsonObject) -> CursorResult[Any]:
    """The result of the query, fetched in portions.

    Raises:
        TaskFailed: `sql_error`, it gives no rows.
    """
    text = str(arguments["query"])
    clause, values = bound(text, _values(arguments.get("parameters")), connection.dialect)
    options: dict[str, Any] = {"yield_per": FETCH} if _streams(connection, text) else {"max_row_buffer": FETCH}
    result = connection.execute(clause, values, execution_options=options)
    if not result.returns_rows:
        raise TaskFailed("sql_error", "the query gives no rows: write it as `statement`")
    return result


def _streams(connection: Connection, text: str) -> bool:
    """Whether a cursor on the server will do: not for what changes data, and only within a transaction (PostgreSQL)."""
    if connection.dialect.name != "postgresql":
        return True
    autocommit = getattr(connection.connection.driver_connection, "autocommit", False)
    return READS.match(text) is not None and not _CHANGES.search(text) and not autocommit


def _statements(arguments: JsonObject, work: Work, database: Database) -> Json:
    counts: list[Json] = []
    listed = arguments.get("statements")
    items = list(listed) if isinstance(listed, Sequence) and not isinstance(listed, str) else [arguments["statement"]]
    with database.transaction() as connection:
        for number, item in enumerate(items):
            text = item.get("statement") if isinstance(item, Mapping) else item
            own = item.get("parameters") if isinstance(item, Mapping) else None
            place = f"statement {number + 1} of {len(items)}: " if len(items) > 1 else ""
            try:
                count = _execute(connection, str(text), arguments.get("parameters") if own is None else own)
            except DBAPIError as error:
                raise database.failed(error, place) from None
            counts.append(count)
            work.log(f"{place}{'done' if count is None else f'{count} rows'}")
    return {"row_counts": counts, "row_count": sum(c for c in counts if isinstance(c, int))}


def _execute(connection: Connection, text: str, values: Json) -> int | None:
    """How many rows it has touched; None: the database does not say."""
    if isinstance(values, Sequence) and not isinstance(values, str):
        sets = [bound(text, _values(one), connection.dialect) for one in values]
        if any(isinstance(value, list) for _, given in sets for value in given.values()):  # each has its own shape
            counts = [_count(connection.execute(clause, given)) for clause, given in sets]
            return sum(count or 0 for count in counts) if None not in counts else None
        return _count(connection.execute(sets[0][0], [given for _, given in sets]))
    clause, given = bound(text, _values(values), connection.dialect)
    return _count(connection.execute(clause, given))


def _count(result: CursorResult[Any]) -> int | None:
    count = result.rowcount
    result.close()
    return count if count >= 0 else None


def _values(values: Json) -> dict[str, Json]:
    return dict(values) if isinstance(values, Mapping) else {}


def _own_values(arguments: JsonObject) -> list[Json]:
    """The values that single statements have of their own."""
    listed = arguments.get("statements")
    items = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    return [item.get("parameters") for item in items if isinstance(item, Mapping)]


def distinct(names: Sequence[str]) -> list[str]:
    """The names of columns, a second `id` called `id_2`."""
    answer: list[str] = []
    for name in names:
        free, number = name, 1
        while free in answer:
            number += 1
            free = f"{name}_{number}"
        answer.append(free)
    return answer
