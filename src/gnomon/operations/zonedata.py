"""New time zone data: next fires are worked out anew, what is decided stays decided."""

from __future__ import annotations

import logging

from gnomon.core.ports import Transaction
from gnomon.core.records import ScheduleFilter

from .context import Desk
from .definitions import restarted
from .lookup import find_job

logger = logging.getLogger("gnomon")
SETTING = "tzdata.version"
_PAGE = 1000


def note_zone_data(desk: Desk, version: str) -> int:
    """Remember the version of the zone data in use; if it is another than before, move cursors that lie ahead.

    A cursor in the past stays: it is a fire that was due under the old rules and is decided as such, never twice.
    Returns how many entries have another next fire now.
    """

    def work(tx: Transaction) -> int:
        known = tx.setting(SETTING)
        if known == version:
            return 0
        tx.put_setting(SETTING, version)
        return 0 if known is None else _replan(desk, tx)

    moved = desk.store.write(work)
    if moved:
        logger.warning("the time zone data is now %s: %d schedules have another next fire", version, moved)
    return moved


def _replan(desk: Desk, tx: Transaction) -> int:
    now = desk.clock.now()
    moved = 0
    cursor: str | None = None
    while True:
        page = tx.schedules(ScheduleFilter(), limit=_PAGE, cursor=cursor)
        for entry in page.items:
            if entry.cursor is None or entry.cursor <= now or entry.spec.kind == "at":
                continue
            changed = restarted(desk.planner, find_job(tx, entry.job_id), entry, now)
            if changed.cursor != entry.cursor:
                tx.put_schedules([changed])
                moved += 1
        cursor = page.next
        if cursor is None:
            return moved
