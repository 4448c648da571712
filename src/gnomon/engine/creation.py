"""New runs: from a decision to rows, with everything downstream of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gnomon.core.attempts import Failure
from gnomon.core.fanout import PARENTS
from gnomon.core.flows import belongs_to_flow, closure
from gnomon.core.keys import flow_key
from gnomon.core.model import Overlap
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Cause, JobRecord, RunRecord, ScheduleRecord
from gnomon.core.replacing import replace
from gnomon.core.states import State
from gnomon.core.values import Json


@dataclass(frozen=True, slots=True)
class Order:
    """A run to be made of a job as it is now.

    Attributes:
        run_key: its identity; "" takes (flow, job).
        due_at: when it should start; later than now: it is created in state scheduled.
        flow_id: the flow to join; None begins a new one, with all downstream jobs.
        waits_until: it waits for upstreams that fire by themselves, at most until then.
        max_active: for a backfill: at most so many of its runs at once.
    """

    job: JobRecord
    cause: Cause
    actor: str
    due_at: datetime
    run_key: str = ""
    schedule: ScheduleRecord | None = None
    fire_at: datetime | None = None
    exclusive: bool | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    note: str | None = None
    flow_id: str | None = None
    retry_of: str | None = None
    waits_until: datetime | None = None
    max_active: int | None = None


def create(
    tx: Transaction, orders: Sequence[Order], now: datetime, new_id: Callable[[datetime], str]
) -> tuple[list[RunRecord], list[RunRecord]]:
    """Insert a run per order, and the waiting runs of its flow.

    An order whose run key exists already makes nothing. Returns the runs made for orders, and those downstream.
    """
    roots = [_root(order, now, new_id) for order in orders]
    refused = set(tx.insert_runs(roots)) if roots else set()
    made = [run for run in roots if run.id not in refused]
    begun = {run.flow_id: run for run, order in zip(roots, orders, strict=True) if order.flow_id is None}
    below = _below(tx, [run for run in made if run.flow_id in begun], now, new_id)
    if below:
        tx.insert_runs(below)
    return made, below


def create_flow(
    tx: Transaction, orders: Sequence[Order], now: datetime, new_id: Callable[[datetime], str]
) -> tuple[list[RunRecord], list[RunRecord]]:
    """As `create`, all orders and everything downstream of any of them in one new flow."""
    flow_id = new_id(now)
    roots = [_idle(order.job, _root(replace(order, flow_id=flow_id), now, new_id), now) for order in orders]
    tx.insert_runs(roots)
    below = _members(tx, roots[0], [o.job.job_id for o in orders], now, new_id) if roots else []
    if below:
        tx.insert_runs(below)
    return roots, below


def downstream_of(tx: Reader, root: RunRecord, now: datetime, new_id: Callable[[datetime], str]) -> list[RunRecord]:
    """Waiting runs, not inserted, of every job below `root`'s in its flow."""
    return _members(tx, root, [root.job_id], now, new_id)


def _root(order: Order, now: datetime, new_id: Callable[[datetime], str]) -> RunRecord:
    run_id = new_id(now)
    flow_id = order.flow_id or run_id
    later = order.due_at > now
    waits = order.waits_until is not None
    backfill = order.cause is Cause.BACKFILL  # behind the fires of today, and late by nature
    run = _blank(order.job, run_id, flow_id, now)
    return replace(
        run,
        state=State.WAITING if waits else State.SCHEDULED if later else State.QUEUED,
        cause=order.cause,
        run_key=order.run_key or flow_key(flow_id, order.job.job_id),
        due_at=order.due_at,
        available_at=order.due_at if later and not waits else None,
        queued_at=None if later or waits else now,
        actor=order.actor,
        schedule_id=None if order.schedule is None else order.schedule.schedule_id,
        fire_at=order.fire_at,
        exclusive=run.exclusive if order.exclusive is None else order.exclusive,
        parameters=dict(order.parameters),
        deadline_at=order.waits_until or (None if backfill else _deadline(order.job, order.due_at)),
        priority=run.priority - 1 if backfill else run.priority,
        max_active=run.max_active if order.max_active is None else order.max_active,
        note=order.note,
        retry_of=order.retry_of,
    )


def _blank(record: JobRecord, run_id: str, flow_id: str, now: datetime) -> RunRecord:
    job = record.job
    return RunRecord(
        id=run_id,
        job_id=job.job_id,
        version=record.version,
        state=State.WAITING,
        cause=Cause.DOWNSTREAM,
        run_key=flow_key(flow_id, job.job_id),
        due_at=now,
        created_at=now,
        flow_id=flow_id,
        actor="scheduler",
        priority=job.priority,
        queue=job.queue if job.for_each is None else PARENTS,
        exclusive=job.overlap is not Overlap.ALLOW,
        pools=dict(job.pools) if job.for_each is None else {},
        max_active=job.max_active if job.for_each is None else None,
        labels=dict(job.labels),
    )


def _deadline(record: JobRecord, due_at: datetime) -> datetime | None:
    limit = record.job.start_deadline_s
    return None if limit is None else due_at + timedelta(seconds=limit)


def _below(tx: Reader, roots: Iterable[RunRecord], now: datetime, new_id: Callable[[datetime], str]) -> list[RunRecord]:
    roots = list(roots)
    direct = tx.downstream({r.job_id for r in roots}) if roots else {}  # most jobs have none: ask once for all
    found: list[RunRecord] = []
    for root in roots:
        if direct.get(root.job_id):
            found += _members(tx, root, [root.job_id], now, new_id)
    return found


def _members(
    tx: Reader, root: RunRecord, root_jobs: Sequence[str], now: datetime, new_id: Callable[[datetime], str]
) -> list[RunRecord]:
    """Waiting runs of every job below `root_jobs`, in the flow and with the due time of `root`."""
    jobs: dict[str, JobRecord] = {}

    def belonging(level: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Direct downstreams that run in flows: a job with schedules of its own begins flows, and ends this one."""
        below = tx.downstream(level)
        jobs.update(tx.jobs_by_id({job_id for some in below.values() for job_id in some} - jobs.keys()))
        return {up: [job_id for job_id in some if _runs_in_flows(jobs.get(job_id))] for up, some in below.items()}

    ids = closure(root_jobs, belonging)
    inside = {*root_jobs, *ids}
    members = []
    for job_id in ids:
        record = jobs[job_id]
        if _is_joined(tx, record, inside):
            continue
        run = replace(_blank(record, new_id(now), root.flow_id, now), due_at=root.due_at, actor=root.actor)
        run = replace(run, waiting_for="upstream " + ", ".join(d.job for d in record.job.depends_on))
        members.append(_idle(record, run, now))
    return members


def _runs_in_flows(record: JobRecord | None) -> bool:
    return record is not None and record.retired_at is None and belongs_to_flow(record.job)


def _idle(record: JobRecord, run: RunRecord, now: datetime) -> RunRecord:
    """The run, skipped if its job is paused or disabled."""
    if record.fires:
        return run
    word = "paused" if record.paused_at is not None else "disabled"
    why = Failure(word, f"job {record.job_id} was {word} when its flow began")
    return replace(run, state=State.SKIPPED, reason=word, error=why, finished_at=now, queued_at=None, waiting_for=None)


def _is_joined(tx: Reader, record: JobRecord, inside: set[str]) -> bool:
    """Whether the job has upstreams in several flows and a run of it is open already: it joins them all."""
    if all(d.job in inside for d in record.job.depends_on):
        return False
    return any(run.state is State.WAITING for run in tx.active_runs(record.job_id))
