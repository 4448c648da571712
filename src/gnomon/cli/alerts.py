"""`gnomon alerts …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from . import command as shared
from .command import command, group
from .jobs import nothing_yet
from .output import local_time, print_fields, print_json, print_page, print_table, state_text
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

app = group("Alerts: what is wrong with which job, who was told, and whether a channel works.")
Id = Annotated[str, typer.Argument(metavar="INCIDENT", help="Id of an incident, or its start.", show_default=False)]


@command(app, "list")
def list_(
    session: Session,
    open_: Annotated[bool | None, typer.Option("--open/--closed", help="Only those that are open, or over.")] = None,
    job: shared.Job = None,
    limit: shared.Limit = 50,
    cursor: shared.Cursor = None,
) -> None:
    """Incidents, newest first: a stretch of failures, lateness or missed fires of one job each."""
    from gnomon.operations.alerts import list_incidents

    if nothing_yet(session):
        return
    with session.desk() as desk:
        page = list_incidents(desk, is_open=open_, job_id=job, limit=limit, cursor=cursor)
    if print_page(page, session.json):
        return
    columns = ("incident", "state", "job", "kind", "count", f"since ({session.settings.timezone})", "told", "what")
    rows = [_row(cast(dict[str, Any], item), session) for item in page.items]
    print_table(columns, rows, flexible=("what",), optional=("what",))


def _state(incident: Mapping[str, Any]) -> Text:
    if not incident["open"]:
        return state_text("ok", "over")
    return state_text("warning", "acknowledged") if incident["acknowledged_at"] else state_text("failed", "open")


def _told(counts: Mapping[str, int]) -> Text:
    """Of how many messages how many arrived."""
    total, lost = sum(counts.values()), counts["given_up"]
    if not total:
        return state_text("skipped", "nobody")
    said = f"{counts['delivered']} of {total}" + (f", {lost} given up" if lost else "")
    return state_text("failed" if lost else "warning" if counts["pending"] else "ok", said)


def _row(incident: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    since = local_time(incident["opened_at"], session.zone)
    return (
        incident["id"],
        _state(incident),
        incident["job_id"],
        incident["kind"],
        incident["count"],
        since,
        _told(incident["told"]),
        incident["text"],
    )


@command(app, "show")
def show(session: Session, incident: Id) -> None:
    """One incident, and every message about it."""
    from gnomon.operations.alerts import show_incident

    with session.desk() as desk:
        _print(session, show_incident(desk, incident))


@command(app, "acknowledge")
def acknowledge(session: Session, incident: Id) -> None:
    """Somebody takes care of it: no more reminders. It stays open until the job does well again."""
    from gnomon.operations.alerts import acknowledge_incident

    with session.desk() as desk:
        _print(session, acknowledge_incident(desk, incident))


def _print(session: Session, incident: Any) -> None:
    if session.json:
        print_json(incident)
        return
    zone = session.zone
    print_fields(
        {
            "incident": incident["id"],
            "state": _state(incident),
            "job": incident["job_id"],
            "kind": incident["kind"],
            "what": incident["text"],
            "run": incident["run_id"],
            "since": local_time(incident["opened_at"], zone),
            "last": local_time(incident["last_at"], zone),
            "count": incident["count"],
            "over": local_time(incident["closed_at"], zone),
            "acknowledged": incident["acknowledged_by"],
            "times are in": session.settings.timezone,
        }
    )
    if incident["deliveries"]:
        print()
    columns = ("message", "to", "state", "tries", "made", "error")
    states = {"delivered": "ok", "pending": "warning", "given_up": "failed"}
    rows = [
        (
            item["event"],
            item["channel"],
            state_text(states[item["state"]], item["state"].replace("_", " ")),
            item["attempts"],
            local_time(item["created_at"], zone),
            item["error"],
        )
        for item in incident["deliveries"]
    ]
    if rows:
        print_table(columns, rows, flexible=("error",))


@command(app, "test", machine=True)
def test(
    session: Session,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of a channel.", show_default=False)],
) -> None:
    """Send a test message through a channel of the settings, and say what happened. Exit 3 if it did not arrive."""
    from gnomon.app.sending import try_channel

    where = try_channel(session.settings, channel, session.now)
    if session.json:
        print_json({"channel": channel, "delivered": True, "to": where})
    else:
        print(f"{channel}: a test message was accepted ({where})")
