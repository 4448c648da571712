"""`gnomon backfill`: runs for fire times that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.errors import UsageError, usage

from . import command as shared
from .choosing import confirm
from .command import command
from .output import local_time, print_json, print_table
from .running import Parameters, read_parameters
from .session import Session

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from gnomon.operations.moments import Moment

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add `backfill`."""
    command(app, "backfill", panel="Run")(backfill)


def backfill(
    session: Session,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)],
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="First fire time.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="Last one; a date: with that day.")] = "now",
    schedule: Annotated[str | None, typer.Option("--schedule", metavar="ID", help="Only of this entry.")] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", metavar="N", min=1, help="Runs at once.")] = 1,
    again: Annotated[bool, typer.Option("--again", help="Also where there is a run already.")] = False,
    reverse: Annotated[bool, typer.Option("--reverse", help="The newest first.")] = False,
    parameter: Parameters = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the fire times.")] = False,
    yes: shared.Yes = False,
) -> None:
    """Make a run for each fire time of a stretch that has none. Twice makes nothing twice."""
    from gnomon.app import load_zone
    from gnomon.operations.backfill import Wish
    from gnomon.operations.backfill import backfill as make
    from gnomon.operations.why import job_zone

    values = read_parameters(parameter or [])
    with session.desk() as desk:
        zone = load_zone(job_zone(desk, job))
        since, until = _moment(session, from_, "--from", zone).at, _moment(session, to, "--to", zone).end
        if since > session.now:
            text = f"{from_!r} lies ahead: only fire times that have passed are made good for"
            raise usage("backfill_range", text, key="--from", hint="give an earlier time; what comes is fired anyway")
        if until <= since:
            text = f"the range ends ({local_time(until, zone)}) before it begins ({local_time(since, zone)})"
            raise usage("backfill_range", text, key="--to", hint="give a later end")
        wish = Wish(job, since, until, schedule, concurrency, again, reverse, dict(values))
        answer = cast(dict[str, Any], make(desk, wish, dry_run=True))
        if answer["fires"] and not dry_run:
            confirm(f"make {_runs(answer['fires'])} of {job}", yes, otherwise="nothing was made")
            answer = cast(dict[str, Any], make(desk, wish))
    if session.json:
        print_json(answer)
    else:
        _tell(session, answer, zone)


def _moment(session: Session, text: str, option: str, zone: ZoneInfo) -> Moment:
    try:
        return session.moment(text, session.now, zone)
    except UsageError as error:
        problem = error.problems[0]
        raise usage(problem.code, problem.message, key=option, hint=problem.hint) from None


def _tell(session: Session, answer: Mapping[str, Any], zone: ZoneInfo) -> None:
    fires = answer["fires"]
    shown = fires if answer["dry_run"] else fires[:_SHOWN]
    rows = [(local_time(f["at"], zone), f["schedule_id"], f["run_id"] or "") for f in shown]
    if rows:
        print_table((f"fire time ({zone.key})", "schedule", "run"), rows, optional=("run",))
    if len(fires) > len(shown):
        print(f"… and {len(fires) - len(shown)} more")
    there = f"; {answer['there']} {'has' if answer['there'] == 1 else 'have'} a run already" if answer["there"] else ""
    done = "would be made" if answer["dry_run"] else "is made" if len(fires) == 1 else "are made"
    print(f"{_runs(fires)} {done}{there}" if fires else f"nothing to make{there}")


def _runs(fires: Sequence[object]) -> str:
    return f"{len(fires)} run{'s' * (len(fires) != 1)}"
