"""Putting a backup in the place of a database: what becomes of the work it shows as unfinished, and of the old one.

Between the backup and now time has passed of which the copy knows nothing. What it shows as queued or running may long
be done: it is not done again, unless somebody says so. Fire times after the backup are missed ones for the scheduler,
and the catch-up policy of each job decides.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from gnomon.core import lifecycle
from gnomon.core.attempts import Failure, Outcome
from gnomon.core.errors import Conflict, Problem
from gnomon.core.filters import RunFilter
from gnomon.core.ports import Transaction
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.states import ACTIVE, RunEvent
from gnomon.core.values import rfc3339

from .backup import sync
from .context import Desk
from .nodes import working_nodes

RESTORED = "restored"
"""The reason of runs that a backup showed as unfinished."""
_BATCH = 1000
_COMPANIONS = ("-wal", "-shm", "-journal", ".d")


@dataclass(frozen=True, slots=True)
class Settled:
    """What was unfinished in the copy. `messages`: alerts and pings that were on their way."""

    runs: int = 0
    messages: int = 0


def settle(desk: Desk, at: str | None) -> Settled:
    """End what a copy of the moment `at` shows as unfinished: runs are cancelled, attempts lost, messages dropped.

    In many transactions: nobody else may work on the copy.
    """
    runs = messages = 0
    cursor: str | None = None
    while True:
        ended, cursor = desk.store.write(partial(_end_runs, desk, at, cursor))
        runs += ended
        if cursor is None:
            break
    while dropped := desk.store.write(_drop_messages):
        messages += dropped

    def last(tx: Transaction) -> None:
        now = desk.clock.now()
        for node in tx.nodes():
            if node.stopped_at is None:
                tx.put_node(replace(node, stopped_at=now, lease_until=min(node.lease_until, now)))
        leader = tx.leader()
        if leader is not None:
            tx.put_leader(replace(leader, lease_until=min(leader.lease_until, now)))

    desk.store.write(last)
    return Settled(runs, messages)


def note_restore(desk: Desk, at: str | None, file: str, settled: Settled | None) -> None:
    """Put the restore on record in the copy."""
    kept = {"runs": "kept"} if settled is None else {"runs": settled.runs, "messages": settled.messages}
    desk.store.write(lambda tx: desk.audit(tx, "database.restore", file, after={"backup_at": at, **kept}))


def _end_runs(desk: Desk, at: str | None, cursor: str | None, tx: Transaction) -> tuple[int, str | None]:
    """A batch of them; how many, and where to go on."""
    now = desk.clock.now()
    page = tx.runs(RunFilter(states=tuple(ACTIVE)), _BATCH, cursor)
    found = list(page.items)
    for run in list(found):
        found += [item for item in tx.items(run.id) if item.state in ACTIVE]
    text = f"it was not over in the backup{'' if at is None else f' of {at}'}"
    live = [a for attempts in tx.attempts({r.id for r in found}).values() for a in attempts if a.outcome is None]
    tx.update_attempts([_lost(attempt, now, text) for attempt in live])
    tx.update_runs([(_cancelled(run, now, desk.actor, text), run.state) for run in found])
    return len(found), page.next


def _lost(attempt: AttemptRecord, now: datetime, text: str) -> AttemptRecord:
    return replace(attempt, outcome=Outcome.LOST, finished_at=now, error=Failure(RESTORED, text))


def _cancelled(run: RunRecord, now: datetime, actor: str, text: str) -> RunRecord:
    asked = replace(run, error=Failure(RESTORED, text), cancel_requested_at=now, cancel_actor=actor)
    return lifecycle.close(asked, RunEvent.CANCEL, now, reason=RESTORED)


def _drop_messages(tx: Transaction) -> int:
    pending = tx.pending_deliveries(_BATCH)
    tx.update_deliveries([replace(one, next_at=None, error="dropped: restored from a backup") for one in pending])
    return len(pending)


def refuse_target(database: Path, force: bool) -> None:
    """Raises:
    Conflict: `scheduler_running`, or `database_exists`.
    """
    working = working_nodes(database)
    if working:
        said = f"a scheduler works on {database} now: {', '.join(working)}"
        raise Conflict(Problem("scheduler_running", said, hint="stop it first"))
    if database.exists() and not force:
        hint = "--force keeps it under another name and puts the backup in its place; or name another place with --db"
        raise Conflict(Problem("database_exists", f"there is a database at {database} already", hint=hint))


def put_in_place(
    new: Path, logs: Path | None, database: Path, now: datetime, finish: Callable[[], None]
) -> Path | None:
    """Move what is at `database` aside, and the copy there; where the old one is now, or None.

    The caller holds the write lock of `database`. `finish` is called between the two: to bring the log of the old
    database into its file.
    """
    owner = _owner(database)
    stamp = (rfc3339(now.replace(microsecond=0)) or "").replace(":", "").replace("-", "")
    aside = _free(database.with_name(f"{database.name}.before-{stamp}"))
    finish()
    moved = False
    for suffix in ("", *_COMPANIONS):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{database}{suffix}", f"{aside}{suffix}")
            moved = moved or not suffix
    if logs is not None:
        state = Path(f"{database}.d")
        state.mkdir(mode=0o700)
        os.rename(logs, state / logs.name)
        _give(state, owner)
    _give(new, owner)
    os.rename(new, database)
    sync(database.parent)
    return aside if moved else None


def _owner(database: Path) -> tuple[int, int] | None:
    """Whose the database is to be, when root puts it there: of whom it was, or whose directory it lies in."""
    if os.geteuid() != 0:
        return None
    found = os.stat(database if database.exists() else database.parent)
    return found.st_uid, found.st_gid


def _give(path: Path, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        for one in (path, *path.rglob("*")) if path.is_dir() else (path,):
            os.chown(one, *owner, follow_symlinks=False)


def _free(path: Path) -> Path:
    number, found = 1, path
    while os.path.lexists(found):
        number, found = number + 1, path.with_name(f"{path.name}-{number}")
    return found
