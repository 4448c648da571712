"""`for_each`: makes the item runs of a parent when its turn comes, and ends the parent when they have ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gnomon.core import lifecycle
from gnomon.core.attempts import Failure
from gnomon.core.errors import UsageError, usage
from gnomon.core.fanout import (
    PARENTS,
    Item,
    checked_items,
    concluded,
    expanded,
    item_runs,
    standing_items,
    to_repeat,
)
from gnomon.core.keys import key_parts
from gnomon.core.model import Job, Overlap
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Activity, Cause, RunRecord
from gnomon.core.states import ACTIVE, State
from gnomon.core.values import Json

from .acts import Acts, Line
from .blame import OWN_FAULTS, blamed
from .context import Context
from .specs import filled, run_values

PAGE = 200
MOST_PAGES = 10
MOST_NEW = 5000
"""Items made in one step, about."""
MOST_ROUNDS = 100
_EARLIER = "an earlier run of this job"


@dataclass(slots=True)
class FanOut:
    """Parents wait in a line of their own, and take no slot, pool or rate: their items do."""

    context: Context

    def step(self, tx: Transaction, now: datetime, acts: Acts) -> list[RunRecord]:
        """Expand every parent whose turn has come; returns those that ended with it (no items, or no list)."""
        ended: list[RunRecord] = []
        held: set[str] = set()
        made, last = 0, None
        for _ in range(MOST_PAGES):
            page = list(tx.queued((PARENTS,), PAGE, last))
            definitions = self.context.definitions.of(tx, page)
            activity = tx.activity({run.job_id for run in page})
            chosen = Counter[str]()
            for run in page:
                if made >= MOST_NEW:
                    acts.wake(now)
                    return ended
                job = definitions.get((run.job_id, run.version))
                busy = activity.get(run.job_id, Activity())
                wait = _obstacle(tx, run, job, busy, chosen[run.job_id], held)
                if wait is not None:
                    held.add(run.job_id)
                    _note(tx, run, wait)
                    continue
                parent, count = self._expand(tx, run, job, now)
                made += count
                if parent is not None and parent.state is State.RUNNING:
                    chosen[run.job_id] += 1
                elif parent is not None:
                    acts.log.append(_log_line(parent, 0))
                    ended.append(parent)
            if len(page) < PAGE:
                break
            last = page[-1]
        return ended

    def settle(self, tx: Transaction, ended: Sequence[RunRecord], now: datetime, acts: Acts) -> list[RunRecord]:
        """End the parents of which the last item is among `ended`; returns them."""
        parents = {run.parent_id for run in ended if run.parent_id is not None}
        counts = tx.item_counts(parents) if parents else {}
        over = [p for p in sorted(parents) if not any(counts.get(p, {}).get(state) for state in ACTIVE)]
        changes = []
        for parent in tx.runs_by_id(over).values() if over else ():
            if parent.state is State.RUNNING:
                try:
                    rounds, before = _history(tx, parent)
                    items = standing_items([*rounds, tx.items(parent.id)])
                    changes.append(concluded(parent, items, before, now))
                except OWN_FAULTS as error:
                    why = blamed(parent, error)
                    changes.append(lifecycle.fail(replace(parent, result=None), now, why.code, why.message))
        refused = set(tx.update_runs([(run, State.RUNNING) for run in changes])) if changes else set()
        done = [run for run in changes if run.id not in refused]
        acts.log += [_log_line(run, sum(counts[run.id].values())) for run in done]
        return done

    def _expand(self, tx: Transaction, run: RunRecord, job: Job | None, now: datetime) -> tuple[RunRecord | None, int]:
        """The parent as it is afterwards (None: somebody was faster), and how many items it got."""
        try:
            rounds, before = _history(tx, run)
            standing = standing_items(rounds)
            items = to_repeat(standing) if standing else self._items(tx, run, job)
        except (UsageError, *OWN_FAULTS) as error:
            why = Failure(error.code, str(error)) if isinstance(error, UsageError) else blamed(run, error)
            failed = lifecycle.fail(run, now, why.code, why.message)
            return (None if tx.update_runs([(failed, State.QUEUED)]) else failed), 0
        parent = expanded(run, len(items), len(standing) - len(items) if standing else 0, now)
        if tx.update_runs([(parent, State.QUEUED)]):
            return None, 0
        if not items or job is None:
            parent = concluded(parent, standing, before, now)
            tx.update_runs([(parent, State.RUNNING)])
            return parent, 0
        ids = sorted(self.context.new_id(now) for _ in items)
        tx.insert_runs(item_runs(parent, job, items, _generation(tx, run), now, ids))
        return parent, len(items)

    def _items(self, tx: Transaction, run: RunRecord, job: Job | None) -> list[Item]:
        if job is None:
            raise usage("definition_missing", f"version {run.version} of job {run.job_id} is not in the database")
        values = run_values(self.context, tx, run, job, job.for_each)
        return checked_items(filled(job.for_each, values, "for_each"))


def cancel_items(
    tx: Transaction, parent: RunRecord, now: datetime, actor: str, reason: str = "cancelled"
) -> list[RunRecord]:
    """Have the items of a run stopped; returns those that are over at once."""
    items = [run for run in tx.items(parent.id) if run.state in ACTIVE]
    changes = [(lifecycle.request_cancel(run, now, actor, reason), run.state) for run in items]
    tx.update_runs(changes)
    return [run for run, _ in changes if run.state is State.CANCELLED]


def _obstacle(
    tx: Reader, run: RunRecord, job: Job | None, activity: Activity, chosen: int, held: set[str]
) -> str | None:
    """What a parent waits for: only other runs of its job. `chosen`: parents of it that this page expanded."""
    if run.job_id in held and (run.exclusive or run.cause is Cause.BACKFILL):
        return _EARLIER
    if run.exclusive:
        begun = activity.started
        if job is not None and job.overlap is Overlap.ALLOW:  # caught up: they wait for each other only
            begun = sum(r.exclusive and r.state is State.RUNNING for r in tx.active_runs(run.job_id))
            chosen = 0
        if begun + chosen > 0:
            return _EARLIER
    if run.cause is Cause.BACKFILL and run.max_active is not None and activity.parents + chosen >= run.max_active:
        return f"the backfill: {run.max_active} of its runs are at work"
    return None


def _history(tx: Reader, parent: RunRecord) -> tuple[list[Sequence[RunRecord]], Json]:
    """The items of the runs that `parent` repeats, and the newest of their results. A success is repeated whole."""
    rounds: list[Sequence[RunRecord]] = []
    before: Json = None
    run = parent
    for _ in range(MOST_ROUNDS):
        earlier = None if run.retry_of is None else tx.run(run.retry_of)
        if earlier is None or earlier.state is State.SUCCEEDED or earlier.job_id != parent.job_id:
            break
        items = tx.items(earlier.id)
        rounds.append(items)
        before = earlier.result if before is None else before
        run = earlier
    return rounds, before if any(rounds) else None


def _generation(tx: Reader, parent: RunRecord) -> int:
    """A number that no item of this job in this flow has."""
    mates = [run.id for run in tx.flow(parent.flow_id) if run.job_id == parent.job_id and run.id != parent.id]
    return 1 + max((key_parts(item.run_key).generation for mate in mates for item in tx.items(mate)), default=-1)


def _note(tx: Transaction, run: RunRecord, wait: str) -> None:
    if run.waiting_for != wait:
        tx.update_runs([(replace(run, waiting_for=wait), State.QUEUED)])


def _log_line(run: RunRecord, count: int) -> Line:
    good = run.state is State.SUCCEEDED
    at = (run.finished_at or run.due_at).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    why = "" if good or run.error is None else f" {run.error.code}: {run.error.message}"
    took = f"{run.duration_s or 0.0:.3f}s"
    text = f"{run.job_id} {at} {'SUCCESS' if good else 'FAILURE'} items={count} duration={took}{why} run={run.id}"
    about = {"job_id": run.job_id, "run_id": run.id, "flow_id": run.flow_id, "state": str(run.state), "items": count}
    return Line(logging.INFO if good else logging.WARNING, text, about)
