"""Takes what executors report into the store. A report with an old token changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gnomon.core import lifecycle
from gnomon.core.attempts import Ended, Event, Failure, Heartbeat, Outcome, Started
from gnomon.core.handover import words
from gnomon.core.model import Job, OnLost, Task
from gnomon.core.ports import Transaction
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.replacing import replace
from gnomon.core.states import FINAL, State

from .acts import Acts, Line
from .alerting import Alerting
from .context import Context

_SHOWN = 1000
"""Characters of a message in the service log; all that is kept of it is with the attempt."""


@dataclass(slots=True)
class Intake:
    """Applies `Started` and `Ended`; duplicates and latecomers are harmless."""

    context: Context

    def step(self, tx: Transaction, events: Sequence[Event], now: datetime, acts: Acts) -> list[RunRecord]:
        """Apply events in order; returns the runs that are over because of them."""
        if not events:
            return []
        ids = {e.run_id for e in events}
        attempts = {(a.run_id, a.number): a for some in tx.attempts(ids).values() for a in some}
        runs = dict(tx.runs_by_id(ids))
        touched: dict[tuple[str, int], AttemptRecord] = {}
        events = _newest_tokens(events)
        for event in events:
            key = event.run_id, event.number
            attempt = attempts.get(key)
            if attempt is None or attempt.outcome is not None:
                self._forget(event, attempt, acts)
                continue
            if attempt.token != event.token:  # the store accepts it only if that is the stored token
                attempt = replace(attempt, token=event.token)
            match event:
                case Started():
                    attempts[key] = touched[key] = replace(attempt, started_at=event.at, handle=event.handle)
                case Ended():
                    attempts[key] = touched[key] = _ended(attempt, event)
                case Heartbeat():
                    continue
        refused = set(tx.update_attempts(list(touched.values()))) if touched else set()
        accepted = [e for e in events if (e.run_id, e.number) in touched.keys() - refused]
        return self._runs(tx, accepted, runs, attempts, now, acts)

    def _runs(
        self,
        tx: Transaction,
        events: Iterable[Event],
        runs: dict[str, RunRecord],
        attempts: dict[tuple[str, int], AttemptRecord],
        now: datetime,
        acts: Acts,
    ) -> list[RunRecord]:
        before = dict(runs)
        definitions = self.context.definitions.of(tx, list(runs.values()))
        for event in events:
            run = runs.get(event.run_id)
            attempt = attempts[event.run_id, event.number]
            if run is None or run.state is not State.RUNNING or run.attempts != event.number:
                continue
            match event:
                case Started():
                    runs[run.id] = lifecycle.begun(run, event.at)
                case Ended():
                    job = definitions.get((run.job_id, run.version)) or _unknown(run)
                    runs[run.id] = lifecycle.after_attempt(run, job, event, now, self.context.entropy.uniform())
                    self.context.pace.saw(job, event.duration_s, attempt.executor)
                    acts.forget.append((attempt.executor, run.id, event.number))
                    acts.log.append(_log_line(runs[run.id], event))
                case Heartbeat():
                    pass
        changed = [(run, before[run.id].state) for run in runs.values() if run is not before[run.id]]
        refused = set(tx.update_runs(changed)) if changed else set()
        begun = [r for r, _ in changed if r.started_at and before[r.id].started_at is None and r.id not in refused]
        Alerting(self.context).begun(tx, begun, now, acts)
        return [run for run, _ in changed if run.state in FINAL and run.id not in refused]

    def _forget(self, event: Event, attempt: AttemptRecord | None, acts: Acts) -> None:
        """The end of an attempt that is closed already: nothing needs to be kept for it."""
        if isinstance(event, Ended) and attempt is not None and attempt.outcome is not None:
            acts.forget.append((attempt.executor, event.run_id, event.number))


def _unknown(run: RunRecord) -> Job:
    """Stands for a definition that is not in the database: nothing is tried again."""
    return Job(run.job_id, Task("unknown"), on_lost=OnLost.FAIL)


def _newest_tokens(events: Sequence[Event]) -> list[Event]:
    """Of reports about one attempt under several tokens (it was lost to another node and came back), the newest's."""
    newest: dict[tuple[str, int], int] = {}
    for event in events:
        key = event.run_id, event.number
        newest[key] = max(event.token, newest.get(key, 0))
    return [e for e in events if e.token == newest[e.run_id, e.number]]


def _ended(attempt: AttemptRecord, event: Ended) -> AttemptRecord:
    return replace(
        attempt,
        started_at=event.started_at or attempt.started_at,
        finished_at=event.finished_at,
        outcome=event.outcome,
        exit_code=event.exit_code,
        error=event.error,
        duration_s=event.duration_s,
        log_bytes=event.log_bytes,
    )


def _brief(error: Failure) -> str:
    return f"{error.code}: {words(error.message, _SHOWN)}"


def _log_line(run: RunRecord, ended: Ended) -> Line:
    """Job id, ISO time, SUCCESS or FAILURE, exit code, duration."""
    good = ended.outcome is Outcome.SUCCEEDED
    at = ended.finished_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    code = "-" if ended.exit_code is None else str(ended.exit_code)
    took = "-" if ended.duration_s is None else f"{ended.duration_s:.3f}s"
    text = f"{run.job_id} {at} {'SUCCESS' if good else 'FAILURE'} exit={code} duration={took}"
    if not good:
        why = "" if ended.error is None else f" {_brief(ended.error)}"
        text += f" {ended.outcome}{why} -> {run.state}"
    elif ended.error is not None:
        text += f" ({_brief(ended.error)})"
    about = {
        "job_id": run.job_id,
        "run_id": run.id,
        "flow_id": run.flow_id,
        "attempt": ended.number,
        "outcome": str(ended.outcome),
        "state": str(run.state),
        "duration_s": ended.duration_s,
        "exit_code": ended.exit_code,
        "error": None if ended.error is None else ended.error.code,
    }
    return Line(logging.INFO if good else logging.WARNING, f"{text} run={run.id} attempt={ended.number}", about)
