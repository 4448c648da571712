"""Keeps the store small: old runs, skips and changes go, in small batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gnomon.core.access import ANSWERS_KEPT, SESSION_IDLE
from gnomon.core.attempts import Executor
from gnomon.core.ports import Logs, Store, Transaction
from gnomon.core.timekeeping import Timekeeper

from .settings import EngineSettings

BATCH = 500
PERIOD = timedelta(minutes=1)
CHANGES_KEPT = timedelta(hours=1)
SWEEP = timedelta(minutes=10)
"""How often, and from what age on, executors are asked for what they keep of attempts that ended long ago."""


@dataclass(slots=True)
class Janitor:
    """Removes what retention no longer wants, and the logs of it. Runs in its own transactions."""

    settings: EngineSettings
    next_at: datetime | None = None
    swept_s: float | None = None

    def step(self, store: Store, logs: Logs, now: datetime, time: Timekeeper) -> None:
        """One batch; the next comes at once while there is more, else in a minute.

        What is gone cannot be had back, so nothing goes on the word of a clock that was set: it waits until the clock
        is believed.
        """
        if not time.trusted:
            self.next_at = now + PERIOD
            return
        if self.next_at is not None and now < self.next_at <= now + PERIOD:
            return

        def work(tx: Transaction) -> Sequence[tuple[str, int]]:
            tx.prune_configurations(BATCH)
            tx.prune_access(
                now=now,
                idle_since=now - SESSION_IDLE,
                answers_before=now - ANSWERS_KEPT,
                audit_before=now - timedelta(days=self.settings.retention_audit_days),
                limit=BATCH,
            )
            return tx.prune(
                runs_before=now - timedelta(days=self.settings.retention_days),
                runs_per_job=self.settings.retention_runs,
                changes_before=now - CHANGES_KEPT,
                limit=BATCH,
            )

        removed = store.write(work)
        for run_id, number in removed:
            logs.delete(run_id, number)
        self.next_at = now + (PERIOD if len(removed) < BATCH else timedelta(0))

    def sweep(self, store: Store, executors: Iterable[Executor], now: datetime, steady_s: float) -> None:
        """Have executors forget attempts whose end is durable: a crash may have come between the two."""
        if self.swept_s is not None and steady_s - self.swept_s < SWEEP.total_seconds():
            return
        self.swept_s = steady_s
        for executor in executors:
            kept = executor.leftovers(now - SWEEP)
            known = store.read(lambda r, kept=kept: r.attempts({run_id for run_id, _ in kept})) if kept else {}  # type: ignore[misc]
            live = {(a.run_id, a.number) for some in known.values() for a in some if a.outcome is None}
            for run_id, number in kept:
                if (run_id, number) not in live:
                    executor.forget(run_id, number)
