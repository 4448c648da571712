"""`gnomon jobs …` (delete: `pruning`; files: `jobfiles`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from . import command as shared
from .choosing import job_filter
from .command import command, group
from .output import local_time, print_fields, print_json, print_page, print_table, shown, state_text
from .session import Session

if TYPE_CHECKING:
    from rich.text import Text

app = group("Jobs: list, show, pause, resume, delete; their files.")
Id = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)]
Ids = Annotated[list[str], typer.Argument(metavar="JOB…", help="Ids of jobs.", show_default=False)]


@command(app, "list")
def list_(
    session: Session,
    query: shared.Query = None,
    type_: shared.Types = None,
    label: shared.Labels = None,
    due_from: shared.DueFrom = None,
    due_until: shared.DueUntil = None,
    paused: Annotated[bool | None, typer.Option("--paused/--not-paused", help="Only paused ones, or others.")] = None,
    retired: Annotated[bool, typer.Option("--retired", help="Only those no source has any more.")] = False,
    limit: shared.Limit = 50,
    cursor: shared.Cursor = None,
) -> None:
    """Jobs, with their next fire."""
    from gnomon.operations.files import unwatched, watched_by_nobody
    from gnomon.operations.jobs import list_jobs

    with session.listing() as desk:
        where = job_filter(
            session, desk, type_, label, due_from, due_until, paused=paused, retired=retired, query=query
        )
        page = list_jobs(desk, where, limit, cursor)
        lost = "" if session.server is not None or session.missing else watched_by_nobody(unwatched(desk))
    if lost:
        session.tell(lost)
    if nothing_yet(session):
        return
    if print_page(page, session.json):
        return
    columns = ("job", "state", "task", "schedule", f"next fire ({session.settings.timezone})", "source")
    rows = [_row(cast(dict[str, Any], job), session) for job in page.items]
    long = tuple(columns[4] for row in rows if str(row[4]).startswith("stands"))
    print_table(
        columns,
        rows,
        flexible=("schedule", "source", *long),
        optional=("source", "task"),
    )


def nothing_yet(session: Session) -> bool:
    """An empty list, and why, while there is no database: a mere list makes none."""
    if not session.missing:
        return False
    session.tell(session.missing_text)
    if session.json:
        print_json([])
    return True


def job_state(job: Mapping[str, Any]) -> Text:
    """One word for a job."""
    word = "retired" if job["retired_at"] else "paused" if job["paused"] else "ok" if job["enabled"] else "disabled"
    return state_text(word)


def next_fire(session: Session, *entries: Mapping[str, Any]) -> str:
    """When the first of these schedules fires next, or why one stands still."""
    faults = [entry["fault"] for entry in entries if entry.get("fault")]
    fires = [entry["next_fire_at"] for entry in entries if entry["next_fire_at"]]
    return f"stands still: {faults[0]}" if faults else local_time(min(fires, default=None), session.zone)


def _row(job: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    rules = ", ".join(str(entry["rule"]) for entry in job["schedules"])
    upstreams = ", ".join(item["job"] for item in job["depends_on"])
    when = rules or (f"after {upstreams}" if upstreams else "manual")
    source = job["source"]["path"] or job["source"]["kind"]
    return (
        job["job_id"],
        job_state(job),
        job["task"]["type"],
        when,
        next_fire(session, *job["schedules"]),
        source,
    )


@command(app, "show")
def show(session: Session, job: Id) -> None:
    """One job: task, schedules, policies, source."""
    from gnomon.operations.jobs import show_job

    with session.desk() as desk:
        _print_job(session, cast(dict[str, Any], show_job(desk, job)))


_TOLD = {"job_id", "description", "enabled", "labels", "task", "schedule", "schedules", "depends_on", "timezone"}
"""Keys of a definition that have a line of their own; the others are told together."""


def _print_job(session: Session, job: Mapping[str, Any]) -> None:
    if session.json:
        print_json(job)
        return
    zone = session.settings.timezone
    schedules = [
        f"{entry['id']}: {entry['rule']} ({entry['timezone']}), next {next_ or '–'}"
        for entry, next_ in ((e, next_fire(session, e)) for e in job["schedules"])
    ]
    task = {name: value for name, value in job["task"].items() if name != "type" and value not in (None, {}, [])}
    policies = {name: value for name, value in job["definition"].items() if name not in _TOLD}
    print_fields(
        {
            "job": job["job_id"],
            "state": job_state(job),
            "description": job["description"],
            "paused": f"by {job['paused_by']} at {local_time(job['paused_at'], session.zone)}" if job["paused"] else "",
            "pause reason": job["pause_reason"],
            "task": f"{job['task']['type']} {shown(task)}",
            "schedules": "\n".join(schedules),
            "depends on": ", ".join(f"{item['job']} ({item['when']})" for item in job["depends_on"]),
            "other keys": "\n".join(f"{name}: {shown(value)}" for name, value in policies.items()),
            "source": f"{job['source']['kind']} {job['source']['path'] or ''}",
            "version": job["definition_version"],
            "labels": job["labels"],
            "failures in a row": job["failure_streak"] or "",
            "times are in": zone,
        }
    )


@command(app, "pause")
def pause(
    session: Session,
    job: Ids,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Shown wherever it is seen.")] = None,
) -> None:
    """No more fires until resumed. Those that pass meanwhile are recorded as skips; runs by hand work."""
    from gnomon.operations.jobs import pause_job

    with session.desk() as desk:
        print_changed(session, [pause_job(desk, one, reason) for one in job], "paused")


@command(app, "resume")
def resume(session: Session, job: Ids) -> None:
    """Fire again, from now on."""
    from gnomon.operations.jobs import resume_job

    with session.desk() as desk:
        print_changed(session, [resume_job(desk, one) for one in job], "resumed")


def print_changed(session: Session, jobs: list[Any], what: str) -> None:
    """Changed jobs as JSON, or a line for each."""
    if session.json:
        print_json(jobs)
    else:
        for job in jobs:
            print(f"{job['job_id']} is {what}")
