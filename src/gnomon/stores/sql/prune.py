"""Removal of what is old, in small steps: each call reads and removes a bounded number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, func, select, tuple_

from gnomon.core.records import Pruned
from gnomon.core.states import FINAL, State
from gnomon.core.values import to_micros

from .needed import Candidate, NeededReads
from .schema import (
    LIVE_ATTEMPT,
    among,
    attempts,
    changes,
    deliveries,
    incidents,
    job_definitions,
    jobs,
    nodes,
    runs,
    settings,
    skips,
)
from .session import Row, Statement, given, listed, upsert, within
from .tallies import TallyWrites

JOBS_PER_CALL = 256
_PAGE, _MOST_PAGES = 500, 20
_NEVER = 1 << 62  # later than any instant
_SWEEP_NAME = "store.prune_after"
_FINAL_RUN = among(runs.c.state, FINAL)
_NO_ITEM = runs.c.parent_id.is_(None)
_ITEMS_OF = Statement(
    select(runs.c.id, runs.c.parent_id, runs.c.state)
    .where(within(runs.c.parent_id, "ids"))
    .order_by(runs.c.parent_id, runs.c.state)
    .limit(given("limit"))
)

_KEY = tuple_(runs.c.due_at, runs.c.id)
_CANDIDATE = select(runs.c.due_at, runs.c.id, runs.c.job_id, runs.c.flow_id).where(
    _FINAL_RUN, _NO_ITEM, tuple_(given("after_at"), given("after_id")) < _KEY
)
_OLD = Statement(
    _CANDIDATE.where(runs.c.due_at < given("before")).order_by(runs.c.due_at, runs.c.id).limit(given("limit"))
)
_SWEPT = Statement(select(settings.c.value).where(settings.c.name == given("name")))
_SWEEP = Statement(
    select(jobs.c.job_id).where(jobs.c.job_id > given("after")).order_by(jobs.c.job_id).limit(given("limit"))
)
_NEWEST = (runs.c.due_at.desc(), runs.c.id.desc())
_OLDEST_KEPT = Statement(
    select(runs.c.due_at, runs.c.id)
    .where(runs.c.job_id == given("job_id"), _NO_ITEM, runs.c.due_at <= given("now"))
    .order_by(*_NEWEST)
    .limit(1)
    .offset(given("newer"))
)
_BEYOND = Statement(
    _CANDIDATE.where(runs.c.job_id == given("job_id"), tuple_(given("due_at"), given("id")) > _KEY)
    .order_by(runs.c.due_at, runs.c.id)
    .limit(given("limit"))
)
_ATTEMPTS = Statement(
    select(attempts.c.run_id, attempts.c.number)
    .where(within(attempts.c.run_id, "ids"))
    .order_by(attempts.c.run_id, attempts.c.number)
)
_lower = job_definitions.alias("lower")
# The lowest version of each: a look at it finds a run that refers to it at once, if there is one.
_STALE = Statement(
    select(job_definitions.c.job_id, job_definitions.c.version)
    .join_from(job_definitions, jobs, jobs.c.job_id == job_definitions.c.job_id)
    .where(
        within(job_definitions.c.job_id, "job_ids"),
        job_definitions.c.version != jobs.c.version,
        ~exists(
            select(_lower.c.version).where(
                _lower.c.job_id == job_definitions.c.job_id, _lower.c.version < job_definitions.c.version
            )
        ),
        ~exists(
            select(runs.c.id).where(
                and_(runs.c.job_id == job_definitions.c.job_id, runs.c.version == job_definitions.c.version)
            )
        ),
    )
)
_DROP_RUNS = Statement(delete(runs).where(within(runs.c.id, "ids")))
_DROP_ATTEMPTS = Statement(delete(attempts).where(within(attempts.c.run_id, "ids")))
_DROP_DEFINITION = Statement(
    delete(job_definitions).where(
        job_definitions.c.job_id == given("job_id"), job_definitions.c.version == given("version")
    )
)
_OLD_SKIPS = select(skips.c.id).where(skips.c.last_at < given("before")).order_by(skips.c.last_at).limit(given("limit"))
_DROP_SKIPS = Statement(delete(skips).where(skips.c.id.in_(_OLD_SKIPS.scalar_subquery())))
_DONE = select(deliveries.c.id).where(deliveries.c.created_at < given("before"), deliveries.c.next_at.is_(None))
_DROP_DELIVERIES = Statement(
    delete(deliveries).where(deliveries.c.id.in_(_DONE.order_by(deliveries.c.created_at).limit(given("limit"))))
)
_PAST = select(incidents.c.id).where(incidents.c.opened_at < given("before"), incidents.c.last_at < given("before"))
_DROP_INCIDENTS = Statement(
    delete(incidents).where(incidents.c.id.in_(_PAST.order_by(incidents.c.opened_at).limit(given("limit"))))
)
_LAST = select(func.max(changes.c.seq)).scalar_subquery()
_FIRST_CHANGES = select(changes.c.seq).order_by(changes.c.seq).limit(given("limit")).scalar_subquery()
# The newest entry stays: the numbers of the feed must never begin anew.
_DROP_CHANGES = Statement(
    delete(changes).where(changes.c.seq.in_(_FIRST_CHANGES), changes.c.at < given("before"), changes.c.seq < _LAST)
)
_DROP_NODES = Statement(
    delete(nodes).where(
        nodes.c.stopped_at < given("before"),
        ~exists(select(attempts.c.run_id).where(LIVE_ATTEMPT, attempts.c.node_id == nodes.c.node_id)),
    )
)
_PUT_SETTING = upsert(settings)


class PruneWrites(NeededReads, TallyWrites):
    """Removal of what is old."""

    def prune(
        self, *, now: datetime, runs_before: datetime, runs_per_job: int, changes_before: datetime, limit: int
    ) -> Pruned:
        before = to_micros(runs_before)
        doomed = dict.fromkeys(self._unneeded(_OLD, limit, before=before))
        swept = self._sweep(doomed, to_micros(now), runs_per_job, limit)
        gone = self._with_items(list(doomed), limit) if doomed else []
        removed: list[Row] = []
        if gone:
            ids = listed(gone)
            removed = self.fetch(_ATTEMPTS, ids=ids)
            self.untally(gone)
            self.change(_DROP_ATTEMPTS, ids=ids)
            self.change(_DROP_RUNS, ids=ids)
            self.touch("runs", gone)
        while swept:
            stale = self.fetch(_STALE, job_ids=listed(swept))
            self.change_many(_DROP_DEFINITION, stale)
            swept = [job_id for job_id, _ in stale]
        others = [
            self.change(_DROP_SKIPS, before=before, limit=limit),
            self.change(_DROP_DELIVERIES, before=before, limit=limit),
            self.change(_DROP_INCIDENTS, before=before, limit=limit),
        ]
        self.change(_DROP_NODES, before=to_micros(changes_before))
        entries = max(limit, 1000)
        left = self.change(_DROP_CHANGES, before=to_micros(changes_before), limit=entries) >= entries
        more = left or max(others) >= limit or (bool(gone) and max(len(gone), len(doomed)) >= limit)
        return Pruned(tuple((run_id, number) for run_id, number in removed), more)

    def _unneeded(self, statement: Statement, room: int, **values: Any) -> Iterator[str]:
        """At most `room` runs of these that nobody needs, oldest first; those that are needed are passed over."""
        after, size = (-_NEVER, ""), room
        for _ in range(_MOST_PAGES):
            rows = self.fetch(statement, after_at=after[0], after_id=after[1], limit=size, **values)
            found = self.unneeded([Candidate(*row) for row in rows])[:room]
            yield from (one.id for one in found)
            room -= len(found)
            if room <= 0 or len(rows) < size:
                return
            after, size = (rows[-1][0], rows[-1][1]), _PAGE

    def _with_items(self, doomed: list[str], limit: int) -> list[str]:
        """Items go before the run they belong to, not more than `limit` at once; one that still runs keeps it."""
        items = self.fetch(_ITEMS_OF, ids=listed(doomed), limit=limit)
        if not items:
            return doomed
        busy = {parent for _, parent, state in items if State(state) not in FINAL}
        gone = [row[0] for row in items if row[1] not in busy]
        if len(items) == limit:
            return gone
        return gone + [run_id for run_id in doomed if run_id not in busy]

    def _sweep(self, doomed: dict[str, None], now: int, keep: int, limit: int) -> list[str]:
        """Add runs beyond the newest `keep` of the next jobs in line; the ids of the jobs looked at."""
        row = self.first(_SWEPT, name=_SWEEP_NAME)
        after = "" if row is None else str(row[0])
        line = [found[0] for found in self.fetch(_SWEEP, after=after, limit=JOBS_PER_CALL)]
        position = after
        for job_id in line:
            if len(doomed) >= limit:
                break
            oldest = self.first(_OLDEST_KEPT, job_id=job_id, now=now, newer=keep - 1) if keep else (_NEVER, "")
            if oldest is not None:
                for run_id in self._unneeded(_BEYOND, limit, job_id=job_id, due_at=oldest[0], id=oldest[1]):
                    if len(doomed) >= limit:
                        break
                    doomed[run_id] = None
            if len(doomed) < limit:
                position = job_id
        if len(line) < JOBS_PER_CALL and line and position == line[-1]:
            position = ""
        if position != after:
            self.change_many(_PUT_SETTING, [(_SWEEP_NAME, position)])
        return line
