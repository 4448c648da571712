"""`gnomon schedules …` (delete: `pruning`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from . import command as shared
from .choosing import known_job
from .command import command, group
from .jobs import next_fire, nothing_yet
from .output import local_time, print_fields, print_json, print_page, print_table, state_text
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

app = group("Schedule entries: list, show, edit, pause, resume, reset, delete.")
Id = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="Id of the entry; a job's, if it has one.", show_default=False)
]
Ids = Annotated[list[str], typer.Argument(metavar="SCHEDULE…", help="Ids of entries.", show_default=False)]


@command(app, "list")
def list_(
    session: Session,
    query: shared.Query = None,
    job: shared.Job = None,
    paused: Annotated[bool | None, typer.Option("--paused/--not-paused", help="Only paused ones, or others.")] = None,
    limit: shared.Limit = 50,
    cursor: shared.Cursor = None,
) -> None:
    """Schedule entries of all jobs."""
    from gnomon.operations.filters import SCHEDULES, reading_of
    from gnomon.operations.schedules import list_schedules

    with session.listing() as desk:
        if job is not None and not session.missing:
            known_job(desk, job)
        options = {"job": job, "paused": None if paused is None else "yes" if paused else "no"}
        where = SCHEDULES.options(options, reading_of(desk, session.zone), query)
        page = list_schedules(desk, where, limit, cursor)
    if nothing_yet(session):
        return
    if print_page(page, session.json):
        return
    columns = ("schedule", "state", "rule", "timezone", f"next fire ({session.settings.timezone})")
    rows = [_row(cast(dict[str, Any], entry), session) for entry in page.items]
    long = tuple(columns[4] for row in rows if str(row[4]).startswith("stands"))
    print_table(
        columns,
        rows,
        flexible=("rule", *long),
        optional=("timezone",),
    )


def _state(entry: Mapping[str, Any]) -> Text:
    return state_text("paused" if entry["paused"] else "ok" if entry["enabled"] else "disabled")


def _row(entry: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    return entry["id"], _state(entry), entry["rule"], entry["timezone"], next_fire(session, entry)


@command(app, "show")
def show(session: Session, schedule: Id) -> None:
    """One entry."""
    from gnomon.operations.schedules import show_schedule

    with session.desk() as desk:
        _print(session, show_schedule(desk, schedule))


def _print(session: Session, entry: Any) -> None:
    if session.json:
        print_json(entry)
        return
    print_fields(
        {
            "schedule": entry["id"],
            "state": _state(entry),
            "job": entry["job_id"],
            "rule": entry["rule"],
            "timezone": entry["timezone"],
            "paused by": entry["paused_by"],
            "next fire": next_fire(session, entry),
            "first seen": local_time(entry["anchor"], session.zone),
            "times are in": session.settings.timezone,
        }
    )


@command(app, "edit")
def edit(
    session: Session,
    schedule: Id,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Anything a schedule: takes.", show_default=False)],
) -> None:
    """Give an entry that no file owns another rule."""
    from gnomon.operations.fires import schedule_value
    from gnomon.operations.schedules import edit_schedule

    with session.desk() as desk:
        _print(session, edit_schedule(desk, schedule, schedule_value(rule)))


@command(app, "pause")
def pause(session: Session, schedule: Ids) -> None:
    """No more fires of these entries until resumed."""
    from gnomon.operations.schedules import pause_schedule

    with session.desk() as desk:
        _changed(session, [pause_schedule(desk, one) for one in schedule], "paused")


@command(app, "resume")
def resume(session: Session, schedule: Ids) -> None:
    """Fire again, from now on."""
    from gnomon.operations.schedules import resume_schedule

    with session.desk() as desk:
        _changed(session, [resume_schedule(desk, one) for one in schedule], "resumed")


@command(app, "reset")
def reset(session: Session, schedule: Ids) -> None:
    """After the clock was set wrongly: the next fire is the first from now on, whatever was decided before."""
    from gnomon.operations.schedules import reset_schedule

    with session.desk() as desk:
        _changed(session, [reset_schedule(desk, one) for one in schedule], "reset")


def _changed(session: Session, entries: list[Any], what: str) -> None:
    if session.json:
        print_json(entries)
    else:
        for entry in entries:
            print(f"{entry['id']} is {what}")
