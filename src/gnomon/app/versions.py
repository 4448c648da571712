"""Which schema a database has, without opening it for work."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from gnomon.operations.settings import database_file


def schema_versions(db: str) -> tuple[str | None, str]:
    """(the schema of the database, the one this version uses). None: there is none, or it cannot be read."""
    from gnomon.stores.schema_sqlite import HEAD  # SQLAlchemy: slow to import

    path = database_file(db)
    if path is None or not path.exists():
        return None, HEAD
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=5, uri=True)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None, HEAD
    return None if row is None else str(row[0]), HEAD


def kept_before(db: str, schema: str | None) -> Path | None:
    """The copy that an upgrade from this schema left beside the database."""
    from gnomon.stores.sqlite_files import kept_of

    path = database_file(db)
    return None if path is None or schema is None else kept_of(path, schema)
