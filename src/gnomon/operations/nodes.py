"""Scheduler processes: which there are, and which live."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from gnomon.core.errors import Problem, Unavailable
from gnomon.core.ports import Reader
from gnomon.core.records import NodeRecord
from gnomon.core.values import JsonObject
from gnomon.system.filelock import HeldLock, is_held, noted
from gnomon.system.host import boot_id, host_name
from gnomon.system.peers import Peers
from gnomon.system.place import mark_of, read_marks, written

from .context import Desk
from .elsewhere import anywhere
from .views import node_view


def living_nodes(desk: Desk) -> tuple[NodeRecord, ...]:
    """Scheduler processes that work on this database now."""
    return desk.store.read(lambda reader: living_in(desk, reader))


def living_in(desk: Desk, reader: Reader) -> tuple[NodeRecord, ...]:
    """The same, within a reading."""
    now = desk.clock.now()
    known = [node for node in reader.nodes() if node.stopped_at is None]
    dead = gone(desk, known)
    return tuple(node for node in known if node.node_id not in dead and node.lease_until > now)


def gone(desk: Desk, nodes: Collection[NodeRecord]) -> list[str]:
    """Those that do not work on this database: they run no more, or on a file that had its name before."""
    dead, now = Peers(desk.engine.node_id, host_name(), boot_id()).dead(nodes), desk.clock.now()
    return dead + [n.node_id for n in nodes if n.node_id not in dead and (_is_elsewhere(n) or _has_left(n, now))]


@anywhere
def list_nodes(desk: Desk) -> list[JsonObject]:
    """Living scheduler processes as objects; `leader` is true for the one that plans."""
    leader = desk.store.read(lambda reader: reader.leader())
    return [
        {**node_view(node), "leader": leader is not None and leader.node_id == node.node_id}
        for node in living_nodes(desk)
    ]


def working_nodes(database: Path) -> Sequence[str]:
    """Schedulers that work on this database now, by the locks they hold: the file itself may be unreadable."""
    return [lock.name.removesuffix(".lock") for lock in _held(database)]


def join_nodes(database: Path, node_id: str) -> HeldLock:
    """The lock of a new scheduler on a database; it says which file has the name now.

    Raises:
        Unavailable: `database_replaced`; see `refusal`.
    """
    place = _locks(database)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = mark_of(database)
    lock = HeldLock(place / f"{node_id}.lock", written([mark]) if mark else "")
    refused = refusal(database)
    if refused is not None:
        lock.release()
        raise refused
    return lock


def refusal(database: Path) -> Unavailable | None:
    """Why nothing may be made or changed under this name now: a scheduler works on a file that had it before. What that
    one does, the file that has it now does not know; and what is written here is lost when the other one comes back."""
    others = working_elsewhere(database)
    if not others:
        return None
    said = f"the scheduler {others[0]} works on another file that was called {database} before"
    hint = "nothing is changed: put that file back (mv); or stop that scheduler first, if it is not to be used any more"
    return Unavailable(Problem("database_replaced", said, hint=hint))


def working_elsewhere(database: Path) -> Sequence[str]:
    """Schedulers that work on a file which had the name of this one before."""
    return [lock.name.removesuffix(".lock") for lock in _held(database) if _notes_another(lock, database)]


def _has_left(node: NodeRecord, now: datetime) -> bool:
    """It let its lease go and took its lock away, with work left running. A lock alone may be removed by anybody."""
    return node.lock_path is not None and node.lease_until <= now and not os.path.lexists(node.lock_path)


def _is_elsewhere(node: NodeRecord) -> bool:
    lock = Path(node.lock_path or "")
    return node.lock_path is not None and _notes_another(lock, lock.parents[1].with_suffix(""))


def _notes_another(lock: Path, database: Path) -> bool:
    marks = read_marks(noted(lock))
    return bool(marks) and marks != [mark_of(database)]


def _held(database: Path) -> list[Path]:
    return [lock for lock in sorted(_locks(database).glob("*.lock")) if is_held(lock)]


def _locks(database: Path) -> Path:
    return Path(f"{database}.d", "nodes")
