"""The current schema as one script, made from the tables once per process: a new database in a few milliseconds.

`gnomon.stores.migrations` lead to the same schema step by step; a test compares the two.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from sqlalchemy.schema import CreateIndex, CreateTable

from .sql.schema_access import metadata
from .sql.session import DIALECTS

HEAD = "0001"
"""The revision of this version's schema."""
REVISIONS = ("0001",)
"""All revisions this version knows, oldest first."""
STAMP = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@cache
def script() -> tuple[str, ...]:
    """The statements that make an empty database one of revision `HEAD`."""
    dialect = DIALECTS["sqlite"]
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
    return (*made, STAMP, f"INSERT INTO alembic_version VALUES ('{HEAD}')")  # noqa: S608


def create(db: sqlite3.Connection) -> None:
    """Make the schema in an empty database, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in script():
            db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
