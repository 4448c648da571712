"""`gnomon validate`, `gnomon next`, `gnomon why`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.errors import NotFound, Problem, UsageError

from .command import command
from .failures import lines_of
from .output import local_time, print_json, print_table, state_text
from .sanitising import plain
from .session import Session

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from gnomon.operations.validate import Checked

_ASK = "Ask"


def register(app: typer.Typer) -> None:
    """Add the three."""
    command(app, "validate", panel=_ASK, machine=True)(validate)
    command(app, "next", panel=_ASK)(next_)
    command(app, "why", panel=_ASK, settings={"ignore_unknown_options": True})(why)


def validate(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A job file or a directory.", readable=False)],
) -> int:
    """Check job files as at a first start: every mistake, with file, line, key and what to do. Exit 2 if any."""
    from gnomon.app import registries
    from gnomon.operations.validate import check_path

    session.check()
    settings = session.settings
    checked = check_path(
        path,
        *registries(),
        settings.timezone,
        session.configurations(),
        channels=settings.alerts.channels,
        pools=settings.pools,
    )
    if session.json:
        print_json(checked.view())
        return 2 if checked.problems else 0
    for line in lines_of(checked.problems):
        print(line)
    for line in lines_of(checked.warnings):
        print(f"warning: {line}")
    if checked.problems:
        count = len(checked.problems)
        print(f"{path}: {count} {'problem' if count == 1 else 'problems'}, {_jobs(checked)} good")
        return 2
    print(f"{path}: {_jobs(checked)}, all good")
    return 0


def _jobs(checked: Checked) -> str:
    return f"{len(checked.jobs)} {'job' if len(checked.jobs) == 1 else 'jobs'}"


def next_(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="EXPR|JOB", help="A schedule, or a job's id.", show_default=False)],
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Of a schedule given here.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="TIME", help="From then on; now.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many.")] = 5,
) -> None:
    """The next fires of a schedule or a job, with what clock changes and holidays do to them."""
    from datetime import datetime

    from gnomon.app import load_zone, registries
    from gnomon.core.identity import is_job_id
    from gnomon.operations.fires import fires_of, next_fires, schedule_value

    zone = session.zone if timezone is None else load_zone(timezone, "--timezone")
    start = session.now if after is None else session.moment(after, session.now, zone).at
    value = schedule_value(what)
    named = is_job_id(what.replace(":", "", 1))
    try:
        if named and not session.missing:
            with session.desk() as desk:
                answer = cast(dict[str, Any], next_fires(desk, value, timezone=zone.key, after=start, count=count))
        else:
            kinds, _ = registries()
            answer = cast(dict[str, Any], fires_of(kinds, value, timezone=zone.key, after=start, count=count))
            spec = kinds.parse(value, default_timezone=zone.key, job_id="preview")
            for sentence in kinds.warnings(spec, job_id="preview"):
                session.tell(f"warning: {plain(sentence)}")
    except UsageError as error:
        if not named or error.code == "count_out_of_range" or what[:1].isdigit():
            raise
        raise _neither(what, error, session) from None
    if session.json:
        print_json({"fires": answer["fires"], "removed": answer["removed"], "why": answer["why"]})
        return
    if answer["description"]:
        print(plain(answer["description"]))
    if not answer["fires"]:
        print(f"no fires: {plain(answer['why'] or 'it names none')}")
    elif answer["why"]:
        print(plain(answer["why"]))
    fires = sorted(answer["fires"] + answer["removed"], key=lambda fire: datetime.fromisoformat(fire["at"]))
    rows = [(_local(fire["local"]), fire["at"], fire["note"] or "") for fire in fires]
    if len(rows) > 1000:  # a table is laid out as a whole
        for row in rows:
            print("  ".join(row).rstrip())
    elif rows:
        print_table(("local", "UTC", "note"), rows, flexible=("note",))


def _local(text: str) -> str:
    """`Fri 2026-11-20 09:00:00 +01:00`."""
    from datetime import datetime

    stamp = datetime.fromisoformat(text)
    return f"{stamp:%a %Y-%m-%d %H:%M:%S} {text[-6:] if text[-3:-2] == ':' else 'UTC'}"


def _neither(what: str, error: UsageError, session: Session) -> NotFound:
    """A word that is no job, and no schedule either."""
    from gnomon.operations.jobs import show_job

    text = f"{what!r} is neither a job nor a schedule ({error.problems[0].message})"
    if session.missing:
        return NotFound(Problem("job_not_found", text, hint=session.missing_text))
    try:
        with session.desk() as desk:
            show_job(desk, what)
    except NotFound as missing:
        return NotFound(Problem("job_not_found", text, hint=missing.problems[0].hint))
    return NotFound(*error.problems)


def why(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="JOB|RUN", help="A job's or a run's id.", show_default=False)],
    time: Annotated[
        str | None, typer.Argument(metavar="[TIME]", help="Then: 09:00, -15m, today, ISO 8601. The newest.")
    ] = None,
) -> None:
    """Why a job ran, waits, or did not run: a verdict, and every gate the scheduler asked."""
    from gnomon.operations.why import explain

    with session.desk() as desk:
        answer = explain(desk, what, time)
    if session.json:
        print_json(answer.view())
        return
    print(plain(answer.verdict))
    rows = [(_mark(gate.passed), gate.name, gate.evidence, _stamp(gate.at, session.zone)) for gate in answer.gates]
    print()
    print_table(("", "gate", "evidence", f"at ({session.settings.timezone})"), rows, flexible=("gate", "evidence"))
    if answer.run_id:
        print(f"\nrun {answer.run_id}: `gnomon runs show` and `gnomon runs logs` tell more")


def _mark(passed: bool | None) -> Any:
    state, word = {True: ("ok", "yes"), False: ("failed", "no"), None: ("waiting", "…")}[passed]
    return state_text(state, word)


def _stamp(at: datetime | None, zone: ZoneInfo) -> str:
    return local_time(None if at is None else at.isoformat(), zone)
