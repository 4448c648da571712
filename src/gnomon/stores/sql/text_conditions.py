"""Conditions on texts that no index answers: parts of ids and messages, whoever an actor is, entries of labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, bindparam, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from .session import given
from .values import label_text


class holds(ColumnElement[bool]):  # noqa: N801 (reads as part of a statement)
    """The text of `column` has the one given as `name` in it, exactly."""

    inherit_cache = False
    __visit_name__ = "gnomon_holds"

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.parameter: BindParameter[Any] = bindparam(name)


@compiles(holds, "sqlite")
def _holds_sqlite(element: holds, compiler: SQLCompiler, **options: Any) -> str:
    left, right = compiler.process(element.column, **options), compiler.process(element.parameter, **options)
    return f"coalesce(instr({left}, {right}), 0) > 0"


def has_word(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The text has the word given as `name` (from `word_values`) in it, upper and lower case alike."""
    return holds(func.lower(column), name)


def word_values(words: Iterable[str], name: str = "word") -> dict[str, object]:
    """The values of `has_word`, as `word0`, `word1`, … Lower case as the database has it: of ASCII letters only."""
    return {f"{name}{number}": lower(word) for number, word in enumerate(words)}


def lower(text: str) -> str:
    """As SQL's `lower` does it in SQLite."""
    return "".join(c.lower() if c.isascii() else c for c in text)


def is_actor(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The actor is `actor`, or one of the kind (`cli` for `cli:alice`); give `actor` and `actor_kind`."""
    return or_(
        column == given("actor"), func.substr(column, 1, func.length(given("actor_kind"))) == given("actor_kind")
    )


def actor_values(actor: str) -> dict[str, object]:
    """The values of `is_actor`."""
    return {"actor": actor, "actor_kind": f"{actor}:"}


def label_values(labels: Iterable[tuple[str, str]], name: str) -> dict[str, object]:
    """The values of `holds` for each label, as `NAME0`, `NAME1`, …"""
    return {f"{name}{number}": label_text(*entry) for number, entry in enumerate(labels)}
