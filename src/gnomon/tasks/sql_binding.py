"""Values on their way into a statement and out of it. Runs in workers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from gnomon.core.values import Json

from .performing import TaskFailed
from .sql import spaced

_NAMES = {int: "numbers", float: "numbers", str: "texts", bool: "true or false"}


def bound(text: str, values: Mapping[str, Json], dialect: Dialect) -> tuple[sa.TextClause, dict[str, Any]]:
    """A statement and its values: a list behind `IN` becomes as many parameters, any other list or map becomes JSON.

    PostgreSQL is given a list of plain values as an array. A single value behind a bare `IN` is a list of one.

    Raises:
        TaskFailed: `bad_arguments`, an array of several types.
    """
    text = spaced(text)
    given: dict[str, Any] = {}
    several: list[str] = []
    for name, value in values.items():
        behind = rf"(\bin\s*)\(\s*:{re.escape(name)}\s*\)"
        if isinstance(value, list) and re.search(behind, text, re.I):
            text = re.sub(behind, rf"\1 :{name} ", text, flags=re.I)
        if re.search(rf"\bin\s+:{re.escape(name)}(?![:\w$])", text, re.I):
            several.append(name)
            given[name] = [_scalar(item) for item in (value if isinstance(value, list) else [value])]
        elif isinstance(value, list) and dialect.name == "postgresql" and _flat(value):
            given[name] = _array(value, name)
        else:
            given[name] = _scalar(value)
    clause = sa.text(text)
    return clause.bindparams(*(sa.bindparam(name, expanding=True) for name in several)) if several else clause, given


def _scalar(value: Json) -> Any:
    return json_text(value) if isinstance(value, Mapping | list) else value


def _flat(value: Sequence[Json]) -> bool:
    return not any(isinstance(item, list | Mapping) for item in value)


def _array(value: Sequence[Json], name: str) -> list[Any]:
    """Values of one type, as arrays of PostgreSQL are; whole numbers beside others become such others."""
    kinds = {type(item) for item in value if item is not None}
    if kinds == {int, float}:
        return [None if item is None else float(item) for item in value]  # type: ignore[arg-type]
    if len(kinds) > 1:
        names = " and ".join(sorted({_NAMES[kind] for kind in kinds}))
        raise TaskFailed("bad_arguments", f"parameters.{name}: an array holds one type, not {names}")
    return list(value)


def json_text(value: object) -> str:
    """`value` (JSON) as a database takes it for a column of JSON or of text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def far_times_as_text(connection: Any, record: object) -> None:
    """What Python's dates cannot hold (infinity, before year 1, after 9999, 24:00) is read as text (psycopg)."""
    from psycopg.abc import Loader as Kind
    from psycopg.adapt import Loader
    from psycopg.errors import DataError

    def lenient(kind: type[Kind]) -> type[Kind]:
        class Lenient(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._strict = kind(oid, context)

            def load(self, data: Any) -> Any:
                try:
                    return self._strict.load(data)
                except DataError:
                    return bytes(data).decode("utf-8", "replace")

        return Lenient

    for name in ("date", "time", "timetz", "timestamp", "timestamptz", "interval"):
        oid = connection.adapters.types[name].oid
        kind = connection.adapters.get_loader(oid, 0)
        if kind is not None:
            connection.adapters.register_loader(oid, lenient(kind))
