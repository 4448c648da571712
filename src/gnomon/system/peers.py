"""Which scheduler processes of this machine still live."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field

from gnomon.core.records import NodeRecord

from .filelock import is_held


@dataclass(slots=True)
class Peers:
    """Judges nodes by the lock files they hold while they live: the kernel frees them however a process dies."""

    node_id: str
    host: str
    boot: str
    _alive: tuple[NodeRecord, ...] = field(default=())

    def dead(self, nodes: Collection[NodeRecord]) -> list[str]:
        """Those of `nodes` that certainly run no more: of this machine, of an earlier boot or their lock is free."""
        local = [n for n in nodes if n.stopped_at is None and n.host == self.host and n.node_id != self.node_id]
        gone = [n.node_id for n in local if not self._lives(n)]
        self._alive = tuple(n for n in local if n.node_id not in gone)
        return gone

    def changed(self) -> bool:
        """Whether a peer that lived at the last look is gone. Costs microseconds per peer."""
        return any(not self._lives(node) for node in self._alive)

    def _lives(self, node: NodeRecord) -> bool:
        if node.boot_id != self.boot:
            return False
        if node.lock_path is None or is_held(node.lock_path):
            return True
        return not os.path.lexists(node.lock_path)  # somebody has emptied the directory: its lease tells
