"""Runs: what is due, queued, running, over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any

from sqlalchemy import delete, func, select, tuple_, union_all, update

from gnomon.core.fanout import PARENTS
from gnomon.core.records import Activity, RunRecord
from gnomon.core.states import FINAL, State
from gnomon.core.values import to_micros

from .run_rows import CHANGING, RUN, active_of_job, run_from_row, run_to_row, run_to_update
from .schema import (
    ACTIVE_RUN,
    ARRIVING_RUN,
    ASIDE_RUN,
    CANCELLING_RUN,
    EXPIRING_RUN,
    ITEM_RUN,
    JOINED_RUN,
    POOLED_RUN,
    QUEUED_RUN,
    attempts,
    constant,
    runs,
)
from .session import Session, Statement, given, insert, listed, must, within
from .tallies import TallyWrites
from .values import instant, micros, value

_BY_ID = Statement(RUN.where(runs.c.id == given("id")))
_BY_IDS = Statement(RUN.where(within(runs.c.id, "ids")))
_BY_KEY = Statement(RUN.where(runs.c.run_key == given("run_key")))
_BY_PREFIX = Statement(
    select(runs.c.id).where(runs.c.id >= given("prefix"), runs.c.id < given("end")).order_by(runs.c.id).limit(2)
)
_ACTIVE_OF = Statement(RUN.where(active_of_job()).order_by(runs.c.due_at, runs.c.id))
_ACTIVITY = Statement(
    select(runs.c.job_id, runs.c.state, func.count())
    .where(ACTIVE_RUN, within(runs.c.job_id, "job_ids"))
    .group_by(runs.c.job_id, runs.c.state)
)
_ACTIVE_COUNTS = Statement(select(runs.c.state, func.count()).where(ACTIVE_RUN).group_by(runs.c.state))
_ASIDE = Statement(
    select(
        runs.c.job_id,
        runs.c.state,
        runs.c.cause == constant("backfill"),
        runs.c.queue == constant(PARENTS),
        ITEM_RUN,
        func.count(),
    )
    .where(ASIDE_RUN, within(runs.c.job_id, "job_ids"))
    .group_by(
        runs.c.job_id, runs.c.state, runs.c.cause == constant("backfill"), runs.c.queue == constant(PARENTS), ITEM_RUN
    )
)
_ITEMS = Statement(RUN.where(runs.c.parent_id == given("parent_id")).order_by(runs.c.id))
_ITEM_COUNTS = Statement(
    select(runs.c.parent_id, runs.c.state, func.count())
    .where(within(runs.c.parent_id, "parent_ids"))
    .group_by(runs.c.parent_id, runs.c.state)
)
_FLOW = Statement(
    union_all(
        RUN.where(JOINED_RUN, runs.c.flow_id == given("flow_id")),
        RUN.where(runs.c.id == given("flow_id"), runs.c.flow_id == runs.c.id),
    )
)
_WAITING_FLOWS = Statement(
    select(runs.c.flow_id)
    .distinct()
    .where(JOINED_RUN, within(runs.c.flow_id, "flow_ids"), runs.c.state == constant(State.WAITING.value))
)
_QUEUED = Statement(
    RUN.where(QUEUED_RUN, runs.c.queue == given("queue"))
    .order_by(runs.c.rank, runs.c.due_at, runs.c.id)
    .limit(given("limit"))
)
_QUEUED_AFTER = Statement(
    RUN.where(
        QUEUED_RUN,
        runs.c.queue == given("queue"),
        tuple_(runs.c.rank, runs.c.due_at, runs.c.id) > tuple_(given("rank"), given("due_at"), given("id")),
    )
    .order_by(runs.c.rank, runs.c.due_at, runs.c.id)
    .limit(given("limit"))
)
_ARRIVING = Statement(
    RUN.where(ARRIVING_RUN, runs.c.available_at <= given("now")).order_by(runs.c.available_at).limit(given("limit"))
)
_NEXT_AVAILABLE = Statement(select(func.min(runs.c.available_at)).where(ARRIVING_RUN))
_EXPIRING = Statement(
    RUN.where(EXPIRING_RUN, runs.c.deadline_at <= given("now")).order_by(runs.c.deadline_at).limit(given("limit"))
)
_NEXT_DEADLINE = Statement(select(func.min(runs.c.deadline_at)).where(EXPIRING_RUN))
_CANCELLING = Statement(RUN.where(CANCELLING_RUN).order_by(runs.c.cancel_requested_at).limit(given("limit")))
_POOLED = Statement(select(runs.c.pools).where(POOLED_RUN))


def _aside(state: str, backfill: bool, parent: bool, item: bool) -> list[str]:
    """The counters of `Activity` that such a run is in, beside that of its state."""
    if state == State.SCHEDULED.value:
        return []
    pending = state in (State.WAITING.value, State.QUEUED.value)
    names = ["parents"] if parent and not item and state == State.RUNNING.value else []
    if item or backfill:
        names.append(("items" if item else "backfill") + ("_pending" if pending else "_started"))
    return names


def _queue_order(run: RunRecord) -> tuple[int, datetime, str]:
    return (-run.priority, run.due_at, run.id)


class RunReads(Session):
    """Questions about runs, except the filtered list (`run_lists`)."""

    def run(self, run_id: str) -> RunRecord | None:
        row = self.first(_BY_ID, id=run_id)
        return None if row is None else run_from_row(row)

    def _runs(self, statement: Statement, **values: Any) -> list[RunRecord]:
        return [run_from_row(row) for row in self.fetch(statement, **values)]

    def run_by_key(self, run_key: str) -> RunRecord | None:
        row = self.first(_BY_KEY, run_key=run_key)
        return None if row is None else run_from_row(row)

    def run_by_prefix(self, prefix: str) -> Sequence[str]:
        return [row[0] for row in self.fetch(_BY_PREFIX, prefix=prefix, end=prefix + "\U0010ffff")]

    def runs_by_id(self, run_ids: Collection[str]) -> Mapping[str, RunRecord]:
        return {run.id: run for run in self._runs(_BY_IDS, ids=listed(run_ids))} if run_ids else {}

    def active_runs(self, job_id: str) -> Sequence[RunRecord]:
        return self._runs(_ACTIVE_OF, job_id=job_id)

    def activity(self, job_ids: Collection[str]) -> Mapping[str, Activity]:
        counts: dict[str, dict[str, int]] = {}
        if job_ids:
            for job_id, state, count in self.fetch(_ACTIVITY, job_ids=listed(job_ids)):
                counts.setdefault(job_id, {})[state] = count
        if counts:
            for job_id, state, backfill, parent, item, count in self.fetch(_ASIDE, job_ids=listed(list(counts))):
                for name in _aside(state, bool(backfill), bool(parent), bool(item)):
                    counts[job_id][name] = counts[job_id].get(name, 0) + count
        return {job_id: Activity(**by_state) for job_id, by_state in counts.items()}

    def active_counts(self) -> Mapping[State, int]:
        return {State(state): count for state, count in self.fetch(_ACTIVE_COUNTS)}

    def items(self, parent_id: str) -> Sequence[RunRecord]:
        return self._runs(_ITEMS, parent_id=parent_id)

    def item_counts(self, parent_ids: Collection[str]) -> Mapping[str, Mapping[State, int]]:
        found: dict[str, dict[State, int]] = {}
        if parent_ids:
            for parent_id, state, count in self.fetch(_ITEM_COUNTS, parent_ids=listed(parent_ids)):
                found.setdefault(parent_id, {})[State(state)] = count
        return found

    def waiting_flows(self, flow_ids: Collection[str]) -> Collection[str]:
        return {row[0] for row in self.fetch(_WAITING_FLOWS, flow_ids=listed(flow_ids))} if flow_ids else set()

    def flow(self, flow_id: str) -> Sequence[RunRecord]:
        return sorted(self._runs(_FLOW, flow_id=flow_id), key=lambda run: (run.due_at, run.id))

    def queued(self, queues: Collection[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        statement, values = _QUEUED, {}
        if after is not None:
            statement = _QUEUED_AFTER
            values = {"rank": -after.priority, "due_at": to_micros(after.due_at), "id": after.id}
        lines = [self._runs(statement, queue=queue, limit=limit, **values) for queue in set(queues)]
        return lines[0] if len(lines) == 1 else list(merge(*lines, key=_queue_order))[:limit]

    def arriving(self, now: datetime, limit: int) -> Sequence[RunRecord]:
        return self._runs(_ARRIVING, now=micros(now), limit=limit)

    def next_available_at(self) -> datetime | None:
        row = self.first(_NEXT_AVAILABLE)
        return None if row is None else instant(row[0])

    def expiring(self, now: datetime, limit: int) -> Sequence[RunRecord]:
        return self._runs(_EXPIRING, now=micros(now), limit=limit)

    def next_deadline_at(self) -> datetime | None:
        row = self.first(_NEXT_DEADLINE)
        return None if row is None else instant(row[0])

    def cancelling(self, limit: int) -> Sequence[RunRecord]:
        return self._runs(_CANCELLING, limit=limit)

    def pool_use(self, pools: Collection[str]) -> Mapping[str, int]:
        wanted, used = set(pools), Counter[str]()
        for (kept,) in self.fetch(_POOLED) if wanted else ():
            used.update({pool: slots for pool, slots in value(kept).items() if pool in wanted})
        return dict(used)


_STATES = Statement(select(runs.c.id, runs.c.state).where(within(runs.c.id, "ids")))
_KEYS = Statement(select(runs.c.run_key).where(within(runs.c.run_key, "run_keys")))
_INSERT = insert(runs)
_UPDATE = Statement(
    update(runs).values({name: given(f"v_{name}") for name in CHANGING}).where(runs.c.id == given("k_id"))
)
_RELEASE = Statement(
    update(runs)
    .values(run_key=runs.c.run_key.concat("|").concat(runs.c.id))
    .where(
        runs.c.job_id == given("job_id"),
        runs.c.due_at > given("after"),
        runs.c.schedule_id == given("schedule_id"),
        runs.c.fire_at > given("after"),
    )
)
_DELETE = Statement(delete(runs).where(within(runs.c.id, "ids")))
_ITEM_IDS = Statement(select(runs.c.id).where(within(runs.c.parent_id, "ids")))
_DELETE_ATTEMPTS = Statement(delete(attempts).where(within(attempts.c.run_id, "ids")))


class RunWrites(TallyWrites):
    """Changes to runs."""

    def insert_runs(self, records: Sequence[RunRecord]) -> Collection[str]:
        if not records:
            return ()
        taken = {row[0] for row in self.fetch(_KEYS, run_keys=listed([run.run_key for run in records]))}
        rows, refused = [], []
        for run in records:
            if run.run_key in taken:
                refused.append(run.id)
            else:
                taken.add(run.run_key)
                rows.append(run_to_row(run))
        must(self.change_many(_INSERT, rows), len(rows), "insert_runs")
        over = [run for run in records if run.state in FINAL]
        if over:
            left_out = set(refused)
            self.tally([run for run in over if run.id not in left_out])
        self.touch("runs", [str(row[0]) for row in rows])
        return refused

    def update_runs(self, changes: Sequence[tuple[RunRecord, State]]) -> Collection[str]:
        if not changes:
            return ()
        stored: dict[str, str] = {r[0]: r[1] for r in self.fetch(_STATES, ids=listed([run.id for run, _ in changes]))}
        rows, done, refused, over = [], [], [], []
        for run, expected in changes:
            if stored.get(run.id) != expected.value:
                refused.append(run.id)
                continue
            stored[run.id] = run.state.value
            rows.append((*run_to_update(run), run.id))
            done.append(run.id)
            if run.state in FINAL and expected not in FINAL:
                over.append(run)
        must(self.change_many(_UPDATE, rows), len(rows), "update_runs")
        if over:
            self.tally(over)
        self.touch("runs", done)
        return refused

    def release_fires(self, schedule_id: str, job_id: str, after: datetime) -> int:
        return self.change(_RELEASE, job_id=job_id, after=to_micros(after), schedule_id=schedule_id)

    def delete_runs(self, run_ids: Collection[str]) -> None:
        if run_ids:
            run_ids = [*run_ids, *(row[0] for row in self.fetch(_ITEM_IDS, ids=listed(run_ids)))]
            ids = listed(run_ids)
            self.untally(run_ids)
            self.change(_DELETE_ATTEMPTS, ids=ids)
            if self.change(_DELETE, ids=ids):
                self.touch("runs", run_ids)
