"""The invariants (docs/semantics.md), asked of the store and the world after every step and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gnomon.core.attempts import Ended, Outcome
from gnomon.core.lifecycle import MOST_LOST
from gnomon.core.model import Job, OnLost, When
from gnomon.core.ports import Reader
from gnomon.core.records import AttemptRecord, Cause, RunFilter, RunRecord
from gnomon.core.states import FINAL, TRANSITIONS, State

from .author import JOIN
from .oracle import Oracle
from .parts import Part, Seen, Violation, all_parts
from .parts import demand as _demand
from .world import World


def _reachable() -> Mapping[State, frozenset[State]]:
    """States that some legal path leads to, from each."""
    found = {s: {s} for s in State}
    for _ in State:
        for (source, _event), target in TRANSITIONS.items():
            for state in State:
                if source in found[state]:
                    found[state].add(target)
    return {state: frozenset(states) for state, states in found.items()}


_REACHABLE = _reachable()
_EVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


__all__ = ["Checks", "Violation"]


@dataclass(slots=True)
class Checks:
    """Remembers what it saw, to see what must not change."""

    world: World
    oracle: Oracle
    concurrency: int
    pools: Mapping[str, int]
    jobs: Callable[[RunRecord], Job]
    states: dict[str, State] = field(default_factory=dict)
    closed: dict[tuple[str, int], AttemptRecord] = field(default_factory=dict)
    claimed: set[tuple[str, int]] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    attempts: dict[str, tuple[AttemptRecord, ...]] = field(default_factory=dict)
    before: dict[str, RunRecord] = field(default_factory=dict)
    seq: int = 0
    parts: list[Part] = field(default_factory=all_parts)

    def after_step(self, reader: Reader, reports: Sequence[Ended]) -> None:
        """I3, I4, I6, I7 and the cheap half of I1. `reports`: all that the node that stepped was ever told."""
        self._look(reader)
        runs, attempts = list(self.runs.values()), self.attempts
        self._states(runs)
        self._fires_once(runs)
        self._exclusion(runs, attempts)
        self._pools(runs, attempts)
        self._attempts(runs, attempts, reports)
        self._flows(runs)
        self._honest(runs, attempts)
        seen = Seen(reader, runs, attempts, self.before, self.jobs)
        for part in self.parts:
            part.after_step(seen)
        self.before = dict(self.runs)
        for key, count in self.world.begun.items():
            _demand(count == 1, f"I4: attempt {key} began {count} times")

    def _look(self, reader: Reader) -> None:
        """Read what the feed of changes names; everything, if the feed does not reach back. `at_end` reads it all."""
        changes = reader.changes(self.seq, limit=100_000)
        last = reader.last_change()
        if self.seq == 0 or len(changes) != last - self.seq:
            touched = {run.id for run in _all_runs(reader)}
            self.runs.clear()
            self.attempts.clear()
        else:
            touched = {run_id for change in changes for run_id in change.ids.get("runs", ())}
        found = reader.runs_by_id(touched)
        for run_id in touched - found.keys():
            self.runs.pop(run_id, None)
        self.runs.update(found)
        self.attempts.update(reader.attempts(touched))
        self.seq = last

    def at_end(self, reader: Reader, now: datetime) -> None:
        """I1, I2, I5: every fire time decided once, nothing else fired, everything ended."""
        runs = _all_runs(reader)
        self._look(reader)
        _demand(self.runs == {run.id: run for run in runs}, "the feed of changes left a run out")
        kept, there = reader.ended_counts(*_EVER), Counter(run.state for run in runs if run.state in FINAL)
        _demand(dict(kept) == dict(there), f"the kept counts of what is over are {kept}, there are {there}")
        for run in runs:
            if self.may_wait(run, now):
                continue
            _demand(run.state in FINAL, f"I5: run {run.id} of {run.job_id} never ended: {run.state}, {run.waiting_for}")
        for schedule_id in self.oracle.segments:
            self._complete(reader, schedule_id, [r for r in runs if r.schedule_id == schedule_id], now)

    def may_wait(self, run: RunRecord, now: datetime) -> bool:
        """Whether a run need not be over at the end."""
        return (run.job_id == JOIN and run.state is State.WAITING) or any(p.may_wait(run, now) for p in self.parts)

    def _complete(self, reader: Reader, schedule_id: str, runs: list[RunRecord], now: datetime) -> None:
        expected = set(self.oracle.fires(schedule_id, now))
        ran = {r.fire_at for r in runs if r.fire_at is not None}
        job_id = schedule_id.rpartition(":")[0]
        skips = [s for s in reader.skips(job_id, limit=100_000) if s.schedule_id == schedule_id]
        skipped: Counter[datetime] = Counter()
        for skip in skips:
            covered = [at for at in expected if skip.first_at <= at <= skip.last_at]
            _demand(
                len(covered) == skip.count,
                f"I1: a skip of {schedule_id} says {skip.count} fires from {skip.first_at} to {skip.last_at}, "
                f"the oracle {len(covered)}",
            )
            skipped.update(covered)
        ghosts = ran - expected
        _demand(not ghosts, f"I2: {schedule_id} ran at {sorted(ghosts)[:3]}, which no definition names")
        for at in expected:
            total = (at in ran) + skipped[at]
            _demand(total == 1, f"I1: {schedule_id} at {at} has {int(at in ran)} runs and {skipped[at]} skips")

    def _states(self, runs: list[RunRecord]) -> None:
        for run in runs:
            before = self.states.get(run.id, run.state)
            legal = run.state in _REACHABLE[before]
            _demand(legal, f"I7: run {run.id} went from {before} to {run.state}")
            self.states[run.id] = run.state

    def _fires_once(self, runs: list[RunRecord]) -> None:
        counts = Counter((r.schedule_id, r.fire_at) for r in runs if r.fire_at is not None)
        twice = [key for key, count in counts.items() if count > 1]
        _demand(not twice, f"I1: fire times with more than one run: {twice[:3]}")

    def _exclusion(self, runs: list[RunRecord], attempts: Mapping[str, tuple[AttemptRecord, ...]]) -> None:
        by_id = {run.id: run for run in runs}
        live = [a for some in attempts.values() for a in some if a.outcome is None]
        per_node = Counter(a.node_id for a in live)
        fresh = {a.node_id for a in live if (a.run_id, a.number) not in self.claimed}
        self.claimed.update((a.run_id, a.number) for a in live)
        for node_id in fresh:
            _demand(
                per_node[node_id] <= self.concurrency, f"I3: node {node_id} claimed beyond {self.concurrency} slots"
            )
        for job_id, count in Counter(by_id[a.run_id].job_id for a in live if by_id[a.run_id].exclusive).items():
            _demand(count <= 1, f"I3: job {job_id} has {count} live attempts")
        processes = Counter(by_id[run_id].job_id for run_id, _ in self.world.alive() if by_id[run_id].exclusive)
        for job_id, count in processes.items():
            _demand(count <= 1, f"I3: job {job_id} has {count} processes at once")

    def _pools(self, runs: list[RunRecord], attempts: Mapping[str, tuple[AttemptRecord, ...]]) -> None:
        live = [run for run in runs if any(a.outcome is None for a in attempts.get(run.id, ()))]
        for pool, size in self.pools.items():
            users = [run for run in live if pool in run.pools]
            used = sum(run.pools[pool] for run in users)
            _demand(used <= size or len(users) == 1, f"I3: {used} slots of pool {pool} are taken, of {size}")

    def _flows(self, runs: list[RunRecord]) -> None:
        """What begins after others begins after they ended as required; what is skipped for them, rightly."""
        by_flow: dict[tuple[str, str], list[RunRecord]] = {}
        ever: dict[str, list[RunRecord]] = {}
        for run in runs:
            by_flow.setdefault((run.flow_id, run.job_id), []).append(run)
            ever.setdefault(run.job_id, []).append(run)
        for run in runs:
            if run.cause is not Cause.DOWNSTREAM or run.id in self.judged or run.state is State.WAITING:
                continue
            self.judged.add(run.id)
            if run.attempts == 0 and run.reason not in ("upstream_failed", "upstream_not_failed"):
                continue
            good = []
            for needed in self.jobs(run).depends_on:
                inside = by_flow.get((run.flow_id, needed.job))
                upstreams = inside if inside else ever.get(needed.job, [])
                good.append(any(_satisfies(up, needed.when) for up in upstreams))
            if run.attempts:
                _demand(all(good), f"flow: {run.job_id} {run.id} began before its upstreams ended as required")
            else:
                _demand(not all(good), f"flow: {run.job_id} {run.id} was skipped though its upstreams are fine")

    def _honest(self, runs: list[RunRecord], attempts: Mapping[str, tuple[AttemptRecord, ...]]) -> None:
        """A run is what its last attempt was, and that what its process was."""
        for run in runs:
            for attempt in attempts.get(run.id, ()):
                process = self.world.processes.get((run.id, attempt.number))
                good = process is not None and process.exit_code == 0 and process.stopping is None
                wrong = good and attempt.outcome is Outcome.FAILED
                _demand(not wrong, f"run {run.id} says that it failed; its process did what it had to")
            if run.state is not State.SUCCEEDED:
                continue
            last = attempts[run.id][-1]
            process = self.world.processes.get((run.id, last.number))
            good = process is not None and process.exit_code == 0 and last.outcome is Outcome.SUCCEEDED
            _demand(good, f"run {run.id} of {run.job_id} says it succeeded; its process did not")

    def _attempts(
        self, runs: list[RunRecord], attempts: Mapping[str, tuple[AttemptRecord, ...]], reports: Sequence[Ended]
    ) -> None:
        for run in runs:
            job = self.jobs(run)
            began = sum(self.world.begun.get((run.id, a.number), 0) for a in attempts.get(run.id, ()))
            allowed = job.restarts + 1 + (MOST_LOST if job.on_lost is OnLost.RERUN else 0)
            _demand(began <= allowed, f"I6: run {run.id} began {began} times, {allowed} allowed")
            if job.on_lost is OnLost.FAIL and job.restarts == 0:
                _demand(began <= 1, f"I6: run {run.id} is at most once, and began {began} times")
            for attempt in attempts.get(run.id, ()):
                self._closing(attempt, reports)

    def _closing(self, attempt: AttemptRecord, reports: Sequence[Ended]) -> None:
        """A closed attempt stays as it was closed, and was closed by the holder of its newest token."""
        key = attempt.run_id, attempt.number
        if attempt.outcome is None:
            _demand(key not in self.closed, f"I4: attempt {key} was reopened")
            return
        if key in self.closed:
            _demand(self.closed[key] == attempt, f"I4: attempt {key} was closed a second time")
            return
        why = self.world.stopped.get(key)
        meant = why is None or attempt.outcome.value in (why, Outcome.LOST.value)
        _demand(meant, f"attempt {key} was stopped ({why}), and says {attempt.outcome}")
        self.closed[key] = attempt
        tokens = {r.token for r in reports if (r.run_id, r.number) == key}
        _demand(not tokens or attempt.token in tokens, f"I4: attempt {key} was closed by an old token")


def _all_runs(reader: Reader) -> list[RunRecord]:
    found: list[RunRecord] = []
    cursor: str | None = None
    while True:
        page = reader.runs(RunFilter(), limit=1000, cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def _satisfies(run: RunRecord, when: When) -> bool:
    match when:
        case When.SUCCEEDED:
            return run.state is State.SUCCEEDED
        case When.FINISHED:
            return run.state in FINAL
        case When.FAILED:
            return run.state is State.FAILED
