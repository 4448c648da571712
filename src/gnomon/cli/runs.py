"""`gnomon runs …` (logs: `logs`, delete: `pruning`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, cast

import typer

from gnomon.core.states import FINAL

from . import command as shared
from .choosing import run_filter
from .command import command, group
from .jobs import nothing_yet
from .output import local_time, print_fields, print_json, print_page, print_table, seconds, shown, state_text
from .session import Session

app = group("Runs: list, show, logs, cancel, skip, retry, delete.")
Id = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its beginning.", show_default=False)]
Ids = Annotated[list[str], typer.Argument(metavar="RUN…", help="Ids of runs.", show_default=False)]
States = Annotated[
    list[str] | None,
    typer.Option("--state", metavar="STATE", help="succeeded, failed, …, active or ended; again, or with commas."),
]


@command(app, "list")
def list_(
    session: Session,
    query: shared.Query = None,
    job: shared.Job = None,
    state: States = None,
    type_: shared.Types = None,
    since: shared.Since = None,
    until: shared.Until = None,
    label: shared.Labels = None,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="RUN", help="The items of this run, instead of it.")
    ] = None,
    limit: shared.Limit = 50,
    cursor: shared.Cursor = None,
) -> None:
    """Runs, newest first. A run with items is one line; `--parent` lists its items."""
    from gnomon.operations.runs import list_runs, show_run

    with session.listing() as desk:
        where = run_filter(
            session, desk, query, job=job, state=state, type=type_, label=label, since=since, until=until
        )
        if parent is not None:
            where = replace(where, parent_id=str(show_run(desk, parent)["id"]))
        page = list_runs(desk, where, limit, cursor)
    if nothing_yet(session):
        return
    if print_page(page, session.json):
        return
    runs = [cast(dict[str, Any], run) for run in page.items]
    columns: tuple[str, ...] = (
        "run",
        "job",
        "state",
        f"due ({session.settings.timezone})",
        "late",
        "took",
        "exit",
        "cause",
        "remark",
    )
    rows: list[tuple[object, ...]] = [_row(run, session) for run in runs]
    if any(run["parent_id"] for run in runs):
        columns = (*columns[:2], "item", *columns[2:])
        rows = [(*row[:2], item(run), *row[2:]) for run, row in zip(runs, rows, strict=True)]
    print_table(
        columns,
        rows,
        flexible=("remark", "item"),
        optional=("cause", "exit", "late", "remark", "took"),
    )


def _row(run: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    late = run["lateness_s"]
    return (
        run["id"],
        run["job_id"],
        state_text(run["state"]),
        local_time(run["due_at"], session.zone),
        seconds(late) if late is not None and late >= 1 else "",
        seconds(run["duration_s"]),
        run["exit_code"],
        run["cause"],
        remark(run),
    )


def remark(run: Mapping[str, Any]) -> str:
    """What is worth knowing about a run, in a few words."""
    if run["error"] is not None and run["state"] != "succeeded":
        return str(run["error"]["message"])
    if run["state"] == "retry_wait":
        return f"attempt {len(run['attempts']) + 1} follows"
    if run["state"] == "running" and run["items"]:
        over = sum(count for state, count in run["items"].items() if state in FINAL)
        return f"{over} of {sum(run['items'].values())} items are over"
    if run["state"] in ("waiting", "queued"):
        return f"waits for {run['waiting_for'] or 'a free slot'}"
    return str(run["reason"] or run["note"] or "")


def item(run: Mapping[str, Any]) -> str:
    """Which item of its parent a run is, and with which value; "" for a run of its own."""
    return f"{run['index']}: {shown(run['item'])}" if run["parent_id"] else ""


@command(app, "show")
def show(session: Session, run: Id) -> None:
    """One run with all its attempts, and what people were told of it."""
    from gnomon.operations.runs import show_run
    from gnomon.operations.telling import alerts_of_run

    with session.desk() as desk:
        shown_run = cast(dict[str, Any], show_run(desk, run))
        print_run(session, {**shown_run, "alerts": alerts_of_run(desk, shown_run["id"])})


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    from gnomon.operations.telling import told_sentence

    return {
        "alert" if n == 0 else f"alert {n + 1}": f"{told_sentence(a)}; `gnomon alerts show {a['id']}`"
        for n, a in enumerate(alerts)
    }


def print_run(session: Session, run: Mapping[str, Any]) -> None:
    """A run as JSON, or as fields and a table of attempts."""
    if session.json:
        print_json(run)
        return
    times = {name: local_time(run[f"{name}_at"], session.zone) for name in ("due", "queued", "started", "finished")}
    used = run["configuration"]
    print_fields(
        {
            "run": run["id"],
            "job": f"{run['job_id']} (version {run['definition_version']})",
            "configuration": used and f"{used['name']} (version {used['version']})",
            "state": state_text(run["state"]),
            "error": "" if run["error"] is None else f"{run['error']['message']} [{run['error']['code']}]",
            "reason": run["reason"],
            "waits for": run["waiting_for"],
            "note": run["note"],
            "cause": f"{run['cause']}, {run['schedule_id'] or run['actor']}",
            **times,
            "late": seconds(run["lateness_s"]),
            "took": seconds(run["duration_s"]),
            "exit code": run["exit_code"],
            "result": run["result"],
            "parameters": run["parameters"],
            "labels": run["labels"],
            "retry of": run["retry_of"],
            "items": ", ".join(f"{count} {state}" for state, count in (run["items"] or {}).items()),
            "item": f"{run['index']} of run {run['parent_id']}: {shown(run['item'])}" if run["parent_id"] else "",
            "flow": run["flow_id"],
            "next attempt": local_time(run["next_attempt_at"], session.zone) if run["state"] == "retry_wait" else "",
            **_alerts(run.get("alerts", ())),
            "times are in": session.settings.timezone,
        }
    )
    if run["attempts"]:
        rows = [_attempt_row(attempt, session) for attempt in run["attempts"]]
        print_table(
            ("attempt", "outcome", "started", "took", "exit", "output", "node", "error"),
            rows,
            flexible=("error",),
            optional=("node", "output"),
        )


def _attempt_row(attempt: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    error = attempt["error"]
    return (
        attempt["number"],
        state_text(attempt["outcome"] or "running"),
        local_time(attempt["started_at"], session.zone),
        seconds(attempt["duration_s"]),
        attempt["exit_code"],
        f"{attempt['log_bytes']} bytes",
        attempt["node"],
        "" if error is None else error["message"],
    )


@command(app, "cancel")
def cancel(session: Session, run: Ids) -> None:
    """End runs, and everything they started: TERM, grace, KILL."""
    from gnomon.operations.runs import cancel_run

    with session.desk() as desk:
        runs = [cast(dict[str, Any], cancel_run(desk, one)) for one in run]
    if session.json:
        print_json(runs)
    else:
        for one in runs:
            print(
                f"{one['id']} ({one['job_id']}) is {'cancelled' if one['state'] == 'cancelled' else 'being cancelled'}"
            )


@command(app, "skip")
def skip(session: Session, run: Ids) -> None:
    """Take runs that have not begun out of their flow, which goes on as if they had succeeded."""
    from gnomon.operations.runs import skip_run

    with session.desk() as desk:
        runs = [cast(dict[str, Any], skip_run(desk, one)) for one in run]
    if session.json:
        print_json(runs)
    else:
        for one in runs:
            print(f"{one['id']} ({one['job_id']}) is skipped")


@command(app, "retry")
def retry(session: Session, run: Ids) -> None:
    """Run again what is over, with the same parameters, as new runs of the same flow."""
    from gnomon.operations.runs import retry_run

    with session.desk() as desk:
        runs = [cast(dict[str, Any], retry_run(desk, one)) for one in run]
    if session.json:
        print_json(runs)
    else:
        for one in runs:
            print(f"{one['id']} ({one['job_id']}) is {one['state']}")
