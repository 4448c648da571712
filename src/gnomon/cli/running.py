"""`gnomon run`: a file as a pipeline, or one job now."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.errors import NotFound, Problem, usage

from .command import command
from .failures import report_problems
from .logs import Printer, follow_run
from .output import print_json, seconds, shown
from .progress import Progress, unread_progress
from .sanitising import colours_only, plain
from .session import Session

if TYPE_CHECKING:
    from gnomon.app import PipelineResult
    from gnomon.operations.context import Desk

_TAIL = 20
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="For a job; may be repeated.")
]
_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add `run`."""
    command(app, "run", panel="Run")(run)


def run(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="FILE|JOB", help="A job file, or a job's id.", show_default=False)],
    parameter: Parameters = None,
    wait: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="For a job: stay until it is over; if a scheduler runs.")
    ] = None,
) -> int:
    """Run a whole file as a pipeline to its end, without a scheduler; or one job, now. Exit 1 if one failed."""
    path = Path(what)
    if os.path.isfile(path):
        session.stay("a file is run on the machine where it lies")
        if parameter:
            raise usage("parameters_of_file", "a file runs with the parameters it declares", hint="-p goes with a job")
        return _run_file(session, path)
    if os.path.isdir(path):
        raise usage("not_a_file", f"{what} is a directory", hint="name one job file, or `gnomon serve --jobs-dir DIR`")
    return _run_job(session, what, read_parameters(parameter or []), wait)


def read_parameters(texts: list[str]) -> dict[str, str]:
    """`NAME=VALUE` each."""
    values = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise usage("parameter_invalid", f"{text!r} is no parameter", key="-p", hint="write -p NAME=VALUE")
        values[name] = value
    return values


def _run_file(session: Session, path: Path) -> int:
    from gnomon.app import registries, run_file, signals
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
    endless = [warning for warning in checked.warnings if warning.code == "pool_undeclared"]
    if endless:  # nobody would declare it while this runs
        report_problems(endless, session.json)
        return 2
    if checked.problems:
        report_problems(checked.problems, session.json)
        if not checked.usable:
            return 2
    with signals() as asked, unread_progress(), Progress(quiet=session.json) as progress:
        result = run_file(
            session.settings,
            checked.jobs,
            path,
            pools=dict(checked.pools),
            configurations=checked.configurations,
            watch=progress.update,
            interrupted=asked.noted,
        )
    _print_result(session, result)
    if asked.noted.is_set():
        return _INTERRUPTED
    return 0 if result.ok else 1


def _print_result(session: Session, result: PipelineResult) -> None:
    from gnomon.core.fanout import index_of
    from gnomon.operations.views import run_view

    if session.json:
        counts_of = {parent: Counter(item.state for item in items) for parent, items in result.items.items()}
        runs = [run_view(run, result.attempts.get(run.id, ()), counts_of.get(run.id)) for run in result.runs]
        items = [run_view(i, result.attempts.get(i.id, ())) for some in result.items.values() for i in some]
        print_json({"ok": result.ok, "runs": runs, "items": items})
        return
    items_told = [item for some in result.items.values() for item in some if item.id in result.logs]
    for run in (*result.runs, *items_told):
        if run.state != "failed":
            continue
        message = run.error.message if run.error else "failed"
        name = run.job_id if run.parent_id is None else f"{run.job_id}, item {index_of(run)} ({shown(run.item)})"
        print(f"\n{name} failed: {plain(message)}")
        for line in colours_only(result.logs.get(run.id, b"")).splitlines()[-_TAIL:]:
            print("  | " + line.decode("utf-8", "replace"))
    counts: dict[str, int] = {}
    for run in result.runs:
        counts[run.state] = counts.get(run.state, 0) + 1
    print("\n" + ", ".join(f"{count} {state}" for state, count in counts.items()))


def _run_job(session: Session, job_id: str, parameters: dict[str, str], wait: bool | None) -> int:
    from gnomon.operations.nodes import list_nodes
    from gnomon.operations.runs import start_run

    if session.missing:
        text = f"there is no file {job_id!r}, and no job of that name: there is no database at {session.database} yet"
        raise NotFound(Problem("job_not_found", text, hint="name a job file, or start `gnomon serve`"))
    with session.desk() as desk:
        try:
            started = cast(dict[str, Any], start_run(desk, job_id, parameters))
        except NotFound as error:
            text = f"{job_id!r} is neither a file nor a job of {session.place}"
            raise NotFound(Problem("job_not_found", text, hint=error.problems[0].hint)) from None
        alive = bool(list_nodes(desk))
        if not alive:
            session.tell(f"no scheduler runs on this database: {started['id']} waits until `gnomon serve` is started")
        if wait or (wait is None and alive):
            return _follow(session, desk, started)
    if session.json:
        print_json(started)
    else:
        print(f"{started['id']} ({job_id}) is {started['state']}: `gnomon runs logs -f {started['id']}`")
    return 0


def _follow(session: Session, desk: Desk, started: dict[str, Any]) -> int:
    """Print the run's output until it is over."""
    run_id = started["id"]
    session.tell(f"run {run_id} of {started['job_id']}")
    waits: list[str] = []

    def changed(run: dict[str, Any]) -> None:
        if run["state"] == "queued" and run["waiting_for"] and run["waiting_for"] not in waits:
            waits.append(run["waiting_for"])
            session.tell(f"waits for {run['waiting_for']}")
        if run["state"] == "retry_wait":
            session.tell(f"attempt {len(run['attempts'])} failed: {_error(run)}; the next follows")

    try:
        run = follow_run(desk, run_id, None if session.json else Printer(), from_first=True, changed=changed)
    except KeyboardInterrupt:
        session.tell(f"{run_id} goes on; `gnomon runs cancel {run_id}` ends it")
        return _INTERRUPTED
    if session.json:
        print_json(run)
    took = f" after {seconds(run['duration_s'])}" if run["duration_s"] is not None else ""
    session.tell(f"{run['state']}{took}" + (f": {_error(run)}" if run["state"] != "succeeded" else ""))
    if run.get("items"):
        session.tell(f"`gnomon runs list --parent {run_id}` shows its items")
    return 0 if run["state"] == "succeeded" else 1


def _error(run: dict[str, Any]) -> str:
    error = run["error"] or (run["attempts"][-1]["error"] if run["attempts"] else None)
    return plain(str(error["message"] if error else run["reason"] or ""))
