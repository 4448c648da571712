"""Claims queued runs for this node: an attempt and a fencing token each, then hands them to an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gnomon.core import lifecycle
from gnomon.core.admission import Room, admit
from gnomon.core.attempts import Ended, Failure, Outcome
from gnomon.core.errors import GnomonError, usage
from gnomon.core.model import Job, Overlap, Rate
from gnomon.core.ports import Transaction
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.replacing import replace
from gnomon.core.states import State

from .acts import Acts
from .blame import OWN_FAULTS, blamed
from .configuring import pinned
from .context import Context
from .pace import AHEAD_S, EARLY
from .specs import attempt_spec

PAGE = 200
MOST_PAGES = 10
"""Runs looked at in one step: what cannot start must not keep those behind it from starting, nor cost forever."""


@dataclass(slots=True)
class Dispatcher:
    """Fills this node's free slots.

    A long queue is looked at in parts: its head in every step, the rest from where the last step ended (`_from`),
    so that any number of runs that may not start never hides one that may. `_held`: jobs met on the way whose
    runs must keep their order; `_awaited`: pools of which runs met on the way wait for slots.
    """

    context: Context
    _from: RunRecord | None = None
    _held: set[str] = field(default_factory=set)
    _awaited: set[str] = field(default_factory=set)

    def step(self, tx: Transaction, now: datetime, acts: Acts) -> None:
        """Claim what may start; ask for a step when a rate limit or a delay is over."""
        live = tx.live_by_executor(self.context.node_id)
        free = self.context.settings.concurrency - sum(live.values())
        ahead = self.context.settings.claims_ahead if live.keys() <= EARLY else 0
        claimed = sum(live.values())
        room: Room | None = None
        for page in self._pages(tx, max(free, 0), ahead) if free > 0 or ahead > 0 else ():
            definitions = self.context.definitions.of(tx, page)
            rates = {key: job.rate for key, job in definitions.items() if job.rate is not None}
            room = self._room(tx, page, rates, now, room, free)
            room.alone = _alone(tx, page, definitions)
            short = self._short(definitions)
            room.ahead = max(0, min(ahead, self._line(short) - claimed)) if short else 0
            admission = admit((run for run in page if not _too_late(run, now)), room, rates, now, short.keys())
            claimed += len(admission.chosen)
            self._claim(tx, admission.chosen, definitions, now, acts)
            _note_waits(tx, page, admission.waits)
            acts.wake(admission.retry_at)
            if room.full or admission.closed:
                self._from = None
                break
        if room is not None and self._from is not None:
            self._held |= room.held_back
            self._awaited |= room.awaited
            acts.wake(now)
        elif room is not None:
            self._held, self._awaited = set(), set()

    def _short(self, definitions: Mapping[tuple[str, int], Job]) -> dict[tuple[str, int], float]:
        """Seconds of those jobs that are short and done by an executor with a line."""
        found = {}
        for key, job in definitions.items():
            seconds = self.context.pace.seconds(job)
            kind = self.context.task_types.resolve(job.task.type) if seconds is not None else None
            if seconds is not None and kind is not None and self.context.executor_of(kind) in EARLY:
                found[key] = seconds
        return found

    def _line(self, short: Mapping[tuple[str, int], float]) -> int:
        """How many of these may be claimed and not ended at one time."""
        slots = self.context.settings.concurrency
        return min(self.context.settings.claims_ahead, slots + int(AHEAD_S / max(*short.values(), 1e-4)))

    def _pages(self, tx: Transaction, free: int, ahead: int) -> Iterator[list[RunRecord]]:
        """The queue in parts. The first part is no larger than what can start, and some that may not."""
        size = min(PAGE, free * 2 + 30) if ahead == 0 else PAGE
        last: RunRecord | None = None
        resumed, self._from = self._from, None
        for number in range(MOST_PAGES):
            page = list(tx.queued(self.context.queues, size, last))
            last = page[-1] if page else None
            if number == 0 and resumed is not None and last is not None and _order(resumed) > _order(last):
                last = resumed
            self._from = last if len(page) == size else None
            if page:
                yield page
            if len(page) < size:
                return

    def _room(
        self,
        tx: Transaction,
        page: Iterable[RunRecord],
        rates: Mapping[tuple[str, int], Rate],
        now: datetime,
        before: Room | None,
        free: int,
    ) -> Room:
        """Facts about the jobs and pools of this page, on top of what earlier pages used up."""
        page = list(page)
        jobs = {run.job_id for run in page}
        pools = {pool for run in page for pool in run.pools}
        periods: dict[str, float] = {}
        for (job_id, _), rate in rates.items():
            periods[job_id] = max(rate.period_s, periods.get(job_id, 0.0))
        starts = {job_id: tx.starts_since(job_id, now - timedelta(seconds=s)) for job_id, s in periods.items()}
        if before is None:
            sizes = tx.pool_sizes() if pools else {}
            used = dict(tx.pool_use(pools)) if pools else {}
            return Room(free, sizes, used, tx.activity(jobs), starts)
        fresh = pools - before.pool_used.keys()
        before.pool_used.update(tx.pool_use(fresh) if fresh else {})
        before.pool_sizes = before.pool_sizes or (tx.pool_sizes() if pools else {})
        before.chosen_of = {}  # what was chosen before is counted in the store by now
        before.activity = tx.activity(jobs)
        before.starts = starts
        before.held_back |= self._held
        before.awaited |= self._awaited
        return before

    def _claim(
        self,
        tx: Transaction,
        chosen: Iterable[RunRecord],
        definitions: Mapping[tuple[str, int], Job],
        now: datetime,
        acts: Acts,
    ) -> None:
        claims = [
            (lifecycle.start(_pinned(tx, run, definitions.get((run.job_id, run.version))), now), State.QUEUED)
            for run in chosen
        ]
        refused = set(tx.update_runs(claims)) if claims else set()
        attempts = []
        for run, _ in claims:
            if run.id in refused:
                continue
            job = definitions.get((run.job_id, run.version))
            kind = None if job is None else self.context.task_types.resolve(job.task.type)
            executor = "none" if kind is None else self.context.executor_of(kind)
            attempt = AttemptRecord(run.id, run.attempts, tx.next_token(), self.context.node_id, now, executor)
            attempts.append(attempt)
            try:
                if job is None or kind is None:
                    raise _unknown(run, job)
                acts.start.append((executor, attempt_spec(self.context, tx, run, job, kind, attempt)))
            except Exception as error:
                acts.stillborn.append(_stillborn(attempt, error, now))
        if attempts:
            tx.insert_attempts(attempts)


def _alone(tx: Transaction, page: Iterable[RunRecord], definitions: Mapping[tuple[str, int], Job]) -> dict[str, int]:
    """Of jobs with `overlap: allow` that catch up: how many exclusive runs have begun."""
    caught_up = [run for run in page if run.exclusive and (run.job_id, run.version) in definitions]
    jobs = {r.job_id for r in caught_up if definitions[r.job_id, r.version].overlap is Overlap.ALLOW}
    begun = (State.RUNNING, State.RETRY_WAIT)
    return {job: sum(r.exclusive and r.state in begun for r in tx.active_runs(job)) for job in jobs}


def _pinned(tx: Transaction, run: RunRecord, job: Job | None) -> RunRecord:
    """With the version of its configuration, if that can be read: else its attempt says why not."""
    try:
        return pinned(tx, run, job)
    except OWN_FAULTS as error:
        blamed(run, error)
        return run


def _too_late(run: RunRecord, now: datetime) -> bool:
    """Whether its start_deadline has passed: the leader will skip it, and until then nobody starts it."""
    return run.deadline_at is not None and run.deadline_at < now and run.attempts == 0


def _unknown(run: RunRecord, job: Job | None) -> GnomonError:
    if job is None:
        return usage("definition_missing", f"version {run.version} of job {run.job_id} is not in the database")
    return usage("task_type_unknown", f"this node has no task type {job.task.type!r}")


def _order(run: RunRecord) -> tuple[int, datetime, str]:
    return -run.priority, run.due_at, run.id


def _stillborn(attempt: AttemptRecord, error: Exception, now: datetime) -> Ended:
    code, text = (error.code, str(error)) if isinstance(error, GnomonError) else ("internal_error", repr(error))
    return Ended(
        attempt.run_id,
        attempt.number,
        attempt.token,
        Outcome.FAILED,
        finished_at=now,
        error=Failure(code, text),
    )


def _note_waits(tx: Transaction, page: Iterable[RunRecord], waits: Mapping[str, str]) -> None:
    """Keep what each run waits for; write only what is new."""
    changed = [
        (replace(run, waiting_for=waits[run.id]), State.QUEUED)
        for run in page
        if run.id in waits and run.waiting_for != waits[run.id]
    ]
    if changed:
        tx.update_runs(changed)
