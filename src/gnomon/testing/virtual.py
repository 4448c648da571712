"""Schedules tested in milliseconds: the real engine on a clock that a test moves."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, Unpack

from gnomon.app import registries
from gnomon.core.alerts import SETTING
from gnomon.core.attempts import AttemptSpec
from gnomon.core.errors import UsageError
from gnomon.core.model import Job as Definition
from gnomon.core.ports import Transaction
from gnomon.core.records import NodeRecord, SkipRecord, Source, SourceKind
from gnomon.core.states import State
from gnomon.core.values import Json, JsonObject
from gnomon.engine.context import Context
from gnomon.engine.node import Node
from gnomon.engine.settings import EngineSettings
from gnomon.jobfiles.uses import Content
from gnomon.jobfiles.validating import judge_path
from gnomon.operations import jobs as job_operations
from gnomon.operations import runs as run_operations
from gnomon.operations import why as why_operations
from gnomon.operations.building import build_job
from gnomon.operations.configurations import save_configuration
from gnomon.operations.context import Desk
from gnomon.operations.definitions import retire, upsert
from gnomon.operations.lookup import find_job
from gnomon.operations.moments import Moment
from gnomon.operations.settings import load_settings
from gnomon.scheduler.functions import reference_of
from gnomon.scheduler.policies import Policies
from gnomon.scheduler.reading import ALL, read_job, read_jobs, read_run, read_runs
from gnomon.scheduler.schedules import Duration, Schedule, one_schedule
from gnomon.scheduler.views import Job, Run
from gnomon.stores.memory import MemoryStore
from gnomon.system.clock import SeededEntropy, VirtualClock

from .simulator.simulation import NoLogs
from .virtual_courier import VirtualCourier
from .virtual_executor import Ending, VirtualExecutor

F = TypeVar("F", bound=Callable[..., Any])
MOST_STEPS = 1_000_000
FAR_S = 36500 * 86400.0


class VirtualScheduler:
    """A scheduler whose time passes only in `advance`. Decisions, limits, retries and history are the real ones.

    It has the methods of `gnomon.Scheduler`, so a function that defines jobs can be given either. Nothing is executed:
    attempts take no time and succeed, unless `when` says otherwise. It begins started; `stop` and `start` play a
    downtime.

    Args:
        start: the instant it begins at: aware, or ISO 8601 text with offset.
        timezone: zone of schedules that name none.
        concurrency: how many runs at once.
        pools: slots of named pools.
        alerts: as of `Scheduler`. Nothing is sent: `alerts` has what would have been.

    >>> scheduler = VirtualScheduler("2026-03-28T12:00:00Z", timezone="Europe/Berlin")
    >>> job = scheduler.add_job("report", cron="30 2 * * *")
    >>> scheduler.advance(days=2)
    >>> [fire.isoformat() for fire in scheduler.fires("report")]
    ['2026-03-29T01:00:00+00:00', '2026-03-30T00:30:00+00:00']
    """

    def __init__(
        self,
        start: datetime | str = "2030-01-01T00:00:00Z",
        *,
        timezone: str = "UTC",
        concurrency: int = 10,
        pools: Mapping[str, int] | None = None,
        alerts: Mapping[str, Any] | None = None,
    ) -> None:
        begin = datetime.fromisoformat(start) if isinstance(start, str) else start
        if begin.tzinfo is None:
            raise ValueError("start needs an offset: 2030-01-01T00:00:00Z")
        self.clock = VirtualClock(begin.astimezone(UTC))
        self._kinds, self._types = registries()
        self._store = MemoryStore(self.clock)
        self._entropy = SeededEntropy(0)
        self._settings = EngineSettings(concurrency=concurrency, lease_s=FAR_S, claims_ahead=0, housekeeping=False)
        self._endings: dict[str, Ending] = {}
        self._functions: dict[str, Callable[..., Any] | str] = {}
        self._desk = Desk(self._store, self.clock, NoLogs(), self._context("desk"), "test", timezone)
        self._executors = {n: VirtualExecutor(n, self.clock, self._endings) for n in ("commands", "pool", "shared")}
        self._store.write(lambda tx: tx.put_pools(dict(pools or {}), "settings"))
        general = load_settings({}, {}, search=False, alerts=alerts or {}).alerts.general
        self._store.write(lambda tx: tx.put_setting(SETTING, json.dumps(general.view())))
        self.courier = VirtualCourier(self._store)
        self._starts = 0
        self._node: Node | None = None
        self.start()

    # ---- time ----------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The virtual instant, aware UTC."""
        return self.clock.now()

    def advance(self, **duration: float) -> None:
        """Let time pass (arguments of `timedelta`), jumping from one thing that is due to the next."""
        self.advance_to(self.now + timedelta(**duration))

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until `moment` (aware)."""
        for _ in range(MOST_STEPS):
            wake_at = self._settle()
            ends = [end for e in self._executors.values() if (end := e.next_end()) is not None]
            coming = [at for at in (wake_at, *ends) if at is not None and at > self.now]
            target = min([moment, *coming])
            if target > self.now:
                self.clock.advance((target - self.now).total_seconds())
                self._set(target)
            if target >= moment:
                self._settle()
                return
        raise AssertionError(f"more than {MOST_STEPS} steps until {moment}: is a job firing without end?")

    def stop(self) -> None:
        """The scheduler goes down; time may pass, attempts go on, nothing is decided."""
        if self._node is not None:
            node, self._node = self._node, None
            node.leave()

    def start(self) -> None:
        """The scheduler comes up (again)."""
        if self._node is None:
            self._starts += 1
            context = self._context(f"node{self._starts}")
            far = self.now + timedelta(seconds=FAR_S)
            slots = self._settings.concurrency
            record = NodeRecord(context.node_id, "test", self._starts, "boot", None, self.now, far, slots, "test")
            self._node = Node(context, self._store, self.clock, NoLogs(), self._executors, record)
            self._node.notifier.courier = self.courier
            self._node.open()
            self._node.startup_pending = True
            self._settle()

    # ---- jobs ----------------------------------------------------------------------------------

    def add_job(
        self,
        id: str,
        func: Callable[..., Any] | str = "builtins:print",
        *,
        interval: Duration | None = None,
        cron: str | None = None,
        at: datetime | str | None = None,
        schedule: Schedule | Sequence[Schedule] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        task: Mapping[str, Any] | None = None,
        **policies: Unpack[Policies],
    ) -> Job:
        """As `Scheduler.add_job`; the function is not called, unless `when(id, calls=True)` says so."""
        call = {"type": "python", "callable": _named(func), "args": list(args), "kwargs": dict(kwargs or {})}
        document: dict[str, object] = {**policies, "job_id": id, "task": call if task is None else task}
        when = one_schedule(interval, cron, at, schedule)
        if when is not None:
            document["schedules" if isinstance(when, list | tuple) else "schedule"] = when
        self._functions[id] = func
        job = build_job(document, self._kinds, self._types, self._desk.timezone)
        job_operations.check_dependencies(self._desk, job)
        job_operations.save_job(self._desk, job, Source(SourceKind.PYTHON))
        self._settle()
        found = self.get_job(id)
        assert found is not None
        return found

    def job(self, id: str | None = None, **options: Any) -> Callable[[F], F]:
        """As `Scheduler.job`: a decorator."""

        def decorate(func: F) -> F:
            self.add_job(id or func.__name__, func, **options)
            return func

        return decorate

    def load(self, path: str | os.PathLike[str]) -> list[str]:
        """Add the jobs of a file or directory; returns their ids.

        Raises:
            UsageError: everything that is wrong with it.
        """
        jobs, problems, files = judge_path(path, self._kinds, self._types, default_timezone=self._desk.timezone)
        if problems:
            raise UsageError(*problems)
        for name, entry in (item for parsed in files.values() for item in parsed.configurations.items()):
            content = Content.written(entry)
            save_configuration(self._desk, name, content.type, content.arguments)
        self._save(jobs)
        return [job.job_id for job in jobs]

    def remove_job(self, id: str) -> None:
        """It fires no more."""

        def work(tx: Transaction) -> None:
            retire(tx, self._desk.planner, find_job(tx, id), self.now)

        self._store.write(work)

    def pause(self, id: str, reason: str | None = None) -> None:
        """As `Scheduler.pause`."""
        job_operations.pause_job(self._desk, id, reason)

    def resume(self, id: str) -> None:
        """As `Scheduler.resume`."""
        job_operations.resume_job(self._desk, id)

    def run(self, id: str, /, **params: Json) -> Run:
        """As `Scheduler.run`; returned as it is when nothing more happens at this instant."""
        view = run_operations.start_run(self._desk, id, params)
        self._settle()
        return self.get_run(str(view["id"]))

    def cancel(self, run_id: str) -> None:
        """As `Scheduler.cancel`."""
        run_operations.cancel_run(self._desk, run_id)
        self._settle()

    def retry(self, run_id: str) -> None:
        """A person asks for a finished run again."""
        run_operations.retry_run(self._desk, run_id)
        self._settle()

    def when(
        self,
        id: str,
        *,
        takes: Duration = 0.0,
        fails: int | bool = 0,
        error: str = "exit_code",
        exit_code: int | None = 1,
        result: Json = None,
        calls: bool = False,
        effect: Callable[[AttemptSpec], Json] | None = None,
    ) -> None:
        """Say how attempts of a job go from now on.

        Args:
            takes: virtual time of an attempt: seconds or `timedelta`.
            fails: this many attempts of each run fail first; True: all.
            error, exit_code: of failing attempts. result: of succeeding ones.
            calls: the function of `add_job` is really called at the start of each attempt: what it returns is the
                result, what it raises the failure.
            effect: called instead, with the specification of the attempt (`run_id`, `arguments`, `environment`, …).
        """
        length = takes.total_seconds() if isinstance(takes, timedelta) else float(takes)
        failures = None if fails is True else int(fails)
        caller = _caller(self._functions[id]) if calls else None
        self._endings[id] = Ending(length, failures, error, exit_code, result, effect or caller)

    # ---- what happened -------------------------------------------------------------------------

    def get_job(self, id: str) -> Job | None:
        """As `Scheduler.get_job`."""
        return read_job(self._desk, id)

    def jobs(self) -> list[Job]:
        """As `Scheduler.jobs`."""
        return read_jobs(self._desk)

    def get_run(self, run_id: str) -> Run:
        """As `Scheduler.get_run`."""
        return read_run(self._desk, run_id)

    def runs(self, job_id: str | None = None, state: State | str | Sequence[State | str] | None = None) -> list[Run]:
        """All runs that match, in the order of their due times; those due at one instant as they started."""
        found = read_runs(self._desk, job_id, state, None, ALL)[::-1]
        return sorted(found, key=lambda run: (run.due_at, run.started_at or run.finished_at or self.now))

    def fires(self, id: str) -> list[datetime]:
        """Fire times that became runs, oldest first, aware UTC."""
        return [run.fire_at for run in self.runs(id) if run.fire_at is not None]

    def skips(self, id: str) -> list[SkipRecord]:
        """Fire times that made no run, oldest first, with the reason."""
        return sorted(self._store.read(lambda r: list(r.skips(id, limit=ALL))), key=lambda s: s.first_at)

    def why(self, id: str, time: datetime | None = None) -> JsonObject:
        """As `Scheduler.why`."""
        moment = None if time is None else Moment(time, timedelta(seconds=1))
        return why_operations.why(self._desk, id, moment).view()

    @property
    def alerts(self) -> Sequence[JsonObject]:
        """Alerts and pings that were sent, in order: what a webhook would get, and its `channel`."""
        return list(self.courier.sent)

    @property
    def started(self) -> Sequence[AttemptSpec]:
        """Every attempt that was started, in order of type and time."""
        return [spec for executor in self._executors.values() for spec in executor.specs]

    # ---- inside --------------------------------------------------------------------------------

    def _settle(self) -> datetime | None:
        """Step until nothing more happens at this instant; returns when the engine wants to be asked again."""
        while True:
            for executor in self._executors.values():
                executor.deliver()
            if self._node is None:
                return None
            wake_at = self._node.step()
            ends = [end for e in self._executors.values() if (end := e.next_end()) is not None]
            if not self._node.inbox and all(at > self.now for at in (wake_at, *ends) if at is not None):
                return wake_at

    def _set(self, moment: datetime) -> None:
        """Floating seconds may miss a microsecond."""
        self.clock.jump((moment - self.now).total_seconds())

    def _save(self, jobs: Sequence[Definition]) -> None:
        source = Source(SourceKind.PYTHON)

        def work(tx: Transaction) -> None:
            for job in jobs:
                upsert(tx, self._desk.planner, job, source, self.now)

        self._store.write(work)
        self._settle()

    def _context(self, node_id: str) -> Context:
        return Context(node_id, self._settings, self._kinds, self._types, self._entropy)


def _named(func: Callable[..., Any] | str) -> str:
    """A reference for a function that is never looked up."""
    reference = reference_of(func, "function")
    return "local:function" if reference.startswith("local:") else reference


def _caller(func: Callable[..., Any] | str) -> Callable[[AttemptSpec], Json]:
    """Calls a function (or what a text names) with the arguments of an attempt; waits for it if it is async."""

    def call(spec: AttemptSpec) -> Json:
        target = pkgutil.resolve_name(func) if isinstance(func, str) else func
        args, kwargs = spec.arguments.get("args"), spec.arguments.get("kwargs")
        value = target(*(args if isinstance(args, list) else ()), **(kwargs if isinstance(kwargs, dict) else {}))
        return asyncio.run(value) if inspect.iscoroutine(value) else value  # type: ignore[no-any-return]

    return call
