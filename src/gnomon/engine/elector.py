"""Keeps this node alive in the store, and decides which node plans."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gnomon.core.ports import Transaction
from gnomon.core.records import LeaderRecord, NodeRecord
from gnomon.core.timekeeping import Timekeeper, look_again

from .acts import Acts, Line
from .context import Context


@dataclass(slots=True)
class Elector:
    """Renews this node's lease; takes the lead when nobody holds it.

    `node` is this node as it registers itself; `leading` whether it led in the last step.
    """

    context: Context
    node: NodeRecord
    time: Timekeeper
    leading: bool = False

    def step(self, tx: Transaction, now: datetime, dead: Collection[str], acts: Acts) -> bool:
        """Whether this node plans in this transaction.

        Args:
            dead: nodes of this machine whose lock file is free: they cannot come back under that id.
        """
        lease = timedelta(seconds=self.context.settings.lease_s)
        if self.node.lease_until - now < lease * 2 / 3 or self.node.lease_until > now + lease:
            self.node = replace(self.node, lease_until=now + lease)
            tx.put_node(self.node)
        acts.wake(self.node.lease_until - lease * 2 / 3)
        leader = tx.leader()
        held = leader is not None and leader.node_id not in dead and self._holds(tx, leader, now)
        if leader is not None and leader.node_id == self.node.node_id:
            if leader.lease_until - now < lease * 2 / 3 or leader.lease_until > now + lease:
                tx.put_leader(replace(leader, lease_until=now + lease))
            self._became(True, acts)
        elif not held:
            tx.put_leader(LeaderRecord(self.node.node_id, 1 if leader is None else leader.epoch + 1, now + lease))
            self._became(True, acts)
        else:
            assert leader is not None
            acts.wake(look_again(leader.lease_until, now, lease.total_seconds()))
            self._became(False, acts)
        return self.leading

    def doubt(self) -> None:
        """A transaction failed: what was written in it may not be there; write it again next time."""
        self.node = replace(self.node, lease_until=self.node.started_at)
        self.leading = False

    def leave(self, tx: Transaction, now: datetime) -> None:
        """Say that this node stops: another may lead and take over its work at once.

        With work left running it only lets its lease go: it is stopped when a successor, however late, has that work.
        """
        left = tx.live_count(self.node.node_id) > 0
        tx.put_node(replace(self.node, stopped_at=None if left else now, lease_until=now))
        leader = tx.leader()
        if leader is not None and leader.node_id == self.node.node_id:
            tx.put_leader(replace(leader, lease_until=now))
        self.leading = False

    def _holds(self, tx: Transaction, leader: LeaderRecord, now: datetime) -> bool:
        """Whether the one that planned last still does. A node that has stopped holds no lead, whatever it wrote."""
        owner = next((node for node in tx.nodes() if node.node_id == leader.node_id), None)
        if owner is None or owner.stopped_at is not None:
            return False
        return not self.time.silent("leader", leader.lease_until, now, self.context.settings.lease_s)

    def _became(self, leading: bool, acts: Acts) -> None:
        if leading and not self.leading:
            acts.log.append(Line(logging.INFO, "this node plans now"))
        self.leading = leading
