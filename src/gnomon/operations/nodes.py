"""Scheduler processes: which there are, and which live."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from gnomon.core.errors import Conflict, Problem
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
    """Those that certainly do not work on this database: they run no more, or on a file that had its name before."""
    dead = Peers(desk.engine.node_id, host_name(), boot_id()).dead(nodes)
    return dead + [node.node_id for node in nodes if node.node_id not in dead and _is_elsewhere(node)]


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
        Conflict: `scheduler_running`: another one works on a file that had the name before. What that one does, the
            file that has it now does not know.
    """
    place = _locks(database)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = mark_of(database)
    lock = HeldLock(place / f"{node_id}.lock", written([mark]) if mark else "")
    others = working_elsewhere(database)
    if others:
        lock.release()
        said = f"the scheduler {others[0]} works on another file that was called {database} before"
        raise Conflict(Problem("scheduler_running", said, hint="stop it first, or put that file back"))
    return lock


def working_elsewhere(database: Path) -> Sequence[str]:
    """Schedulers that work on a file which had the name of this one before."""
    return [lock.name.removesuffix(".lock") for lock in _held(database) if _notes_another(lock, database)]


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
