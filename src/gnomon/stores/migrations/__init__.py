"""How the schema grew: one Alembic revision per step in `versions/`, run from code, without an alembic.ini."""

from __future__ import annotations

import os
import sqlite3

from alembic import command
from alembic.config import Config
from sqlalchemy import StaticPool, create_engine


def config(*more_versions: str) -> Config:
    """Alembic's configuration; `more_versions`: further directories with revisions (for tests)."""
    here = os.path.dirname(os.path.abspath(__file__))
    made = Config()
    made.set_main_option("script_location", here.replace("%", "%%"))
    made.set_main_option("path_separator", "newline")
    places = (os.path.join(here, "versions"), *more_versions)
    made.set_main_option("version_locations", "\n".join(places).replace("%", "%%"))
    return made


def upgrade(db: sqlite3.Connection, revision: str = "head", *more_versions: str) -> None:
    """Bring the schema to `revision` in one transaction: all of it or nothing.

    `db` must begin no transactions by itself, and no one else may write meanwhile.
    """
    engine = create_engine("sqlite://", creator=lambda: db, poolclass=StaticPool)
    made = config(*more_versions)
    with engine.connect() as connection:
        db.execute("BEGIN IMMEDIATE")  # not earlier: SQLAlchemy rolls back when it has looked at a new connection
        made.attributes["connection"] = connection
        try:
            command.upgrade(made, revision)
            if db.in_transaction:
                db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
