"""Runs: list, show, start, cancel, retry, and their logs (deleting: `deleting`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gnomon.core import lifecycle
from gnomon.core.errors import Conflict, Problem, UsageError
from gnomon.core.keys import caller_key, flow_key
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Cause, JobRecord, Page, RunFilter, RunRecord
from gnomon.core.states import FINAL
from gnomon.core.values import Json, JsonObject
from gnomon.engine.acts import Acts
from gnomon.engine.creation import Order, create, create_flow, downstream_of

from .context import Desk
from .lookup import find_job, find_run
from .parameters import checked_parameters
from .views import run_view


def list_runs(desk: Desk, where: RunFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Runs, newest first, as objects."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = reader.runs(where, limit, cursor)
        attempts = reader.attempts({run.id for run in page.items}) if page.items else {}
        return Page(tuple(run_view(run, attempts.get(run.id, ())) for run in page.items), page.next)

    return desk.store.read(work)


def show_run(desk: Desk, run_id: str) -> JsonObject:
    """One run as an object; a unique beginning of its id will do."""

    def work(reader: Reader) -> JsonObject:
        run = find_run(reader, run_id)
        return run_view(run, reader.attempts([run.id]).get(run.id, ()))

    return desk.store.read(work)


def start_run(
    desk: Desk, job_id: str, parameters: Mapping[str, Json] | None = None, idempotency_key: str | None = None
) -> JsonObject:
    """A manual run, and its downstream jobs. A paused job may be run; while a run of it is active, it queues.

    Args:
        idempotency_key: asking again with the same one gives the same run.
    """

    def work(tx: Transaction) -> str:
        record = find_job(tx, job_id)
        _refuse_retired(record)
        key = "" if idempotency_key is None else caller_key(job_id, idempotency_key)
        known = tx.run_by_key(key) if key else None
        if known is not None:
            return known.id
        now = desk.clock.now()
        values = checked_parameters(record.job, parameters or {})
        order = Order(record, Cause.MANUAL, desk.actor, due_at=now, run_key=key, parameters=values)
        made, _ = create(tx, [order], now, desk.engine.new_id)
        desk.audit(tx, "run.start", made[0].id, after={"job_id": job_id})
        return made[0].id

    return show_run(desk, desk.store.write(work))


def start_pipeline(desk: Desk, job_ids: list[str]) -> str:
    """Run these jobs and everything downstream of them as one flow; returns its id."""

    def work(tx: Transaction) -> str:
        now = desk.clock.now()
        orders = [Order(find_job(tx, j), Cause.MANUAL, desk.actor, due_at=now) for j in job_ids]
        roots, below = create_flow(tx, orders, now, desk.engine.new_id)
        ended = [run for run in (*roots, *below) if run.state in FINAL]
        desk.progress.step(tx, ended, now, Acts())
        return roots[0].flow_id

    return desk.store.write(work)


def cancel_run(desk: Desk, run_id: str) -> JsonObject:
    """Stop a run: at once if it has not begun, else TERM, grace, KILL of its whole process tree.

    Raises:
        Conflict: it is over.
    """

    def work(tx: Transaction) -> str:
        now = desk.clock.now()
        run = find_run(tx, run_id)
        if run.state in FINAL:
            raise Conflict(Problem("run_over", f"run {run.id} is over: {run.state}", hint="nothing is left to cancel"))
        changed = lifecycle.request_cancel(run, now, desk.actor)
        tx.update_runs([(changed, run.state)])
        if changed.state in FINAL:
            desk.progress.step(tx, [changed], now, Acts())
        desk.audit(tx, "run.cancel", run.id)
        return run.id

    return show_run(desk, desk.store.write(work))


def retry_run(desk: Desk, run_id: str) -> JsonObject:
    """Run a finished run's job again, with its parameters, in the same flow; the new run names it in `retry_of`.

    Downstream runs that its failure skipped are made anew with it.

    Raises:
        Conflict: the run is not over.
    """

    def work(tx: Transaction) -> str:
        run = find_run(tx, run_id)
        if run.state not in FINAL:
            raise Conflict(Problem("run_active", f"run {run.id} is {run.state}", hint="cancel it or wait for its end"))
        record = find_job(tx, run.job_id)
        _refuse_retired(record)
        now = desk.clock.now()
        generation = 1 + max(_generation(r) for r in tx.flow(run.flow_id))
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
        _revive_downstream(desk, tx, made[0], generation)
        desk.audit(tx, "run.retry", made[0].id, before=run.id)
        return made[0].id

    return show_run(desk, desk.store.write(work))


def read_log(
    desk: Desk, run_id: str, number: int | None = None, offset: int = 0, limit: int = 1 << 20
) -> tuple[bytes, int, bool]:
    """Output of an attempt (default: the newest): bytes, the offset to go on from, and whether it is complete."""

    def work(reader: Reader) -> tuple[RunRecord, int, bool]:
        run = find_run(reader, run_id)
        attempts = reader.attempts([run.id]).get(run.id, ())
        wanted = number or run.attempts
        attempt = next((a for a in attempts if a.number == wanted), None)
        if number is not None and attempt is None:
            hint = f"it has {run.attempts}" if run.attempts else "it has none yet"
            raise UsageError(Problem("attempt_not_found", f"run {run.id} has no attempt {number}", hint=hint))
        last = run.state in FINAL if number is None else True
        return run, wanted, last and (attempt is None or attempt.outcome is not None)

    run, wanted, complete = desk.store.read(work)
    if wanted == 0:
        return b"", 0, complete
    data, following = desk.logs.read(run.id, wanted, offset, limit)
    return data, following, complete and (not data or following >= desk.logs.size(run.id, wanted))


def _refuse_retired(record: JobRecord) -> None:
    if record.retired_at is not None:
        raise Conflict(
            Problem(
                "job_retired",
                f"job {record.job_id!r} is not in its source any more (since {record.retired_at:%Y-%m-%d %H:%M} UTC)",
                hint="bring its definition back to run it",
            )
        )


def _generation(run: RunRecord) -> int:
    tail = run.run_key.rpartition("|")[2]
    return int(tail) if run.run_key.startswith("flow|") and tail.isdigit() else 0


def _revive_downstream(desk: Desk, tx: Transaction, root: RunRecord, generation: int) -> None:
    """Waiting runs for those downstream jobs whose newest run in this flow was skipped for an upstream."""
    newest = {r.job_id: r for r in sorted(tx.flow(root.flow_id), key=lambda r: r.created_at)}
    now = desk.clock.now()
    fresh = []
    for run in downstream_of(tx, root, now, desk.engine.new_id):
        was = newest.get(run.job_id)
        if was is None or was.state not in FINAL or was.reason not in ("upstream_failed", "upstream_not_failed"):
            continue
        key = flow_key(root.flow_id, run.job_id, generation=generation)
        fresh.append(replace(run, run_key=key, retry_of=was.id))
    if fresh:
        tx.insert_runs(fresh)
