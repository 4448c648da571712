"""All commands, put together."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import typer

from gnomon.core.version import __version__

from . import (
    access,
    alerts,
    asking,
    backfilling,
    configurations,
    db,
    doctor,
    flows,
    health,
    jobfiles,
    jobs,
    logs,
    pruning,
    running,
    runs,
    schedules,
    serving,
)
from .command import AsJson, Config, Db, Server, TokenFile
from .session import Session


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gnomon {__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    db: Db = None,
    server: Server = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """A job scheduler: jobs from files, run on time, every decision kept and explained.

    Exit codes: 0 done, 1 a job failed, 2 your mistake, 3 unavailable (try again), 70 a bug.
    """
    ctx.obj = Session(db, config, as_json, asked=server, token_file=token_file)


@cache
def make_app() -> typer.Typer:
    """`gnomon` with everything it can do; the same one every time."""
    app = typer.Typer(name="gnomon", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    serving.register(app)
    running.register(app)
    backfilling.register(app)
    asking.register(app)
    jobfiles.register(jobs.app)
    app.add_typer(jobs.app, name="jobs")
    app.add_typer(schedules.app, name="schedules")
    logs.register(runs.app)
    pruning.register(jobs.app, schedules.app, runs.app)
    app.add_typer(runs.app, name="runs")
    app.add_typer(flows.app, name="flows")
    app.add_typer(configurations.app, name="configurations")
    app.add_typer(alerts.app, name="alerts")
    access.register(app)
    doctor.register(app)
    health.register(app)
    app.add_typer(db.app, name="db")
    return app
