"""The scheduler as a library."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, Unpack

from gnomon.app.executors import Embedding
from gnomon.app.serve import until_signal
from gnomon.core.errors import usage
from gnomon.core.model import Job as Definition
from gnomon.core.records import Source, SourceKind
from gnomon.operations import jobs as job_operations
from gnomon.operations.building import build_job
from gnomon.operations.context import Desk
from gnomon.operations.settings import load_settings
from gnomon.schedules.zones import load_zone

from .asking import Asking
from .configuring import Configuring, Contents, save_all
from .deleting import Deleting
from .flows import Flows
from .functions import Function, check_place, inside_a_call, is_local, module_path, reference_of
from .policies import Policies
from .reading import must_be_there, read_job
from .schedules import Duration, Schedule, one_schedule
from .session import Session
from .views import Job

F = TypeVar("F", bound=Callable[..., Any])
PYTHON = Source(SourceKind.PYTHON)

__all__ = ["Scheduler"]


class Scheduler(Asking, Configuring, Deleting, Flows):
    """Runs jobs inside your application, on time, each fire once however many processes embed it.

    Without a database everything is kept in memory and ends with the process. With `db=` it is durable: a restart
    goes on where the last one stopped, and any number of processes on this machine may share one database file.

    Functions run in threads of this process (`async` ones on its event loop), or with `executor="process"` in
    worker processes, so that a function that hangs or crashes cannot take the application down with it.

    Jobs can be added before or after `start`. All methods may be called from any thread, and from jobs.

    Args:
        db: path or URL of the database (`"jobs.db"`, `"sqlite:///jobs.db"`), or None: in memory.
        concurrency: how many runs this process performs at once.
        timezone: zone of schedules that name none.
        executor: where functions run: `"thread"` or `"process"`.
        jobs_dir: a directory (or file) of job files to load and watch as well.
        alerts: who is told when jobs fail: the keys of `[alerts]` in the settings file (docs/alerts.md).

    Raises:
        UsageError: a value that cannot be; says which, and what is allowed.

    >>> with Scheduler() as scheduler:
    ...     job = scheduler.add_job("hello", print, interval=60, args=["Hello, world!"])
    >>> job.job_id
    'hello'
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | None = None,
        *,
        concurrency: int = 10,
        timezone: str = "UTC",
        executor: Literal["thread", "process"] = "thread",
        jobs_dir: str | os.PathLike[str] | None = None,
        alerts: Mapping[str, Any] | None = None,
    ) -> None:
        if executor not in ("thread", "process"):
            raise usage("executor_unknown", f"executor is {executor!r}", key="executor", hint='"thread" or "process"')
        slots: object = concurrency
        if isinstance(slots, bool) or not isinstance(slots, int) or not 1 <= slots <= 10_000:
            hint = "a whole number from 1 to 10000; a scheduler that is not started performs nothing"
            raise usage("setting_invalid", f"concurrency is {concurrency!r}", key="concurrency", hint=hint)
        load_zone(timezone, "timezone")
        flags = {"db": ":memory:" if db is None else os.fspath(db), "concurrency": concurrency, "timezone": timezone}
        settings = load_settings(flags, {}, search=False, alerts=alerts)
        self._in_memory = db is None
        self._own: dict[str, Definition] = {}
        self._own_configurations: Contents = {}
        self._functions: dict[str, Function] = {}
        self._threads = executor == "thread"
        found = module_path()
        self._embedding = Embedding(functions=self._functions, threads=self._threads, path=found, packages=found)
        self._session = Session(
            settings,
            self._embedding,
            actor=_actor,
            jobs=None if jobs_dir is None else Path(jobs_dir).absolute(),
            on_open=_saver(self._own, self._own_configurations) if self._in_memory else lambda desk: None,
        )

    def __repr__(self) -> str:
        state = "running" if self._session.node is not None else "not running"
        return f"<Scheduler {self._session.settings.db}, {state}>"

    # ---- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to fire, in the background. Calling it again does nothing.

        In a server that forks its workers, call it in each of them: a child made by `fork` has jobs and database,
        but is not started. The threads are daemons: they never keep the interpreter from exiting.

        Raises:
            UsageError, Unavailable: the database cannot be used; says why, and what to do.

        >>> scheduler.start()
        """
        self._session.start()

    def run_forever(self) -> None:
        """Start, and return after a graceful stop when the process gets TERM or INT. For the main thread.

        The first signal claims nothing more and waits for what runs; a second one stops at once.

        Raises:
            Exception: what made the scheduler stop, if that was not a signal.

        >>> scheduler.run_forever()  # doctest: +SKIP
        """
        node = self._session.start()
        until_signal(node, self._session.stop)
        if node.failure is not None:
            raise node.failure

    async def serve(self) -> None:
        """Start, and go on until cancelled (or `shutdown`); `async` functions run on this event loop.

        When it is cancelled it claims nothing more, and returns when what runs has ended.

        Raises:
            UsageError: it was started already. Exception: what made the scheduler stop.

        >>> async def lifespan(app):                                # of FastAPI or Starlette
        ...     serving = asyncio.create_task(scheduler.serve())
        ...     yield
        ...     serving.cancel()
        """
        if self._session.node is not None:
            raise usage("already_started", "serve() starts the scheduler itself", hint="leave start() out")
        self._embedding.loop = asyncio.get_running_loop()
        try:
            node = await asyncio.to_thread(self._session.start)
            while node.failure is None and self._session.has(node):
                await asyncio.sleep(0.2)
            if node.failure is not None:
                raise node.failure
        finally:
            await asyncio.to_thread(self._session.stop, None)
            self._embedding.loop = None

    def shutdown(self, wait: bool = True) -> None:
        """Stop firing. Idempotent; `start` begins again, and questions are still answered.

        Args:
            wait: return when everything that runs has ended. False: at once; a function in a thread goes on (a thread
                cannot be stopped), but nobody learns how it ended: with a database, its run counts as lost and is
                done again later, unless the job says `on_lost="fail"`. Work in other processes is taken up again.

        Raises:
            UsageError: waiting was asked for inside a job, which would wait for itself.

        >>> scheduler.shutdown()
        """
        if wait and inside_a_call(self._embedding.loop):
            hint = "use shutdown(wait=False) here, or cancel the task of serve()"
            raise usage("would_wait_for_itself", "this waits for the job that calls it", key="wait", hint=hint)
        self._session.stop(None if wait else 0.0)

    def __enter__(self) -> Scheduler:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    # ---- jobs ----------------------------------------------------------------------------------

    def add_job(
        self,
        id: str,
        func: Function | str | None = None,
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
        """Add a job, or change the one of this id. Adding an identical one again changes nothing.

        Args:
            id: its name: letters, digits, `. _ - /`.
            func: a function, or `"package.module:name"`. One that cannot be imported by name (of the main script,
                a lambda, a method) runs only in processes that add it themselves.
            interval: seconds, `timedelta` or text (`"2h30m"`) between fires.
            cron: a cron expression.
            at: one time: an aware datetime or ISO 8601 text.
            schedule: anything a job file's `schedule:` takes, what `cron`, `every` and `at` give, or a list of them.
                Without any of the four it runs when asked, or after the jobs it `depends_on`.
            args, kwargs: for the function: JSON values; `${…}` in texts is filled in as in job files.
            task: instead of a function, a task of another type: `{"type": "command", "command": ["date"]}`.
            policies: the other keys of a job file: `timeout`, `restarts`, `overlap`, `catch_up`, `depends_on`, …

        Returns:
            The job as it is now.

        Raises:
            UsageError: every mistake, with its key.
            Conflict: a job file, or another program, owns the id.

        >>> job = scheduler.add_job("report", "json:dumps", cron="0 1 * * *", args=[{"day": "today"}], restarts=2)
        >>> job.schedules[0].rule
        '0 1 * * *'
        """
        if (func is None) == (task is None):
            raise usage("task_missing", "a job needs either a function or a task", key="func")
        given: object = func
        if given is not None and not callable(given) and not isinstance(given, str):
            text = f"{func!r} is neither a function nor the name of one"
            raise usage("task_missing", text, key="func", hint='give a function, or "package.module:name"')
        reference = "" if func is None else reference_of(func, id)
        call = {"type": "python", "callable": reference, "args": list(args), "kwargs": dict(kwargs or {})}
        document: dict[str, object] = {**policies, "job_id": id, "task": call if task is None else task}
        when = one_schedule(interval, cron, at, schedule)
        if when is not None:
            document["schedules" if isinstance(when, list | tuple) else "schedule"] = when
        desk = self._session.desk
        job = build_job(document, desk.kinds, desk.task_types, desk.timezone)
        check_place(job, reference, func, threads=self._threads)
        job_operations.check_dependencies(desk, job)
        if callable(func):
            self._functions[reference] = func  # threads call it as it is: its module may still be being imported
        if is_local(reference):
            job = replace(job, queue=reference)
            if reference not in self._embedding.queues:
                self._embedding.queues.append(reference)
        job_operations.save_job(desk, job, PYTHON)
        self._own[id] = job
        self._session.wake()
        found = read_job(desk, id, retired=True)
        assert found is not None
        return found

    def job(
        self,
        id: str | None = None,
        *,
        interval: Duration | None = None,
        cron: str | None = None,
        at: datetime | str | None = None,
        schedule: Schedule | Sequence[Schedule] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **policies: Unpack[Policies],
    ) -> Callable[[F], F]:
        """Decorator: add the function as a job; it stays callable as before.

        Args:
            id: default: the name of the function. The others: as in `add_job`.

        >>> @scheduler.job(interval=60)
        ... def tick() -> None: ...
        >>> scheduler.get_job("tick").task["type"]
        'python'
        """

        def decorate(func: F) -> F:
            name, when = id or func.__name__, {"interval": interval, "cron": cron, "at": at, "schedule": schedule}
            self.add_job(name, func, **when, args=args, kwargs=kwargs, **policies)  # type: ignore[arg-type]
            return func

        return decorate

    def remove_job(self, id: str) -> None:
        """The job fires no more; its history stays, and what runs goes on. Again: nothing.

        Raises:
            NotFound: there never was such a job; names the nearest.
            Conflict: a job file owns it.

        >>> scheduler.remove_job("hello")
        """
        job_operations.retire_job(self._session.desk, id)
        self._own.pop(id, None)

    def pause(self, id: str, reason: str | None = None) -> None:
        """The job makes no scheduled runs until resumed; fires that pass meanwhile are kept as skips. Idempotent.

        Args:
            reason: for people; `why` tells it.

        Raises:
            NotFound: there is no such job.

        >>> scheduler.pause("hello", "the printer is broken")
        >>> scheduler.get_job("hello").paused
        True
        """
        must_be_there(self._session.desk, id)
        job_operations.pause_job(self._session.desk, id, reason)

    def resume(self, id: str) -> None:
        """The job fires again from now on; what passed while it was paused is not caught up. Idempotent.

        Raises:
            NotFound: there is no such job.

        >>> scheduler.resume("hello")
        >>> scheduler.get_job("hello").paused
        False
        """
        must_be_there(self._session.desk, id)
        job_operations.resume_job(self._session.desk, id)
        self._session.wake()


def _actor() -> str:
    return f"python:{os.getpid()}"


def _saver(own: Mapping[str, Definition], configurations: Contents) -> Callable[[Desk], None]:
    """A memory that is opened anew (in a forked child) begins with what was added here."""

    def save(desk: Desk) -> None:
        save_all(desk, configurations)
        for job in own.values():
            job_operations.save_job(desk, job, PYTHON)

    return save
