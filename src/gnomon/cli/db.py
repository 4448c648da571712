"""`gnomon db …`"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .command import command, group
from .output import print_json, print_table, state_text
from .session import Session

app = group("The database: where it is, backing it up, restoring, checking, and bringing it up to date.")


@command(app, "path", machine=True)
def path(session: Session) -> None:
    """Where the database is."""
    place = session.database
    if session.json:
        print_json({"db": session.settings.db, "path": None if place is None else str(place), "exists": session.exists})
    else:
        print(place or session.settings.db)


@command(app, "upgrade", machine=True)
def upgrade(session: Session) -> None:
    """Bring the schema up to date, making the database if there is none. As it was, it stays beside it."""
    from gnomon.app import kept_before, open_parts, schema_versions

    before, _ = schema_versions(session.settings.db)
    with open_parts(session.settings, upgrade=True):
        after, _ = schema_versions(session.settings.db)
    place = str(session.database or session.settings.db)
    kept = None if before == after else kept_before(session.settings.db, before)
    if session.json:
        print_json({"path": place, "from": before, "to": after, "kept": None if kept is None else str(kept)})
    elif before == after:
        print(f"{place} is up to date: schema {after}")
    else:
        print(f"{place}: schema {before or 'none'} → {after}")
        if kept is not None:
            print(f"as it was: {kept} (`gnomon db restore` of the version before puts it back)")


@command(app, "backup", machine=True)
def backup(
    session: Session,
    dest: Annotated[str, typer.Argument(metavar="DEST", help="A directory to be made, or FILE.tar.gz.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a backup that is there already.")] = False,
    no_logs: Annotated[bool, typer.Option("--no-logs", help="Leave the output of runs out.")] = False,
) -> None:
    """Copy the database as it is at one moment, with the output of runs, while the scheduler works on."""
    from dataclasses import asdict

    from gnomon.app.backup import back_up

    place = Path(dest).expanduser().absolute()
    made = back_up(session.settings, place, force=force, logs=not no_logs, told=_progress(session))
    if session.json:
        print_json({"path": str(place), **asdict(made)})
        return
    output = "output left out" if made.logs is None else f"{made.logs} files of output"
    print(f"{place}: the database of {made.at} ({made.bytes / 1e6:,.1f} MB, schema {made.schema}), {output}")


@command(app, "restore", machine=True)
def restore(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `gnomon db backup` made, or a database.")],
    force: Annotated[bool, typer.Option("--force", help="Keep the old database under another name.")] = False,
    keep_runs: Annotated[
        bool, typer.Option("--keep-runs", help="What was queued or running in the backup is to run.")
    ] = False,
) -> None:
    """Put a backup in the place of the database. Runs it shows as not over are cancelled, unless they are kept."""
    from gnomon.app.backup import restore as put_back

    done = put_back(session.settings, Path(file).expanduser().absolute(), force=force, keep_runs=keep_runs)
    settled = done.settled
    if session.json:
        print_json(
            {
                "path": str(done.database),
                "at": done.at,
                "from": done.was,
                "to": done.schema,
                "cancelled": None if settled is None else settled.runs,
                "dropped": None if settled is None else settled.messages,
                "old": None if done.old is None else str(done.old),
                "left": done.left,
            }
        )
        return
    print(f"{done.database} is the {f'backup of {done.at}' if done.at else f'database {file}'} now")
    if done.was != done.schema:
        print(f"its schema was brought up to date, as `gnomon db upgrade` does: {done.was} → {done.schema}")
    if settled is None:
        print("what was queued or running then begins anew with the next scheduler")
    elif settled.runs or settled.messages:
        print(f"{settled.runs} runs that were not over then are cancelled, {settled.messages} messages dropped")
    print("fire times since then are missed: `catch_up` of each job says what becomes of them")
    if done.old is not None:
        print(f"the old database is {done.old}")
    if done.left:
        session.tell(f"careful: {done.left} commands that the old database started still run, and nobody watches them")


@command(app, "check", machine=True)
def check(session: Session) -> int:
    """Whether the file is whole, and what is in it fits together. Exit 1 if not."""
    from gnomon.app.checking import check_database

    findings = check_database(session.settings)
    good = all(finding.ok for finding in findings)
    if session.json:
        print_json({"ok": good, "checks": [finding.view() for finding in findings]})
        return 0 if good else 1
    rows = [
        (
            state_text("ok" if f.ok else "failed"),
            f.name,
            f.message + (f": {', '.join(f.examples)}" if f.examples else ""),
        )
        for f in findings
    ]
    print_table(("", "check", "finding"), rows, flexible=("finding",))
    return 0 if good else 1


def _progress(session: Session) -> Callable[[int, int], None]:
    """Of a long copy, on a terminal."""
    if session.json or not sys.stderr.isatty():
        return lambda done, total: None
    shown = -1

    def told(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // max(total, 1)
        if total > 20_000 and percent != shown:
            shown = percent
            print(f"\r{percent} %", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return told
