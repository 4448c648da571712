"""Registering commands: each gets a `Session` and, behind it, the options that all have."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from .session import Session

F = TypeVar("F", bound=Callable[..., int | None])

Db = Annotated[str | None, typer.Option("--db", metavar="URL", help="Database: a path, or sqlite:///PATH.")]
Config = Annotated[str | None, typer.Option("--config", metavar="FILE", help="Settings file (gnomon.toml) to use.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Server = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="Ask this scheduler over HTTP instead of a database.")
]
TokenFile = Annotated[
    str | None, typer.Option("--token-file", metavar="FILE", help="The token for --server; GNOMON_TOKEN has it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Cursor = Annotated[str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where a list ended.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="At most so many.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Only with this label.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="From then on: 09:00, -15m, today, ISO.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then.")]
Job = Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only of this job.")]
Query = Annotated[
    str | None, typer.Option("--query", "-q", metavar="FILTER", help="Conditions: 'state:failed since:2h type:http'.")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Only of this task type; again for several. db: sql and mongo."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")]
DueFrom = Annotated[
    str | None, typer.Option("--due-from", "--since", metavar="TIME", help="With a run due from then on.")
]
DueUntil = Annotated[
    str | None, typer.Option("--due-until", "--until", metavar="TIME", help="With a run due before then.")
]

_SHARED: tuple[tuple[str, Any, object], ...] = (
    ("db", Db, None),
    ("server", Server, None),
    ("token_file", TokenFile, None),
    ("config", Config, None),
    ("as_json", AsJson, False),
)


def command(
    app: typer.Typer,
    name: str,
    *,
    panel: str | None = None,
    settings: dict[str, Any] | None = None,
    machine: bool = False,
) -> Callable[[F], F]:
    """Make a function `(session, …) -> exit code or None` the command `name` of `app`.

    Its docstring is the help. Settings given before the command (`gnomon --db URL jobs list`) count where none
    is given behind it.

    Args:
        machine: it works on this machine: `--server` is refused.
    """

    def register(function: F) -> F:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        kind = inspect.Parameter.KEYWORD_ONLY
        context = inspect.Parameter("ctx", kind, annotation=typer.Context)
        own = [parameter.replace(kind=kind) for parameter in own]
        shared = [inspect.Parameter(n, kind, annotation=a, default=d) for n, a, d in _SHARED]

        def run(
            *,
            ctx: typer.Context,
            db: str | None,
            server: str | None,
            token_file: str | None,
            config: str | None,
            as_json: bool,
            **given: object,
        ) -> int | None:
            before = ctx.find_root().obj or Session()
            session = Session(
                db or before.db,
                config or before.config,
                as_json or before.json,
                asked=server or before.asked,
                token_file=token_file or before.token_file,
                here=machine,
            )
            session.judge(ctx.command_path)
            try:
                return function(session, **given)
            finally:
                session.close()

        run.__signature__ = inspect.Signature([context, *own, *shared])  # type: ignore[attr-defined]
        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        app.command(name, rich_help_panel=panel, context_settings=settings)(run)
        return function

    return register


def group(help_: str) -> typer.Typer:
    """A group of commands: alone it prints its help."""
    return typer.Typer(help=help_, no_args_is_help=True)
