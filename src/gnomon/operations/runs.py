"""Runs: list, show, start, cancel, retry, and their logs (deleting: `deleting`)."""

from __future__ import annotations

from collections.abc import Mapping

from gnomon.core import lifecycle
from gnomon.core.errors import Conflict, Problem, UsageError
from gnomon.core.keys import caller_key
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Cause, Page, RunFilter, RunRecord
from gnomon.core.states import FINAL, State
from gnomon.core.values import Json, JsonObject
from gnomon.engine.acts import Acts
from gnomon.engine.creation import Order, create, create_flow

from .context import Desk
from .elsewhere import anywhere
from .flows import cancel_all
from .lookup import find_job, find_run
from .parameters import checked_parameters
from .repeating import refuse_retired, repeat
from .said import run_said
from .views import run_view


@anywhere
def list_runs(desk: Desk, where: RunFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Runs, newest first, as objects."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = reader.runs(where, limit, cursor)
        attempts = reader.attempts({run.id for run in page.items}) if page.items else {}
        items = reader.item_counts({run.id for run in page.items}) if page.items else {}
        views = tuple(run_view(run, attempts.get(run.id, ()), items.get(run.id)) for run in page.items)
        return Page(views, page.next, page.partial)

    return desk.store.read(work)


@anywhere
def show_run(desk: Desk, run_id: str) -> JsonObject:
    """One run as an object; a unique beginning of its id will do."""

    def work(reader: Reader) -> JsonObject:
        run = find_run(reader, run_id)
        return run_view(run, reader.attempts([run.id]).get(run.id, ()), reader.item_counts([run.id]).get(run.id))

    return desk.store.read(work)


@anywhere
def start_run(
    desk: Desk, job_id: str, parameters: Mapping[str, Json] | None = None, idempotency_key: str | None = None
) -> JsonObject:
    """A manual run, and its downstream jobs. A paused job may be run; while a run of it is active, it queues.

    Args:
        idempotency_key: asking again with the same one gives the same run.
    """

    def work(tx: Transaction) -> str:
        record = find_job(tx, job_id)
        refuse_retired(record)
        key = "" if idempotency_key is None else caller_key(job_id, idempotency_key)
        known = tx.run_by_key(key) if key else None
        if known is not None:
            return known.id
        now = desk.clock.now()
        values = checked_parameters(record.job, parameters or {})
        order = Order(record, Cause.MANUAL, desk.actor, due_at=now, run_key=key, parameters=values)
        made, _ = create(tx, [order], now, desk.engine.new_id)
        desk.audit(tx, "run.start", made[0].id, after={**run_said(made[0]), "parameters": dict(values)})
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
        desk.audit(tx, "flow.start", roots[0].flow_id, after={"jobs": list(job_ids)})
        return roots[0].flow_id

    return desk.store.write(work)


@anywhere
def cancel_run(desk: Desk, run_id: str) -> JsonObject:
    """Stop a run: at once if it has not begun, else TERM, grace, KILL of its whole process tree.

    Raises:
        Conflict: it is over.
    """

    def work(tx: Transaction) -> str:
        run = find_run(tx, run_id)
        if run.state in FINAL:
            raise Conflict(Problem("run_over", f"run {run.id} is over: {run.state}", hint="nothing is left to cancel"))
        cancel_all(desk, tx, [run])
        desk.audit(tx, "run.cancel", run.id, run_said(run), run_said(find_run(tx, run.id)))
        return run.id

    return show_run(desk, desk.store.write(work))


@anywhere
def skip_run(desk: Desk, run_id: str) -> JsonObject:
    """Take a run that has not begun (or waits for a retry) out of its flow, which goes on as if it had succeeded.

    Raises:
        Conflict: it runs, or is over.
    """

    def work(tx: Transaction) -> str:
        now = desk.clock.now()
        run = find_run(tx, run_id)
        if run.state in FINAL:
            hint = "retry it, then skip the new run"
            raise Conflict(Problem("run_over", f"run {run.id} is over: {run.state}", hint=hint))
        if run.state is State.RUNNING:
            raise Conflict(Problem("run_active", f"run {run.id} is running", hint="`gnomon runs cancel` ends it"))
        skipped = lifecycle.skip(run, now, lifecycle.SKIPPED_BY_HAND, f"skipped by {desk.actor}")
        tx.update_runs([(skipped, run.state)])
        desk.progress.step(tx, [skipped], now, Acts())
        desk.audit(tx, "run.skip", run.id, run_said(run), run_said(skipped))
        return run.id

    return show_run(desk, desk.store.write(work))


@anywhere
def retry_run(desk: Desk, run_id: str) -> JsonObject:
    """Run a finished run's job again, with its parameters, in the same flow; the new run names it in `retry_of`.

    Downstream runs that its failure skipped are made anew with it. Of a `for_each` run that did not succeed, only the
    items that did not are run again.

    Raises:
        Conflict: the run is not over.
    """

    def work(tx: Transaction) -> str:
        run = find_run(tx, run_id)
        if run.state not in FINAL:
            raise Conflict(Problem("run_active", f"run {run.id} is {run.state}", hint="cancel it or wait for its end"))
        made, _ = repeat(desk, tx, run, desk.clock.now())
        desk.audit(tx, "run.retry", made.id, {"retry_of": run.id, **run_said(run)}, run_said(made))
        return made.id

    return show_run(desk, desk.store.write(work))


@anywhere
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
