"""What retention may remove: it is asked for as much as it would take, and what it took is given back."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from gnomon.core.ports import Store, Transaction
from gnomon.core.records import RunRecord
from gnomon.core.states import ACTIVE

from .parts import demand


class _GivenBack(Exception):
    """Ends the transaction without a trace."""


def taken(store: Store, now: datetime, runs: Collection[str]) -> frozenset[str]:
    """Which of these runs it removes in one step if nothing has to be kept for its own sake."""
    found = frozenset[str]()

    def work(tx: Transaction) -> None:
        nonlocal found
        tx.prune(now=now, runs_before=now, runs_per_job=0, changes_before=now, limit=1000)
        found = frozenset(runs) - frozenset(tx.known_runs(runs))
        raise _GivenBack

    with contextlib.suppress(_GivenBack):
        store.write(work)
    return found


def nobody_misses(gone: Collection[str], runs: Mapping[str, RunRecord], upstreams: Mapping[str, Sequence[str]]) -> None:
    """Raises Violation if a run that is not over needs one of these: itself, those of its flow, the run it repeats, the
    one it belongs to, and the latest that it may take as its upstream. `upstreams`: by job."""
    for run in runs.values():
        if run.state not in ACTIVE:
            continue
        flow = {other.id for other in runs.values() if other.flow_id == run.flow_id}
        needed = flow | {run.id, run.flow_id, run.retry_of or "", run.parent_id or ""}
        for upstream in upstreams.get(run.job_id, ()):
            before = [other for other in runs.values() if other.job_id == upstream and other.due_at <= run.due_at]
            if before:
                needed.add(max(before, key=lambda other: (other.due_at, other.id)).id)
        missed = needed & set(gone)
        demand(not missed, f"retention removes {sorted(missed)[:3]}, and run {run.id} of {run.job_id} is not over")
