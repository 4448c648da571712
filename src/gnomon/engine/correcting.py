"""What the store keeps from a time that was wrong is brought back to what it can be."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import datetime, timedelta

from gnomon.core.deliveries import LONGEST_PAUSE
from gnomon.core.lifecycle import retry_delay_s
from gnomon.core.ports import Transaction
from gnomon.core.records import RunFilter
from gnomon.core.replacing import replace
from gnomon.core.states import State

from .context import Context

MOST = 10_000


def correct(tx: Transaction, context: Context, now: datetime, by_s: float) -> None:
    """After a start, and when the clock was set by `by_s` seconds."""
    _retries(tx, context, now)
    _messages(tx, now)
    if by_s > 0:
        _deadlines(tx, now, timedelta(seconds=by_s))


def _retries(tx: Transaction, context: Context, now: datetime) -> None:
    """No retry waits longer than its delay."""
    waiting = tx.runs(RunFilter(states=(State.RETRY_WAIT,)), limit=MOST).items
    definitions = context.definitions.of(tx, list(waiting)) if waiting else {}
    late = []
    for run in waiting:
        job = definitions.get((run.job_id, run.version))
        longest = now if job is None else now + timedelta(seconds=retry_delay_s(job.retry, run.failures, 1.0))
        if run.available_at is not None and run.available_at > longest:
            late.append((replace(run, available_at=longest), State.RETRY_WAIT))
    if late:
        tx.update_runs(late)


def _messages(tx: Transaction, now: datetime) -> None:
    """No message waits longer than between two tries; what was told in a time to come was told now."""
    far = [one for one in tx.pending_deliveries(MOST) if one.next_at is not None and one.next_at > now + LONGEST_PAUSE]
    if far:
        tx.update_deliveries([changed(one, next_at=now) for one in far])
    ahead = [one for one in tx.unacknowledged(now + timedelta(days=36_500), MOST) if one.told_at > now]
    if ahead:
        tx.put_incidents([changed(one, told_at=now) for one in ahead])


def _deadlines(tx: Transaction, now: datetime, by: timedelta) -> None:
    """A run that was in time before the clock was set is in time after it."""
    cut = [run for run in tx.expiring(now, MOST) if run.deadline_at is not None and run.deadline_at > now - by]
    if cut:
        tx.update_runs([(replace(run, deadline_at=run.deadline_at + by), run.state) for run in cut if run.deadline_at])
