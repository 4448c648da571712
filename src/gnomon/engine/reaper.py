"""Takes over what dead nodes left: their live attempts get a new token and this node as owner."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Failure, Outcome
from gnomon.core.ports import Transaction
from gnomon.core.records import AttemptRecord, NodeRecord
from gnomon.core.timekeeping import Timekeeper, look_again

from .acts import Acts, Line
from .context import Context
from .specs import attempt_spec


@dataclass(slots=True)
class Reaper:
    """Finds nodes that stopped, died, or let their lease run out, and adopts their attempts."""

    context: Context
    host: str
    time: Timekeeper

    def step(self, tx: Transaction, now: datetime, dead: Collection[str], acts: Acts) -> None:
        """Adopt everything that has no living owner. Idempotent: adopted attempts are this node's."""
        lease_s = self.context.settings.lease_s
        for node in tx.nodes():
            if node.node_id == self.context.node_id:
                continue
            silent = self.time.silent(node.node_id, node.lease_until, now, lease_s)
            if node.stopped_at is None and node.node_id not in dead and not silent:
                acts.wake(look_again(node.lease_until, now, lease_s))
                continue
            orphans = tx.live_attempts(node.node_id)
            if orphans:
                self._adopt(tx, node, orphans, now, acts)
            if node.stopped_at is None:
                tx.put_node(replace(node, stopped_at=now))

    def reclaim(
        self, tx: Transaction, own: NodeRecord, forgotten: Collection[AttemptRecord], now: datetime, acts: Acts
    ) -> None:
        """Attempts this node claimed in a commit that it believed to have failed: nobody performs them yet."""
        if forgotten:
            self._adopt(tx, own, forgotten, now, acts)

    def _adopt(
        self, tx: Transaction, node: NodeRecord, orphans: Collection[AttemptRecord], now: datetime, acts: Acts
    ) -> None:
        taken = [replace(a, node_id=self.context.node_id, token=tx.next_token()) for a in orphans]
        refused = set(tx.update_attempts(taken, token={(a.run_id, a.number): a.token for a in orphans}))
        runs = tx.runs_by_id({a.run_id for a in taken})
        definitions = self.context.definitions.of(tx, list(runs.values()))
        adopted = 0
        for attempt in taken:
            run = runs.get(attempt.run_id)
            if run is None or (attempt.run_id, attempt.number) in refused:
                continue
            job = definitions.get((run.job_id, run.version))
            kind = None if job is None else self.context.task_types.resolve(job.task.type)
            if node.host != self.host or job is None or kind is None:
                acts.stillborn.append(_lost(attempt, now, f"its node {node.node_id} on {node.host} is gone"))
                continue
            try:
                spec = attempt_spec(self.context, tx, run, job, kind, attempt)
            except Exception:  # it may have begun all the same, with arguments that were right then
                spec = AttemptSpec(run.id, attempt.number, attempt.token, run.job_id, kind.name, {})
            acts.adopt.append((attempt.executor, Adoption(spec, attempt.handle, node.node_id)))
            adopted += 1
        acts.log.append(Line(logging.WARNING, f"took over {adopted} attempts of node {node.node_id} (pid {node.pid})"))


def _lost(attempt: AttemptRecord, now: datetime, message: str) -> Ended:
    return Ended(
        attempt.run_id,
        attempt.number,
        attempt.token,
        Outcome.LOST,
        finished_at=now,
        started_at=attempt.started_at,
        error=Failure("lost", message),
    )
