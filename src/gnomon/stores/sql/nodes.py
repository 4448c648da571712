"""Nodes and who of them plans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import or_, select

from gnomon.core.records import LeaderRecord, NodeRecord
from gnomon.core.values import from_micros, to_micros

from .schema import leader, nodes
from .session import Row, Session, Statement, WriteSession, given, upsert
from .values import instant, micros

_NODES = Statement(
    select(*nodes.columns)
    .where(or_(nodes.c.stopped_at.is_(None), nodes.c.stopped_at >= given("since")))
    .order_by(nodes.c.node_id)
)
_LEADER = Statement(select(leader.c.node_id, leader.c.epoch, leader.c.lease_until))


def _from_row(row: Row) -> NodeRecord:
    node_id, host, pid, boot_id, lock_path, started, lease, concurrency, version, stopped = row
    return NodeRecord(
        node_id,
        host,
        pid,
        boot_id,
        lock_path,
        from_micros(started),
        from_micros(lease),
        concurrency,
        version,
        instant(stopped),
    )


class NodeReads(Session):
    """Questions about nodes."""

    def nodes(self) -> Sequence[NodeRecord]:
        rows = self.fetch(_NODES, since=to_micros(self.clock.now() - timedelta(days=1)))
        return [_from_row(row) for row in rows]

    def leader(self) -> LeaderRecord | None:
        row = self.first(_LEADER)
        return None if row is None else LeaderRecord(row[0], row[1], from_micros(row[2]))


_PUT_NODE = upsert(nodes)
_PUT_LEADER = upsert(leader)


class NodeWrites(WriteSession):
    """Changes to nodes."""

    def put_node(self, record: NodeRecord) -> None:
        row = (
            record.node_id,
            record.host,
            record.pid,
            record.boot_id,
            record.lock_path,
            to_micros(record.started_at),
            to_micros(record.lease_until),
            record.concurrency,
            record.version,
            micros(record.stopped_at),
        )
        self.change_many(_PUT_NODE, [row])
        self.touch("nodes", (record.node_id,))

    def put_leader(self, record: LeaderRecord) -> None:
        self.change_many(_PUT_LEADER, [(1, record.node_id, record.epoch, to_micros(record.lease_until))])
