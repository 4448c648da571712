"""Keeps the store small: old runs, skips and changes go, in small batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gnomon.core.access import ANSWERS_KEPT, SESSION_IDLE
from gnomon.core.attempts import Executor
from gnomon.core.ports import Logs, Store, Transaction
from gnomon.core.records import Pruned
from gnomon.core.timekeeping import Timekeeper

from .settings import EngineSettings

BATCH = 500
SHARE_S = 0.05
"""How long a step may go on with it: then it is the turn of what is due."""
PARTS = 256
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
    part: int = 0

    def step(self, store: Store, logs: Logs, now: datetime, time: Timekeeper, monotonic: Callable[[], float]) -> None:
        """As many batches as there is time for; the rest comes with the next step, at once. Without any, in a minute.

        What is gone cannot be had back, so nothing goes on the word of a clock that was set: it waits until the clock
        is believed.
        """
        if not time.trusted:
            self.next_at = now + PERIOD
            return
        if self.next_at is not None and now < self.next_at <= now + PERIOD:
            return

        begin = monotonic()
        while self._batch(store, logs, now):
            if monotonic() - begin >= SHARE_S:
                self.next_at = now
                return
        self._orphans(store, logs, now)
        self.next_at = now + PERIOD

    def _batch(self, store: Store, logs: Logs, now: datetime) -> bool:
        """Remove some; whether there is more. Rows go before their files: see `_orphans`."""

        def work(tx: Transaction) -> Pruned:
            others = (
                tx.prune_configurations(BATCH),
                tx.prune_access(
                    now=now,
                    idle_since=now - SESSION_IDLE,
                    answers_before=now - ANSWERS_KEPT,
                    audit_before=now - timedelta(days=self.settings.retention_audit_days),
                    limit=BATCH,
                ),
            )
            done = tx.prune(
                now=now,
                runs_before=now - timedelta(days=self.settings.retention_days),
                runs_per_job=self.settings.retention_runs,
                changes_before=now - CHANGES_KEPT,
                limit=BATCH,
            )
            return replace(done, more=done.more or max(others) >= BATCH)

        done = store.write(work)
        for run_id, number in done.attempts:
            logs.delete(run_id, number)
        return done.more

    def _orphans(self, store: Store, logs: Logs, now: datetime) -> None:
        """Remove logs whose run is gone, in another part of them each time: somebody died, or was refused, between
        the removal of a run and that of its log."""
        found = logs.kept(self.part, now - SWEEP)
        known = store.read(lambda r: r.known_runs({run_id for run_id, _ in found})) if found else ()
        for run_id, number in found:
            if run_id not in known:
                logs.delete(run_id, number)
        self.part = (self.part + 1) % PARTS

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
