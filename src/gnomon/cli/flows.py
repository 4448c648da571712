"""`gnomon flows …`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import typer

from . import command as shared
from .choosing import known_job
from .command import command, group
from .jobs import nothing_yet
from .output import local_time, print_fields, print_json, print_page, print_table, seconds, state_text
from .runs import remark
from .session import Session

app = group("Flows, the runs of a pipeline: list, show, cancel, retry.")
Id = Annotated[str, typer.Argument(metavar="FLOW", help="Id of the flow, or of any of its runs.", show_default=False)]


@command(app, "list")
def list_(
    session: Session,
    query: shared.Query = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only with this job downstream.")] = None,
    since: shared.Since = None,
    until: shared.Until = None,
    limit: shared.Limit = 50,
    cursor: shared.Cursor = None,
) -> None:
    """Flows of more than one job, newest first."""
    from gnomon.operations.filters import FLOWS, reading_of
    from gnomon.operations.flows import page_of_flows

    with session.listing() as desk:
        if job is not None and not session.missing:
            known_job(desk, job)
        options = {"job": job, "since": since, "until": until}
        page = page_of_flows(desk, FLOWS.options(options, reading_of(desk, session.zone), query), limit, cursor)
    if nothing_yet(session):
        return
    if print_page(page, session.json):
        return
    flows = [cast(dict[str, Any], flow) for flow in page.items]
    columns = ("flow", "root", "state", f"due ({session.settings.timezone})", "runs")
    rows = [
        (f["id"], f["root"], state_text(f["state"]), local_time(f["due_at"], session.zone), counts(f["counts"]))
        for f in flows
    ]
    print_table(columns, rows, flexible=("runs",))


def counts(of: Mapping[str, int]) -> str:
    """`3 succeeded, 1 failed`"""
    return ", ".join(f"{count} {state}" for state, count in of.items())


@command(app, "show")
def show(session: Session, flow: Id) -> None:
    """One flow with its runs: states, reasons, what each waits for."""
    from gnomon.operations.flows import show_flow

    with session.desk() as desk:
        _print_flow(session, cast(dict[str, Any], show_flow(desk, flow)))


@command(app, "cancel")
def cancel(session: Session, flow: Id) -> None:
    """Cancel every run of a flow that is not over."""
    from gnomon.operations.flows import cancel_flow

    with session.desk() as desk:
        _print_flow(session, cast(dict[str, Any], cancel_flow(desk, flow)))


@command(app, "retry")
def retry(session: Session, flow: Id) -> None:
    """Rerun from the failed jobs: new runs for them, and for what was skipped because of them."""
    from gnomon.operations.flows import retry_flow

    with session.desk() as desk:
        _print_flow(session, cast(dict[str, Any], retry_flow(desk, flow)))


def _print_flow(session: Session, flow: Mapping[str, Any]) -> None:
    if session.json:
        print_json(flow)
        return
    times = {name: local_time(flow[f"{name}_at"], session.zone) for name in ("due", "started", "finished")}
    print_fields(
        {
            "flow": flow["id"],
            "state": state_text(flow["state"]),
            "runs": counts(flow["counts"]),
            **times,
            "times are in": session.settings.timezone,
        }
    )
    rows = [
        (r["id"], r["job_id"], state_text(r["state"]), seconds(r["duration_s"]), r["retry_of"] or "", remark(r))
        for r in flow["runs"]
    ]
    print_table(
        ("run", "job", "state", "took", "retry of", "remark"), rows, flexible=("remark",), optional=("retry of", "took")
    )
