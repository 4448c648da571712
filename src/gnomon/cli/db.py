"""`gnomon db …`"""

from __future__ import annotations

from .command import command, group
from .output import print_json
from .session import Session

app = group("The database: where it is, and bringing it up to date.")


@command(app, "path")
def path(session: Session) -> None:
    """Where the database is."""
    place = session.database
    if session.json:
        print_json(
            {"db": session.settings.db, "path": None if place is None else str(place), "exists": not session.missing}
        )
    else:
        print(place or session.settings.db)


@command(app, "upgrade")
def upgrade(session: Session) -> None:
    """Bring the schema up to date, making the database if there is none. Back it up before."""
    from gnomon.app import open_parts, schema_versions

    before, _ = schema_versions(session.settings.db)
    with open_parts(session.settings, upgrade=True):
        after, _ = schema_versions(session.settings.db)
    place = str(session.database or session.settings.db)
    if session.json:
        print_json({"path": place, "from": before, "to": after})
    elif before == after:
        print(f"{place} is up to date: schema {after}")
    else:
        print(f"{place}: schema {before or 'none'} → {after}")
