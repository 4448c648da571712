"""Which finished runs somebody still needs: those that a run which is not over refers to, or may come to refer to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import exists, or_, select

from gnomon.core.states import ACTIVE

from .schema import ACTIVE_RUN, JOINED_RUN, among, dependencies, runs
from .session import Session, Statement, given, indexed_by, listed, within

LOOKED_AT = 100
"""Among so many newest runs of an upstream, up to its own time, a run looks for the one that counts for it."""
_MOST_WAITING = 10_000
_item = runs.alias("item")
_UNFINISHED = or_(
    ACTIVE_RUN, exists(select(_item.c.id).where(_item.c.parent_id == runs.c.id, among(_item.c.state, ACTIVE)))
)
_STANDING = (
    Statement(select(runs.c.id).where(within(runs.c.id, "flow_ids"), _UNFINISHED)),
    Statement(select(runs.c.flow_id).where(JOINED_RUN, within(runs.c.flow_id, "flow_ids"), _UNFINISHED)),
)
_KNOWN = Statement(select(runs.c.id).where(within(runs.c.id, "ids")))
_WAITING_BELOW = Statement(
    select(runs.c.due_at)
    .where(
        ACTIVE_RUN,
        runs.c.job_id.in_(select(dependencies.c.job_id).where(dependencies.c.upstream == given("job_id"))),
    )
    .order_by(runs.c.due_at)
    .limit(given("limit"))
)
_OLDEST_LOOKED_AT = Statement(
    select(runs.c.due_at)
    .with_hint(runs, *indexed_by("ix_runs_job"))
    .where(runs.c.job_id == given("job_id"), runs.c.parent_id.is_(None), runs.c.due_at <= given("due_at"))
    .order_by(runs.c.due_at.desc(), runs.c.id.desc())
    .limit(1)
    .offset(given("newer"))
)


class Candidate(NamedTuple):
    """A finished run that may go if nobody needs it. `due_at`: microseconds."""

    due_at: int
    id: str
    job_id: str
    flow_id: str


class NeededReads(Session):
    """What runs that are not over hold on to."""

    def known_runs(self, run_ids: Collection[str]) -> set[str]:
        """Those of these ids that there are runs of."""
        return {row[0] for row in self.fetch(_KNOWN, ids=listed(run_ids))}

    def standing_flows(self, flow_ids: Collection[str]) -> set[str]:
        """Those of these flows in which something is not over: a run, or an item of one."""
        asked = listed(sorted(flow_ids))
        return {row[0] for statement in _STANDING for row in self.fetch(statement, flow_ids=asked)}

    def unneeded(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those of these runs that no run refers to which is not over: of its flow, or an upstream in another."""
        standing = self.standing_flows({one.flow_id for one in candidates}) if candidates else set()
        rest = sorted((one for one in candidates if one.flow_id not in standing), key=attrgetter("job_id", "due_at"))
        free = {one.id for job_id, some in groupby(rest, attrgetter("job_id")) for one in self._outside(job_id, some)}
        return [one for one in candidates if one.id in free]

    def _outside(self, job_id: str, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Those among which no run of a job below `job_id` would look for its upstream.

        The nearest of those that wait, due at or after the candidate, decides: for the others it is one of older ones.
        """
        waiting = [row[0] for row in self.fetch(_WAITING_BELOW, job_id=job_id, limit=_MOST_WAITING)]
        begins: dict[int, int] = {}
        for one in candidates:
            at = bisect_left(waiting, one.due_at)
            if at == len(waiting):
                yield one
                continue
            due = waiting[at]
            if due not in begins:
                row = self.first(_OLDEST_LOOKED_AT, job_id=job_id, due_at=due, newer=LOOKED_AT - 1)
                begins[due] = -1 if row is None else row[0]
            if one.due_at < begins[due]:
                yield one
