"""Whether the scheduler does its work, asked of the database alone."""

from __future__ import annotations

from datetime import timedelta

from gnomon.core.health import OVERDUE_S, STALLED_S, Facts, Health, judge
from gnomon.core.ports import Reader
from gnomon.system.host import boot_id, host_name
from gnomon.system.peers import Peers

from .context import Desk

_COUNTED = 1000
"""More overdue schedules than this are not counted."""


def health(
    desk: Desk, *, overdue_s: float = OVERDUE_S, stalled_s: float = STALLED_S, quiet_s: float | None = None
) -> Health:
    """The verdict now. A few indexed look-ups: cheap enough for every scrape.

    Args:
        overdue_s: how long a schedule may be undecided.
        quiet_s: inside a scheduler process, how long ago its loop last turned (`Loop.quiet_s`).

    Raises:
        Unavailable: the database cannot be read.
    """
    return judge(desk.store.read(lambda reader: _facts(desk, reader, overdue_s, quiet_s)), stalled_s=stalled_s)


def _facts(desk: Desk, reader: Reader, overdue_s: float, quiet_s: float | None) -> Facts:
    now = desk.clock.now()
    nodes = [node for node in reader.nodes() if node.stopped_at is None]
    late = reader.due_schedules(now - timedelta(seconds=overdue_s), _COUNTED)
    return Facts(
        now,
        nodes,
        dead=Peers(desk.engine.node_id, host_name(), boot_id()).dead(nodes),
        leader=reader.leader(),
        overdue=len(late),
        overdue_since=late[0].due_at if late else None,
        overdue_schedule=late[0].schedule_id if late else None,
        quiet_s=quiet_s,
    )
