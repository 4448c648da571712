"""Filters from the command line, and questions before something is deleted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from gnomon.core.errors import usage

from .session import Session

if TYPE_CHECKING:
    from gnomon.core.records import JobFilter, RunFilter
    from gnomon.operations.context import Desk


def run_filter(
    session: Session, desk: Desk, query: str | None = None, **options: Sequence[str] | str | None
) -> RunFilter:
    """The runs that options (`job`, `state`, `type`, `label`, `since`, `until`) and a filter ask for.

    Raises:
        UsageError: one of them means nothing.
    """
    from gnomon.operations.filters import RUNS, reading_of

    job = options.get("job")
    if isinstance(job, str) and not session.missing:
        known_job(desk, job)
    return RUNS.options(options, reading_of(desk, session.zone), query)


def job_filter(
    session: Session,
    desk: Desk,
    type_: Sequence[str] | None,
    label: Sequence[str] | None,
    due_from: str | None,
    due_until: str | None,
    *,
    paused: bool | None = None,
    retired: bool = False,
    query: str | None = None,
) -> JobFilter:
    """The jobs that options and a filter ask for.

    Raises:
        UsageError: one of them means nothing.
    """
    from gnomon.operations.filters import JOBS, reading_of

    options = {
        "type": type_,
        "label": label,
        "since": due_from,
        "until": due_until,
        "paused": None if paused is None else "yes" if paused else "no",
        "retired": "yes" if retired else None,
    }
    return JOBS.options(options, reading_of(desk, session.zone), query)


def known_job(desk: Desk, job: str) -> None:
    """A job that does not exist is an error, not an empty list."""
    from gnomon.operations.jobs import show_job

    show_job(desk, job)


def confirm(what: str, yes: bool, otherwise: str = "nothing was deleted") -> None:
    """Ask on a terminal; elsewhere `--yes` must have been said.

    Args:
        otherwise: what is said when nothing is done.

    Raises:
        UsageError: nobody can be asked. typer.Exit: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise usage("not_confirmed", f"{what}: nobody can be asked here", hint=f"say --yes; {otherwise}")
    if not typer.confirm(f"{what}?", err=True):
        print(otherwise, file=sys.stderr)
        raise typer.Exit(1)
