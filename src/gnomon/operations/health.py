"""Whether the scheduler does its work, asked of the database and of what its processes tell beside their locks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from gnomon.core.health import OVERDUE_S, STALLED_S, Check, Facts, Health, Level, check_of, judge
from gnomon.core.planning import stands_still
from gnomon.core.ports import Reader
from gnomon.core.records import NodeRecord, ScheduleRecord
from gnomon.engine.planner import UNREADABLE
from gnomon.system.filelock import MOST_TOLD, told
from gnomon.system.host import boot_id, host_name

from .context import Desk
from .nodes import gone, working_elsewhere

_NO_MATTER = frozenset({"log", "clock", "clock_schedules", "job_files", "vitals"})
"""Findings that keep no run from going on."""
_NAMED = 3
_COUNTED = 1000
"""More overdue schedules than this are not counted."""


def overdue(
    reader: Reader, now: datetime, overdue_s: float = OVERDUE_S
) -> tuple[Sequence[ScheduleRecord], Sequence[ScheduleRecord]]:
    """Entries whose fire should have been decided `overdue_s` ago, the longest waiting first; and those that stand
    still, since their rules cannot be evaluated: their fires wait too, if they have come."""
    before = now - timedelta(seconds=overdue_s)
    found = reader.undecided_schedules(before, now + UNREADABLE, _COUNTED)
    standing = [entry for entry in found if stands_still(entry)]
    waiting = {entry.schedule_id for entry in standing if entry.cursor is not None and entry.cursor <= before}
    late = [e for e in found if e.schedule_id in waiting or (e.due_at is not None and e.due_at <= before)]
    return sorted(late, key=lambda entry: entry.cursor or now), standing


class Itself(Protocol):
    """A scheduler process that knows how it is."""

    @property
    def node_id(self) -> str:
        """Which it is."""

    def checks(self) -> Sequence[Check]:
        """What is wrong with it now."""


def health(desk: Desk, *, overdue_s: float = OVERDUE_S, own: Itself | None = None) -> Health:
    """The verdict now. A few indexed look-ups: cheap enough for every scrape.

    Args:
        overdue_s: how long a schedule may be undecided.
        own: the scheduler process that asks, if it is one.

    Raises:
        Unavailable: the database cannot be read.
    """
    return judge(desk.store.read(lambda reader: _facts(desk, reader, overdue_s, own)))


def note(checks: Sequence[Check], monotonic: float) -> bytes:
    """What a process writes beside its lock, for `gnomon health` of others. As many of the checks as there is room."""
    while True:
        text = json.dumps({"at": monotonic, "checks": [check.view() for check in checks]}, ensure_ascii=False)
        whole = text.encode("utf-8", "replace")
        if len(whole) < MOST_TOLD or not checks:
            return whole
        checks = checks[:-1]


def _told(desk: Desk, node: NodeRecord, own: Itself | None) -> Sequence[Check]:
    """What a node of this machine says is wrong with it. One that has told nothing for long stands still."""
    if own is not None and node.node_id == own.node_id:
        return own.checks()
    if node.lock_path is None or (node.host, node.boot_id) != (host_name(), boot_id()):
        return ()
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        said = json.loads(told(node.lock_path))
        # one clock for all processes of a boot (compared above); it stands still while the machine sleeps
        quiet_s = desk.clock.monotonic() - float(said["at"])
        checks = [check_of(view) for view in said["checks"]]
        if quiet_s > STALLED_S:
            checks.append(Check("steps", Level.FAILING, f"process {node.pid} has stood still for {quiet_s:.0f} s"))
        return checks
    return ()


def troubles(desk: Desk, reader: Reader) -> Sequence[Check]:
    """What keeps runs from going on, as the schedulers that live tell it."""
    nodes = [node for node in reader.nodes() if node.stopped_at is None]
    dead = gone(desk, nodes)
    said = [check for node in nodes if node.node_id not in dead for check in _told(desk, node, None)]
    return [check for check in said if check.name not in _NO_MATTER]


def _full_since(reader: Reader, nodes: Sequence[NodeRecord]) -> datetime | None:
    """When an attempt was claimed last, if there is no slot left on any node."""
    if not nodes or any(reader.live_count(node.node_id) < node.concurrency for node in nodes):
        return None
    claims = [attempt.claimed_at for node in nodes for attempt in reader.live_attempts(node.node_id)]
    return max(claims, default=None)


def _facts(desk: Desk, reader: Reader, overdue_s: float, own: Itself | None) -> Facts:
    now = desk.clock.now()
    nodes = [node for node in reader.nodes() if node.stopped_at is None]
    dead = gone(desk, nodes)
    late, standing = overdue(reader, now, overdue_s)
    full_since = _full_since(reader, [node for node in nodes if node.node_id not in dead and node.lease_until > now])
    waiting = {} if full_since is None else reader.queued_jobs()
    database = None if desk.directory is None or desk.directory.suffix != ".d" else desk.directory.with_suffix("")
    return Facts(
        now,
        nodes,
        dead=dead,
        leader=reader.leader(),
        overdue=len(late),
        overdue_since=late[0].cursor if late else None,
        overdue_schedule=late[0].schedule_id if late else None,
        full_since=full_since,
        queued=sum(count for count, _ in waiting.values()),
        queued_since=min((since for _, since in waiting.values()), default=None),
        standing=len(standing),
        faults={entry.schedule_id: desk.engine.rules.fault(entry) for entry in standing[:_NAMED]},
        told={node.node_id: _told(desk, node, own) for node in nodes if node.node_id not in dead},
        elsewhere=() if database is None else working_elsewhere(database),
        own=None if own is None else own.node_id,
    )
