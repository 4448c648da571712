"""Flows: list, show, cancel, rerun from the failed jobs. A flow is named by its id, or by any of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gnomon.core import lifecycle
from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.fanout import PARENTS
from gnomon.core.filters import FlowFilter
from gnomon.core.flows import closure, newest_of
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Page, RunRecord
from gnomon.core.states import FINAL, State
from gnomon.core.values import JsonObject, rfc3339
from gnomon.engine.acts import Acts
from gnomon.engine.fanout import cancel_items

from .context import Desk
from .elsewhere import anywhere
from .lookup import find_run
from .repeating import failures, repeat
from .said import run_said
from .views import run_view

MOST_PAGES = 20


@anywhere
def page_of_flows(desk: Desk, where: FlowFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Flows of more than one run, newest first, without their runs."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = reader.flow_ids(where, limit, cursor)
        return Page(tuple(_summary(flow_id, reader.flow(flow_id)) for flow_id in page.items), page.next, page.partial)

    return desk.store.read(work)


def list_flows(
    desk: Desk,
    job_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
) -> list[JsonObject]:
    """The same as a list; however few match, not more than 20 pages are looked at.

    Args:
        job_id: only those in which this job runs after others.
    """
    where, found, cursor = FlowFilter(job_id, since, until), list[JsonObject](), None
    for _ in range(MOST_PAGES):
        page = page_of_flows(desk, where, limit - len(found), cursor)
        found += page.items
        cursor = page.next
        if cursor is None or len(found) >= limit:
            break
    return found


@anywhere
def show_flow(desk: Desk, name: str) -> JsonObject:
    """A flow with its runs, in the order of their dependencies."""
    return desk.store.read(lambda reader: _view(reader, _find(reader, name)))


@anywhere
def cancel_flow(desk: Desk, name: str) -> JsonObject:
    """Cancel every run of a flow that is not over.

    Raises:
        Conflict: it is over.
    """

    def work(tx: Transaction) -> str:
        flow_id = _find(tx, name)
        runs = [run for run in tx.flow(flow_id) if run.state not in FINAL]
        if not runs:
            raise Conflict(Problem("flow_over", f"flow {flow_id} is over", hint="nothing is left to cancel"))
        before = {run.id: run_said(run) for run in runs}
        cancel_all(desk, tx, runs)
        after = {run.id: run_said(run) for run in tx.runs_by_id(list(before)).values()}
        desk.audit(tx, "flow.cancel", flow_id, before, after)
        return flow_id

    return show_flow(desk, desk.store.write(work))


@anywhere
def retry_flow(desk: Desk, name: str) -> JsonObject:
    """Rerun from the failed jobs: they, and what was skipped because of them, get new runs in the same flow.

    Raises:
        Conflict: nothing of it failed.
    """

    def work(tx: Transaction) -> str:
        flow_id = _find(tx, name)
        bad = failures(tx, flow_id)
        if not bad:
            raise Conflict(Problem("nothing_to_retry", f"nothing failed in flow {flow_id}", hint="see `flows show`"))
        now = desk.clock.now()
        names = {run.job_id for run in bad}
        below = {run.job_id: set(closure([run.job_id], tx.downstream)) & names for run in bad}
        later = {job for some in below.values() for job in some}
        ids = {run.id for run in bad}
        fresh: list[RunRecord] = []
        for run in bad:
            if run.job_id not in later:
                made, waiting = repeat(desk, tx, run, now, ids)
                fresh += [made, *waiting]
        desk.progress.step(tx, [run for run in fresh if run.state is State.WAITING], now, Acts())
        before, after = ({run.id: run_said(run) for run in some} for some in (bad, fresh))
        desk.audit(tx, "flow.retry", flow_id, before, after)
        return flow_id

    return show_flow(desk, desk.store.write(work))


def cancel_all(desk: Desk, tx: Transaction, runs: Sequence[RunRecord]) -> None:
    """Have runs that are not over stopped, with the items they have."""
    now = desk.clock.now()
    changes = [(lifecycle.request_cancel(run, now, desk.actor), run.state) for run in runs]
    tx.update_runs(changes)
    ended = [run for run, _ in changes if run.state in FINAL]
    for run in runs:
        if run.state is State.RUNNING and run.queue == PARENTS:
            ended += cancel_items(tx, run, now, desk.actor)
    if ended:
        desk.progress.step(tx, ended, now, Acts())


def _find(reader: Reader, name: str) -> str:
    if reader.flow(name):
        return name
    try:
        return find_run(reader, name).flow_id
    except NotFound:
        text = f"there is no flow {name!r}, and no run of that id"
        raise NotFound(Problem("flow_not_found", text, hint="`gnomon flows list` shows them")) from None


def _view(reader: Reader, flow_id: str) -> JsonObject:
    members = reader.flow(flow_id)
    ids = [run.id for run in members]
    attempts, items = reader.attempts(ids), reader.item_counts(ids)
    ordered = _in_order(reader, members)
    runs = [run_view(run, attempts.get(run.id, ()), items.get(run.id)) for run in ordered]
    return {**_summary(flow_id, members), "runs": runs}


def _summary(flow_id: str, members: Sequence[RunRecord]) -> JsonObject:
    standing = list(newest_of(members).values())
    counts: dict[str, int] = {}
    for run in standing:
        counts[str(run.state)] = counts.get(str(run.state), 0) + 1
    ends = [run.finished_at for run in standing if run.finished_at is not None]
    starts = [run.started_at for run in members if run.started_at is not None]
    over = len(ends) == len(standing)
    return {
        "id": flow_id,
        "state": _state(standing),
        "jobs": sorted({run.job_id for run in standing}),
        "root": next((run.job_id for run in members if run.id == flow_id), None),
        "counts": dict(sorted(counts.items())),
        "due_at": rfc3339(min((run.due_at for run in members), default=None)),
        "started_at": rfc3339(min(starts, default=None)),
        "finished_at": rfc3339(max(ends, default=None)) if over else None,
    }


def _state(standing: Sequence[RunRecord]) -> str:
    """One word: running, failed, cancelled, succeeded. A run skipped by hand or not wanted is no failure."""
    states = {run.state for run in standing}
    if states - FINAL:
        return "running"
    if State.FAILED in states:
        return "failed"
    if State.CANCELLED in states:
        return "cancelled"
    return "succeeded" if State.SUCCEEDED in states else "skipped"


def _in_order(reader: Reader, members: Sequence[RunRecord]) -> list[RunRecord]:
    """By the number of upstreams that lie one behind the other, then by age."""
    jobs = {run.job_id for run in members}
    below = reader.downstream(jobs)
    depth = dict.fromkeys(jobs, 0)
    for _ in jobs:
        deeper = dict(depth)
        for job_id, others in below.items():
            for other in others:
                if other in depth:
                    deeper[other] = max(deeper[other], depth[job_id] + 1)
        if deeper == depth:
            break
        depth = deeper
    return sorted(members, key=lambda run: (depth[run.job_id], run.job_id, run.created_at, run.id))
