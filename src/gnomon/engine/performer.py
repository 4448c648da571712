"""Acts: hands what a commit decided to the executors, and makes sure that everything handed over comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gnomon.core.attempts import AttemptSpec, Ended, Event, Executor, Failure, Outcome
from gnomon.core.ports import Clock, Transaction
from gnomon.core.records import AttemptRecord

from .acts import Acts

logger = logging.getLogger("gnomon")
Key = tuple[str, int]


@dataclass(slots=True)
class Performer:
    """Knows which attempts this process has handed over. An executor that raises loses its attempts, nothing else.

    `in_doubt`: a transaction failed, and may be durable all the same: claims of it were never handed over.
    """

    executors: Mapping[str, Executor]
    clock: Clock
    report: Callable[[Event], None]
    in_doubt: bool = False
    _handed: set[Key] = field(default_factory=set)
    _asked: set[Key] = field(default_factory=set)

    def perform(self, acts: Acts) -> None:
        """Carry out what is durable now."""
        for line in acts.log:
            logger.log(line.level, "%s", line.text, extra={"about": line.about})
        for ended in acts.stillborn:
            self._handed.add((ended.run_id, ended.number))
            self.report(ended)
        for name in dict.fromkeys([n for n, _ in acts.adopt] + [n for n, _ in acts.start]):
            adoptions = [a for n, a in acts.adopt if n == name]
            specs = [s for n, s in acts.start if n == name]
            self._handed.update((s.run_id, s.number) for s in (*[a.spec for a in adoptions], *specs))
            executor = self.executors.get(name)
            if executor is None:
                self._give_up(specs, Outcome.FAILED, "executor_missing", f"this node has no executor {name!r}")
                self._give_up([a.spec for a in adoptions], Outcome.LOST, "lost", f"this node has no executor {name!r}")
                continue
            if adoptions:
                self._guarded(lambda e=executor, a=adoptions: e.adopt(a), [a.spec for a in adoptions])  # type: ignore[misc]
            if specs:
                self._guarded(lambda e=executor, s=specs: e.start(s), specs)  # type: ignore[misc]
        for name, run_id, number in acts.forget:
            self._asked.discard((run_id, number))
            self._handed.discard((run_id, number))
            if name in self.executors:
                self._guarded(lambda e=self.executors[name], r=run_id, n=number: e.forget(r, n))  # type: ignore[misc]
        for name, run_id, number in acts.cancel:
            if (run_id, number) not in self._asked and name in self.executors:
                self._asked.add((run_id, number))
                self._guarded(lambda e=self.executors[name], r=run_id, n=number: e.cancel(r, n))  # type: ignore[misc]

    def missing(self, tx: Transaction, node_id: str) -> list[AttemptRecord]:
        """After a doubtful commit: this node's live attempts that no executor was ever given."""
        if not self.in_doubt:
            return []
        live = tx.live_attempts(node_id)
        self._handed &= {(a.run_id, a.number) for a in live}
        return [a for a in live if (a.run_id, a.number) not in self._handed]

    def _guarded(self, work: Callable[[], None], specs: list[AttemptSpec] | None = None) -> None:
        """No executor should raise; one that does must not take the scheduler with it."""
        try:
            work()
        except Exception as error:
            logger.exception("an executor raised")
            self._give_up(specs or [], Outcome.LOST, "executor_failed", f"the executor raised {error!r}")

    def _give_up(self, specs: list[AttemptSpec], outcome: Outcome, code: str, message: str) -> None:
        now: datetime = self.clock.now()
        for spec in specs:
            self.report(Ended(spec.run_id, spec.number, spec.token, outcome, now, error=Failure(code, message)))
