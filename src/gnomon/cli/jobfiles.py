"""`gnomon jobs add`, `files`, `confirm-empty`: job files, as far as they are not `validate`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from .command import command
from .jobs import nothing_yet, print_changed
from .output import local_time, print_json, print_table, state_text
from .session import Session


def register(app: typer.Typer) -> None:
    """Add the three."""
    command(app, "add")(add)
    command(app, "files")(files)
    command(app, "confirm-empty")(confirm_empty)


def add(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A job file; it is read once.", readable=False)],
) -> int:
    """Save the jobs of a file in the database: no file owns them, so they can be edited and deleted."""
    from gnomon.app import registries
    from gnomon.core.records import Source, SourceKind
    from gnomon.jobfiles.writing import job_to_mapping
    from gnomon.operations.jobs import define_job, save_job
    from gnomon.operations.validate import check_path

    from .failures import report_problems

    session.check()
    checked = check_path(
        file, *registries(), session.settings.timezone, session.configurations(), session.settings.alerts.channels
    )
    if checked.problems:
        report_problems(checked.problems, session.json)
        return 2
    with session.desk(new=True) as desk:
        if session.server is None:
            saved = [save_job(desk, one, Source(SourceKind.REST)) for one in checked.jobs]
        else:
            saved = [define_job(desk, job_to_mapping(one, desk.kinds)) for one in checked.jobs]
        print_changed(session, saved, "saved")
    return 0


def files(session: Session) -> int:
    """Job files as the scheduler last saw them, and what is wrong with them."""
    from gnomon.operations.files import guard as guard_of
    from gnomon.operations.files import list_files

    if nothing_yet(session):
        return 0
    with session.desk() as desk:
        found = [cast(dict[str, Any], item) for item in list_files(desk)]
        guard = guard_of(desk)
    if guard is not None:
        session.tell(guard)
    if session.json:
        print_json(found)
        return 0
    columns = ("file", "state", f"seen ({session.settings.timezone})")
    rows = [
        (f["path"], state_text("ok" if f["ok"] else "broken"), local_time(f["seen_at"], session.zone)) for f in found
    ]
    print_table(columns, rows, flexible=("file",))
    _print_problems([problem for item in found for problem in item["problems"]])
    return 0


def _print_problems(problems: list[Any]) -> None:
    from gnomon.core.errors import Problem

    from .failures import lines_of

    for line in lines_of(Problem(**problem) for problem in problems):
        print(line)


def confirm_empty(session: Session) -> None:
    """The jobs directory is meant to be as empty as it is: retire the jobs of the files that are gone."""
    from gnomon.operations.files import confirm_empty as say_so

    with session.desk() as desk:
        say_so(desk)
    if session.json:
        print_json({"confirmed": True})
    else:
        print("confirmed: the scheduler retires the jobs of missing files at its next look")
