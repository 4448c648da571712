"""`gnomon jobs delete`, `gnomon schedules delete`, `gnomon runs delete`: by id, or all that options choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from gnomon.core.errors import usage

from . import command as shared
from .choosing import confirm, job_filter, known_job, run_filter
from .command import command
from .output import print_json
from .runs import States
from .session import Session

if TYPE_CHECKING:
    from gnomon.operations.deleting import Deletion

_SHOWN = 10
"""How many ids a question or an answer for people names."""


def register(jobs: typer.Typer, schedules: typer.Typer, runs: typer.Typer) -> None:
    """Add `delete` to each."""
    command(jobs, "delete")(delete_jobs)
    command(schedules, "delete")(delete_schedules)
    command(runs, "delete")(delete_runs)


def delete_jobs(
    session: Session,
    job: Annotated[list[str] | None, typer.Argument(metavar="JOB…", help="Ids of jobs.")] = None,
    type_: shared.Types = None,
    label: shared.Labels = None,
    due_from: shared.DueFrom = None,
    due_until: shared.DueUntil = None,
    retired: Annotated[bool, typer.Option("--retired", help="Those no source has any more.")] = False,
    dry_run: shared.DryRun = False,
    yes: shared.Yes = False,
) -> None:
    """Delete jobs that no file owns, with their history: by id, or all that the options choose."""
    from gnomon.operations import deleting

    _one_way(job, [type_, label, due_from, due_until, retired], "jobs", "`gnomon jobs delete --retired`")
    with session.desk() as desk:
        if job:
            choice = deleting.named_jobs(desk, job)
        else:
            where = job_filter(session, desk, type_, label, due_from, due_until, retired=retired)
            choice = deleting.choose_jobs(desk, where)
        done = _carry_out(session, choice, ("job", "jobs"), " with all runs", dry_run, yes) and deleting.delete_jobs(
            desk, choice
        )
    _tell(session, done or choice, ("job", "jobs"), dry=not done and dry_run, runs=True)


def delete_schedules(
    session: Session,
    schedule: Annotated[list[str] | None, typer.Argument(metavar="SCHEDULE…", help="Ids of entries.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every entry; what files own is kept, and reported.")] = False,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Every entry of this job.")] = None,
    dry_run: shared.DryRun = False,
    yes: shared.Yes = False,
) -> None:
    """Delete entries that no file owns; their jobs stay."""
    from gnomon.core.records import ScheduleFilter
    from gnomon.operations import deleting

    words = ("schedule entry", "schedule entries")
    _one_way(schedule, [all_, job], "schedule entries", "`gnomon schedules list` shows them; --all means every one")
    with session.desk() as desk:
        if schedule:
            choice = deleting.named_schedules(desk, schedule)
        else:
            if job is not None:
                known_job(desk, job)
            choice = deleting.choose_schedules(desk, ScheduleFilter(job_id=job))
        done = _carry_out(session, choice, words, "", dry_run, yes) and deleting.delete_schedules(desk, choice)
    _tell(session, done or choice, words, dry=not done and dry_run)


def delete_runs(
    session: Session,
    run: Annotated[list[str] | None, typer.Argument(metavar="RUN…", help="Ids of runs.")] = None,
    job: shared.Job = None,
    state: States = None,
    type_: shared.Types = None,
    since: shared.Since = None,
    until: shared.Until = None,
    label: shared.Labels = None,
    dry_run: shared.DryRun = False,
    yes: shared.Yes = False,
) -> None:
    """Delete finished runs with their output: by id, or all that the options choose."""
    from gnomon.operations import deleting

    words = ("run", "runs")
    _one_way(run, [job, state, type_, since, until, label], "runs", "`gnomon runs delete --until -30d`, or ids")
    with session.desk() as desk:
        if run:
            choice = deleting.named_runs(desk, run)
        else:
            where = run_filter(session, desk, job=job, state=state, type=type_, label=label, since=since, until=until)
            choice = deleting.choose_runs(desk, where)
        done = _carry_out(session, choice, words, " with their output", dry_run, yes) and deleting.delete_chosen_runs(
            desk, choice, _progress(session, len(choice.deleted))
        )
    _tell(session, done or choice, words, dry=not done and dry_run)


def _one_way(ids: list[str] | None, options: list[object], what: str, hint: str) -> None:
    """Things are named, or chosen by options.

    Raises:
        UsageError: neither, or both.
    """
    if ids and any(options):
        raise usage("nothing_named", f"name {what}, or choose them by options, not both", hint=hint)
    if not ids and not any(options):
        raise usage("nothing_named", f"nothing says which {what}: name them, or choose them by options", hint=hint)


def _carry_out(session: Session, choice: Deletion, words: tuple[str, str], more: str, dry_run: bool, yes: bool) -> bool:
    """Whether to delete what was chosen: asks, with the count and some of the ids."""
    if dry_run or not choice.deleted:
        return False
    count, rest = len(choice.deleted), len(choice.deleted) - _SHOWN
    names = ", ".join(choice.deleted[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
    kept = f"; {len(choice.kept)} are kept" if choice.kept else ""
    confirm(f"delete {count} {words[count != 1]}{more} ({names}){kept}", yes)
    return True


def _progress(session: Session, total: int) -> Callable[[int], None]:
    """Tells on a terminal how far a long deletion has come."""
    import sys

    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        if total > 2000 and sys.stderr.isatty():
            print(f"\r{done} of {total}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return told


def _tell(session: Session, done: Deletion, words: tuple[str, str], *, dry: bool = False, runs: bool = False) -> None:
    """The answer: `{"deleted": [ids], "kept": [{"id", "reason"}]}`, or the same in words."""
    if session.json:
        counted = {"runs": done.runs} if runs else {}
        print_json({**done.view(), **counted, **({"dry_run": True} if dry else {})})
        return
    count = len(done.deleted)
    verb = "would be" if dry else "is" if count == 1 else "are"
    with_runs = f", {done.runs} runs with {'it' if count == 1 else 'them'}" if runs and not dry and count else ""
    print(f"{count} {words[count != 1]} {verb} deleted{with_runs}" + (":" if count else ""))
    for one in done.deleted[:_SHOWN]:
        print(f"  {one}")
    if count > _SHOWN:
        print(f"  … and {count - _SHOWN} more")
    for item in done.kept[:_SHOWN]:
        print(f"{item.id} is kept: {item.reason}")
    if len(done.kept) > _SHOWN:
        print(f"… and {len(done.kept) - _SHOWN} more are kept; --json names them all")
