"""`gnomon runs delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.errors import usage

from . import command as shared
from .choosing import confirm, run_filter
from .command import command
from .output import print_json
from .runs import States
from .session import Session

if TYPE_CHECKING:
    from gnomon.core.records import RunFilter
    from gnomon.operations.context import Desk


def register(app: typer.Typer) -> None:
    """Add `delete`."""
    command(app, "delete")(delete)


def delete(
    session: Session,
    run: Annotated[list[str] | None, typer.Argument(metavar="RUN…", help="Ids of runs.")] = None,
    job: shared.Job = None,
    state: States = None,
    type_: shared.Type = None,
    since: shared.Since = None,
    until: shared.Until = None,
    label: shared.Labels = None,
    yes: shared.Yes = False,
) -> None:
    """Delete finished runs with their output: by id, or all that the options choose."""
    from gnomon.operations.runs import delete_runs, show_run

    given = [job, state, type_, since, until, label]
    if bool(run) == any(given):
        hint = "`gnomon runs delete --until -30d`, or ids"
        raise usage("nothing_named", "name runs, or choose them by options, not both", hint=hint)
    with session.desk() as desk:
        if run:
            ids = list(dict.fromkeys(str(cast(dict[str, Any], show_run(desk, one))["id"]) for one in run))
        else:
            where = run_filter(session, desk, job=job, state=state, type_=type_, label=label, since=since, until=until)
            ids = _ended(desk, where)
        if ids:
            confirm(f"delete {len(ids)} runs with their output", yes)
        count = sum(delete_runs(desk, ids[at : at + 500]) for at in range(0, len(ids), 500))
    if session.json:
        print_json({"deleted": count})
    else:
        print(f"{count} runs are deleted")


def _ended(desk: Desk, where: RunFilter) -> list[str]:
    """Ids of all finished runs that a filter chooses."""
    from dataclasses import replace

    from gnomon.core.states import FINAL

    states = tuple(s for s in where.states or tuple(FINAL) if s in FINAL)
    if not states:
        return []
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = desk.store.read(lambda r: r.runs(replace(where, states=states), 1000, cursor))  # noqa: B023
        ids += [run.id for run in page.items]
        cursor = page.next
        if cursor is None:
            return ids
