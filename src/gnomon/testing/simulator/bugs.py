"""Schedulers with one guard taken out, to see that the simulator notices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from gnomon.core import lifecycle, planning
from gnomon.core.attempts import Adoption, Ended, Outcome
from gnomon.core.deliveries import Delivery, Report
from gnomon.core.flows import Judgement, Verdict
from gnomon.core.model import CatchUp, CatchUpMode
from gnomon.core.ports import Reader, Store, Transaction
from gnomon.core.records import Activity, AttemptRecord, JobRecord, RunRecord, ScheduleRecord, SkipRecord
from gnomon.core.reports import BAD_RESULT
from gnomon.core.states import State
from gnomon.core.timekeeping import Timekeeper
from gnomon.engine import alerting, dispatcher, node, notifier, planner, progress
from gnomon.engine.elector import Elector
from gnomon.engine.performer import Performer
from gnomon.engine.reaper import Reaper
from gnomon.operations import definitions
from gnomon.stores.sql.prune import PruneWrites

from .world import SimExecutor

T = TypeVar("T")


class _Proxy:
    """A transaction with some methods replaced."""

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tx, name)


class _Unfenced(_Proxy):
    """Accepts reports under any token."""

    def update_attempts(
        self, records: Sequence[AttemptRecord], *, token: Mapping[tuple[str, int], int] | None = None
    ) -> Collection[tuple[str, int]]:
        stored = {(r.run_id, r.number): self.tx.attempt(r.run_id, r.number) for r in records}
        current = {key: a.token for key, a in stored.items() if a is not None}
        if token is not None:
            return self.tx.update_attempts(records, token=current)
        return self.tx.update_attempts([replace(r, token=current[r.run_id, r.number]) for r in records])


class _Keyless(_Proxy):
    """Knows no unique run key, and leaves the moving of cursors to a transaction of its own."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.later: list[ScheduleRecord] = []

    def insert_runs(self, records: Sequence[RunRecord]) -> Collection[str]:
        return self.tx.insert_runs([replace(r, run_key=f"{r.run_key}|{r.id}") for r in records])

    def advance_schedules(self, records: Sequence[ScheduleRecord]) -> Collection[str]:
        self.later += records
        return ()


class _BuggyStore:
    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, work: Callable[[Reader], T]) -> T:
        return self._store.read(work)

    def data_version(self) -> int:
        return self._store.data_version()

    def close(self) -> None:
        self._store.close()


class UnfencedStore(_BuggyStore):
    """Without fencing tokens."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self._store.write(lambda tx: work(_Unfenced(tx)))


class KeylessStore(_BuggyStore):
    """Without the unique run key, and the cursor moved in a second transaction."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        later: list[ScheduleRecord] = []

        def first(tx: Transaction) -> T:
            proxy = _Keyless(tx)
            answer = work(proxy)
            later.extend(proxy.later)
            return answer

        answer = self._store.write(first)
        if later:
            self._store.write(lambda tx: tx.advance_schedules(later))
        return answer


class _Blind(_Proxy):
    """Sees no active runs."""

    def activity(self, job_ids: Collection[str]) -> Mapping[str, Activity]:
        return {}


class _Poolless(_Proxy):
    """Sees no pool in use."""

    def pool_use(self, pools: Collection[str]) -> Mapping[str, int]:
        return {}


class _Skipless(_Proxy):
    """Drops skips."""

    def insert_skips(self, records: Sequence[SkipRecord]) -> None:
        pass


