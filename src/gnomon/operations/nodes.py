"""Scheduler processes: which there are, and which live."""

from __future__ import annotations

from gnomon.core.ports import Reader
from gnomon.core.records import NodeRecord
from gnomon.core.values import JsonObject
from gnomon.system.host import boot_id, host_name
from gnomon.system.peers import Peers

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
    dead = Peers(desk.engine.node_id, host_name(), boot_id()).dead(known)
    return tuple(node for node in known if node.node_id not in dead and node.lease_until > now)


@anywhere
def list_nodes(desk: Desk) -> list[JsonObject]:
    """Living scheduler processes as objects; `leader` is true for the one that plans."""
    leader = desk.store.read(lambda reader: reader.leader())
    return [
        {**node_view(node), "leader": leader is not None and leader.node_id == node.node_id}
        for node in living_nodes(desk)
    ]
