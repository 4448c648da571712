"""Running again what is over, in the flow it was part of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from gnomon.core.errors import Conflict, Problem
from gnomon.core.fanout import Item, index_of, item_runs
from gnomon.core.flows import newest_of
from gnomon.core.keys import flow_key, key_parts
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Cause, JobRecord, RunRecord
from gnomon.core.states import FINAL, State
from gnomon.engine.creation import Order, create, downstream_of

from .context import Desk
from .lookup import find_job

FOR_UPSTREAM = ("upstream_failed", "upstream_not_failed")
"""Reasons of runs that were skipped because of others."""

NewId = Callable[[datetime], str]


def repeat(
    desk: Desk, tx: Transaction, run: RunRecord, now: datetime, also: Collection[str] = ()
) -> tuple[RunRecord, list[RunRecord]]:
    """A new run in place of a finished one, with its parameters, and new waiting runs below it.

    Below it, those are made anew that were skipped for an upstream, and the runs named in `also`. Of a `for_each` run
    that failed, only the items that did not succeed are run again.

    Raises:
        Conflict: the job is not in its source any more.
    """
    record = find_job(tx, run.job_id)
    refuse_retired(record)
    if run.parent_id is not None:
        return _repeat_item(desk, tx, run, now), []
    generation = 1 + max(key_parts(r.run_key).generation for r in tx.flow(run.flow_id))
    order = Order(
        record,
        Cause.MANUAL,
        desk.actor,
        due_at=now,
        run_key=flow_key(run.flow_id, run.job_id, generation=generation),
        parameters=run.parameters,
        flow_id=run.flow_id,
        retry_of=run.id,
    )
    made, _ = create(tx, [order], now, desk.engine.new_id)
    return made[0], _revive(tx, made[0], generation, now, desk.engine.new_id, also)


def failures(reader: Reader, flow_id: str) -> list[RunRecord]:
    """The runs of a flow that ended badly by themselves, and that nobody ran again; upstreams first."""
    newest = newest_of(reader.flow(flow_id))
    return sorted((run for run in newest.values() if _failed(run)), key=lambda run: (run.finished_at, run.id))


def _failed(run: RunRecord) -> bool:
    if run.state is State.SKIPPED:
        return run.reason in ("deadline", "paused", "definition_missing")
    return run.state in (State.FAILED, State.CANCELLED)


def refuse_retired(record: JobRecord) -> None:
    """A job that no source has any more is not run.

    Raises:
        Conflict: it is one.
    """
    if record.retired_at is not None:
        raise Conflict(
            Problem(
                "job_retired",
                f"job {record.job_id!r} is not in its source any more (since {record.retired_at:%Y-%m-%d %H:%M} UTC)",
                hint="bring its definition back to run it",
            )
        )


def _repeat_item(desk: Desk, tx: Transaction, run: RunRecord, now: datetime) -> RunRecord:
    """One item again, for the same parent and with its definition."""
    parent = tx.run(run.parent_id or "")
    job = tx.definition(run.job_id, run.version)
    if parent is None or job is None:
        text = f"the run that {run.id} was an item of is gone"
        raise Conflict(Problem("item_without_run", text, hint="run its job anew"))
    mates = [r.id for r in tx.flow(run.flow_id) if r.job_id == run.job_id]
    generation = 1 + max(key_parts(i.run_key).generation for mate in mates for i in tx.items(mate))
    again = Item(index_of(run), run.item, run.id)
    (made,) = item_runs(replace(parent, version=run.version), job, [again], generation, now, [desk.engine.new_id(now)])
    made = replace(made, result=None, error=None, reason=None, finished_at=None, duration_s=None, actor=desk.actor)
    tx.insert_runs([made])
    return made


def _revive(
    tx: Transaction, root: RunRecord, generation: int, now: datetime, new_id: NewId, also: Collection[str]
) -> list[RunRecord]:
    newest = {r.job_id: r for r in sorted(tx.flow(root.flow_id), key=lambda r: (r.created_at, r.id))}
    fresh = []
    for run in downstream_of(tx, root, now, new_id):
        was = newest.get(run.job_id)
        if was is None or was.state not in FINAL or (was.reason not in FOR_UPSTREAM and was.id not in also):
            continue
        key = flow_key(root.flow_id, run.job_id, generation=generation)
        fresh.append(replace(run, run_key=key, retry_of=was.id))
    if fresh:
        tx.insert_runs(fresh)
    return fresh