class _Stale(_Proxy):
    """Shows the queue as it was a while ago, and takes every claim (no compare-and-set)."""

    def __init__(self, tx: Transaction, before: list[RunRecord]) -> None:
        super().__init__(tx)
        self.before = before

    def queued(self, queues: Collection[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        now = list(self.tx.queued(queues, limit, after))
        known = {run.id for run in now}
        shown = [*now, *(run for run in self.before if run.id not in known)]
        self.before[:] = now
        return shown

    def update_runs(self, changes: Sequence[tuple[RunRecord, State]]) -> Collection[str]:
        stored = self.tx.runs_by_id([run.id for run, _ in changes])
        return self.tx.update_runs([(run, stored[run.id].state) for run, _ in changes])


class _Rateless(_Proxy):
    """Knows no earlier starts."""

    def starts_since(self, job_id: str, since: datetime) -> Sequence[datetime]:
        return ()


class _Unsorted(_Proxy):
    """Queues by due time alone."""

    def queued(self, queues: Collection[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        return sorted(self.tx.queued(queues, limit, after), key=lambda run: (run.due_at, run.id))


class _Unpausing(_Proxy):
    """Forgets that the scheduler paused a job."""

    def update_job(self, record: JobRecord) -> None:
        self.tx.update_job(replace(record, paused_at=None) if record.paused_by == "scheduler" else record)


class _Unordered(_Proxy):
    """Messages do not wait for those before them."""

    def pending_deliveries(self, limit: int, without: Collection[str] = ()) -> Sequence[Delivery]:
        found = [d for i in self.tx.incidents(limit=1000).items for d in self.tx.deliveries_of(i.id)]
        pending = [d for d in found if d.next_at is not None and d.channel not in without]
        return sorted(pending, key=lambda d: (d.next_at, -d.id))[:limit]


class _ProxyStore(_BuggyStore):
    """Every transaction through a proxy."""

    def __init__(self, store: Store, proxy: Callable[[Transaction], Any]) -> None:
        super().__init__(store)
        self._proxy = proxy

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self._store.write(lambda tx: work(self._proxy(tx)))


def _through(proxy: Callable[[Transaction], Any]) -> Callable[[Store], Store]:
    return lambda store: _ProxyStore(store, proxy)


def _stale(store: Store) -> Store:
    before: list[RunRecord] = []
    return _ProxyStore(store, lambda tx: _Stale(tx, before))


def _swapped(owner: Any, name: str, make: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[object]]:
    """A function of the scheduler, replaced while a simulation runs; `make` gets the real one."""

    @contextmanager
    def swapped() -> Iterator[None]:
        real = getattr(owner, name)
        setattr(owner, name, make(real))
        try:
            yield
        finally:
            setattr(owner, name, real)

    return swapped


def _lost_is_success(real: Any) -> Any:
    def after(run: RunRecord, job: Any, ended: Ended, now: datetime, uniform: float) -> RunRecord:
        if ended.outcome is Outcome.LOST and not ended.never_started:
            ended = replace(ended, outcome=Outcome.SUCCEEDED)
        answer: RunRecord = real(run, job, ended, now, uniform)
        return answer

    return after


def _any_number(real: Any) -> Any:
    """No max_active."""
    return lambda candidates, *rest: real((replace(run, max_active=None) for run in candidates), *rest)


def _everything_caught_up(real: Any) -> Any:
    return lambda entry, job, *rest: real(entry, replace(job, catch_up=CatchUp(CatchUpMode.ALL)), *rest)


def _however_old(real: Any) -> Any:
    return lambda entry, job, *rest: real(entry, replace(job, catch_up=replace(job.catch_up, max_age_s=None)), *rest)


def _no_skips(real: Any) -> Any:
    return lambda *args: (real(*args)[0], ())


def _always_urgent(real: Any) -> Any:
    """Every failure is told, whether people know of the incident or not."""
    return lambda signs, *rest: real([replace(sign, urgent=True) for sign in signs], *rest)


def _never_again(real: Any) -> Any:
    """What did not arrive is given up."""

    def after(report: Report, now: datetime) -> Any:
        return replace(real(report, now), next_at=None)

    return after


def _intents_ignored(real: Any) -> Any:
    """A successor that does not look whether its predecessor was stopping what it adopts."""

    def adopt(executor: SimExecutor, orphans: Sequence[Adoption]) -> None:
        for orphan in orphans:
            process = executor.world.processes.get((orphan.spec.run_id, orphan.spec.number))
            if process is not None:
                process.stopping = None
        real(executor, orphans)

    return adopt


@contextmanager
def _open_gate() -> Iterator[None]:
    """Whatever is reported goes on as it is, and one report that cannot be written spoils the step."""
    gate = _swapped(node, "received", lambda real: lambda event, now: event)
    net = _swapped(node.Node, "_one_by_one", lambda real: lambda self, now: False)
    with gate(), net():
        yield


def _bad_is_failed(real: Any) -> Any:
    """A result that cannot be kept makes a failure of what was done."""

    def judged(event: Any, now: datetime) -> Any:
        kept = real(event, now)
        bad = isinstance(kept, Ended) and kept.error is not None and kept.error.code == BAD_RESULT
        return replace(kept, outcome=Outcome.FAILED) if bad else kept

    return judged


def _believed(real: Any) -> Any:
    """A lead lasts as long as is written, by whatever clock, also of a node that has stopped."""
    return lambda self, tx, leader, now: leader.lease_until > now


@dataclass(frozen=True, slots=True)
class Bug:
    """A guard taken out: of the store, or of a function of the scheduler. `clocks`: it shows when the clock is set;
    `retention`: when it is asked what may be removed."""

    store: Callable[[Store], Store] = lambda store: store
    clocks: bool = False
    retention: bool = False
    patch: Callable[[], AbstractContextManager[object]] = nullcontext


BUGS: Mapping[str, Bug] = {
    "no_fence": Bug(UnfencedStore),
    "no_key_no_transaction": Bug(KeylessStore),
    "overlap_ignored": Bug(_through(_Blind)),
    "pools_ignored": Bug(_through(_Poolless)),
    "skips_dropped": Bug(_through(_Skipless)),
    "double_claim": Bug(_stale),
    "lost_is_success": Bug(patch=_swapped(lifecycle, "after_attempt", _lost_is_success)),
    "resume_without_skip": Bug(patch=_swapped(definitions, "wake_entry", _no_skips)),
    "upstreams_ignored": Bug(patch=_swapped(progress, "judge", lambda real: lambda *_: Judgement(Verdict.GO))),
    "never_reaped": Bug(patch=_swapped(Reaper, "step", lambda real: lambda *_: None)),
    "edit_without_settling": Bug(patch=_swapped(definitions, "settle", lambda real: lambda *_: None)),
    "rate_ignored": Bug(_through(_Rateless)),
    "priority_ignored": Bug(_through(_Unsorted)),
    "pause_after_ignored": Bug(_through(_Unpausing)),
    "max_active_ignored": Bug(patch=_swapped(dispatcher, "admit", _any_number)),
    "deadline_ignored": Bug(patch=_swapped(dispatcher, "_too_late", lambda real: lambda *_: False)),
    "retry_on_ignored": Bug(patch=_swapped(lifecycle, "_wanted", lambda real: lambda *_: True)),
    "catch_up_all": Bug(patch=_swapped(planning, "_catch_up", _everything_caught_up)),
    "max_age_ignored": Bug(patch=_swapped(planning, "_catch_up", _however_old)),
    "replace_cancels_nothing": Bug(patch=_swapped(planner, "_cancel_active", lambda real: lambda *_: [])),
    "replace_keeps_both": Bug(patch=_swapped(planner, "_superseded", lambda real: lambda plans, _: dict(plans))),
    "window_ignored": Bug(patch=_swapped(progress, "judge_window", lambda real: lambda *_: Judgement(Verdict.GO))),
    "alerts_each_time": Bug(patch=_swapped(alerting, "judge", _always_urgent)),
    "alerts_unordered": Bug(_through(_Unordered)),
    "alerts_lost": Bug(patch=_swapped(notifier, "after_try", _never_again)),
    "intents_ignored": Bug(patch=_swapped(SimExecutor, "adopt", _intents_ignored)),
    "bad_value_stops_all": Bug(patch=_open_gate),
    "bad_result_is_failure": Bug(patch=_swapped(node, "received", _bad_is_failed)),
    "lease_believed": Bug(clocks=True, patch=_swapped(Elector, "_holds", _believed)),
    "clock_believed": Bug(clocks=True, patch=_swapped(Timekeeper, "trusted", lambda real: property(lambda self: True))),
    "flows_forgotten": Bug(
        retention=True, patch=_swapped(PruneWrites, "standing_flows", lambda real: lambda *_: frozenset())
    ),
    "upstreams_forgotten": Bug(
        retention=True, patch=_swapped(PruneWrites, "_outside", lambda real: lambda self, job_id, some: iter(some))
    ),
    "doubt_forgotten": Bug(patch=_swapped(Performer, "missing", lambda real: lambda *_: [])),
}
