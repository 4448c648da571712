"""Filters from the command line, and questions before something is deleted."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

from gnomon.core.errors import UsageError, usage
from gnomon.core.states import FINAL, State

from .session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from gnomon.core.records import JobFilter, RunFilter
    from gnomon.operations.context import Desk


def run_filter(
    session: Session,
    desk: Desk,
    *,
    job: str | None = None,
    state: Sequence[str] | None = None,
    type_: Sequence[str] | None = None,
    label: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> RunFilter:
    """The runs that options ask for.

    Raises:
        UsageError: a state, label, time or type that is none.
    """
    from gnomon.core.records import RunFilter
    from gnomon.operations.deleting import task_types

    if job is not None and not session.missing:
        known_job(desk, job)
    return RunFilter(
        job_id=job,
        states=tuple(read_states(state or ())),
        task_types=task_types(desk, type_ or ()),
        labels=read_labels(label or ()),
        since=read_time(session, since, "--since"),
        until=read_time(session, until, "--until"),
    )


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
) -> JobFilter:
    """The jobs that options ask for.

    Raises:
        UsageError: a label, time or type that is none.
    """
    from gnomon.core.records import JobFilter
    from gnomon.operations.deleting import task_types

    return JobFilter(
        task_types=task_types(desk, type_ or ()),
        labels=read_labels(label or ()),
        paused=paused,
        retired=retired,
        due_from=read_time(session, due_from, "--due-from"),
        due_until=read_time(session, due_until, "--due-until"),
    )


def known_job(desk: Desk, job: str) -> None:
    """A job that does not exist is an error, not an empty list."""
    from gnomon.operations.jobs import show_job

    show_job(desk, job)


def read_states(words: Iterable[str]) -> list[State]:
    """States, given one by one or with commas; `active` and `ended` stand for several."""
    states: list[State] = []
    for word in (part.strip().lower() for text in words for part in text.split(",")):
        if word in ("active", "ended"):
            states += [s for s in State if (s in FINAL) == (word == "ended")]
        elif word in list(State):
            states.append(State(word))
        else:
            near = difflib.get_close_matches(word, list(State), n=1)
            hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join([*State, "active", "ended"])
            raise usage("state_unknown", f"no run state is called {word!r}", key="--state", hint=hint)
    return states


def read_labels(texts: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` each."""
    labels = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise usage("label_invalid", f"{text!r} is no label", key="--label", hint="write --label NAME=VALUE")
        labels[name] = value
    return labels


def read_time(session: Session, text: str | None, option: str) -> datetime | None:
    """The instant that an option names."""
    if text is None:
        return None
    try:
        return session.moment(text, session.now).at
    except UsageError as error:
        problem = error.problems[0]
        raise usage(problem.code, problem.message, key=option, hint=problem.hint) from None


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
