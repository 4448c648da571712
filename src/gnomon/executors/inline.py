"""Callables inside the application itself: in threads, or on its event loop. For embedding.

What that means: a thread can not be stopped from outside, so a sync callable with a timeout is refused, and a cancel
lets it run to its end. Nothing outlives the process. What is printed goes where the application prints; what is
logged can be kept per attempt. Arguments and results are JSON all the same, so that a job can move to worker
processes (`executor="process"`) as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Failure, Handle, Outcome, Sink, Started
from gnomon.core.handover import words
from gnomon.core.ports import Clock
from gnomon.core.values import Json

from .attempt import Key, log_limit
from .ending import unknown
from .files import AttemptFiles
from .inline_call import CURRENT, Call, arguments, keep_logs, plain, run_loop
from .pool.calling import awaits, exited, judged, printable, raised
from .threads import DaemonThreads

_LOG = logging.getLogger("gnomon.call")


class InlineExecutor:
    """Performs attempts of type `python` in this process. Implements `gnomon.core.attempts.Executor`.

    Args:
        clock: the machine's.
        functions: callables by their reference (`local:job_id`, or any other); looked at first. What is not there is
            imported by name.
        threads: most sync callables at once.
        loop: where async callables run; None: a loop in a thread of its own, made at the first.
        directory: of attempts, if what calls log is to be kept (`Logs` reads it); None: it is not.
        worker: name that `Handle.worker` carries.
    """

    name = "inline"

    def __init__(
        self,
        *,
        clock: Clock,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        threads: int = 10,
        loop: asyncio.AbstractEventLoop | None = None,
        directory: Path | None = None,
        worker: str = "local",
    ) -> None:
        self._clock, self._worker, self._threads = clock, worker, threads
        self._functions = functions if functions is not None else {}
        self._loop, self._own_loop = loop, False
        self._files = AttemptFiles(directory) if directory is not None else None
        self._lock = threading.Lock()
        self._sink: Sink | None = None
        self._pool: DaemonThreads | None = None
        self._calls: dict[Key, Call] = {}
        self._ended: set[Key] = set()

    def open(self, sink: Sink) -> None:
        """Make ready. Raises OSError if the directory for logs can not be made."""
        if self._files is not None:
            self._files.open()
            keep_logs()
        self._sink = sink
        self._pool = DaemonThreads(self._threads, "gnomon-call")

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        """Begin these attempts, in order. Known ones are ignored."""
        for spec in specs:
            key = (spec.run_id, spec.number)
            with self._lock:
                if self._pool is None or key in self._calls or key in self._ended:
                    continue
                call = self._calls[key] = Call(spec)
            self._begin(call, self._pool)

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """What ran in a process that is gone is lost with it; what runs here merely gets the new token."""
        for orphan in orphans:
            spec = orphan.spec
            key = (spec.run_id, spec.number)
            with self._lock:
                call = self._calls.get(key)
                self._ended.discard(key)
                if call is not None:
                    call.spec = spec
                    continue
            failure = Failure("lost", "it ran inside a process that is gone")
            self._emit(Ended(*key, spec.token, Outcome.LOST, self._clock.now(), error=failure))

    def cancel(self, run_id: str, number: int) -> None:
        """Cancel an async callable, or one that still waits. One in a thread runs to its end. Unknown: ignored."""
        with self._lock:
            call = self._calls.get((run_id, number))
            if call is None:
                return
            call.cancelled = True
        if call.task is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(call.task.cancel)

    def forget(self, run_id: str, number: int) -> None:
        """Its end is durable. Idempotent."""
        with self._lock:
            self._ended.discard((run_id, number))

    def leftovers(self, before: datetime) -> Sequence[Key]:
        """Nothing is kept for recovery: what runs here is lost with the process."""
        return ()

    def detach(self) -> None:
        """No event comes any more. Waits for nothing: threads end what they do unless the process ends. Idempotent."""
        with self._lock:
            pool, self._pool, self._sink = self._pool, None, None
        if pool is not None:
            pool.close()
        if self._own_loop and self._loop is not None:
            self._own_loop, loop, self._loop = False, self._loop, None
            loop.call_soon_threadsafe(loop.stop)

    # ---- one call -------------------------------------------------------------------------------

    def _begin(self, call: Call, pool: DaemonThreads) -> None:
        """Imports happen in the pool: they may take long."""
        pool.submit(lambda: self._guarded(call))

    def _guarded(self, call: Call) -> None:
        try:
            self._perform(call)
        except Exception as error:
            _LOG.exception("a call of run %s failed outside of its function", call.spec.run_id)
            with self._lock:
                self._calls.pop((call.spec.run_id, call.spec.number), None)
            self._emit(unknown(call.spec, self._clock.now(), error))

    def _perform(self, call: Call) -> None:
        spec = call.spec
        if call.cancelled:
            self._never(call, Outcome.CANCELLED, Failure("cancelled", "cancelled before it began"))
            return
        try:
            function = self._find(str(spec.arguments.get("callable")))
            is_async = inspect.iscoroutinefunction(inspect.unwrap(function))
        except BaseException as error:
            told = raised(error)
            code = "callable_not_found" if isinstance(error, ImportError | AttributeError) else told.code
            self._never(call, Outcome.FAILED, Failure(code, words(f"{spec.arguments.get('callable')}: {told.message}")))
            return
        if spec.timeout_s is not None and not is_async:
            text = "a thread can not be stopped, so a timeout can not be kept: use executor='process', or make it async"
            self._never(call, Outcome.FAILED, Failure("thread_timeout", text))
            return
        self._announce(call)
        if is_async:
            asyncio.run_coroutine_threadsafe(self._await(call, function), self._ready_loop())
            return
        token = CURRENT.set(call)
        try:
            args, kwargs = arguments(spec)
            value = function(*args, **kwargs)
        except BaseException as error:
            self._failed(call, error)
        else:
            if awaits(value):
                asyncio.run_coroutine_threadsafe(self._await(call, lambda: value, ready=True), self._ready_loop())
            else:
                self._succeeded(call, value)
        finally:
            CURRENT.reset(token)

    async def _await(self, call: Call, function: Callable[..., Awaitable[Any]], ready: bool = False) -> None:
        spec = call.spec
        call.task = asyncio.current_task()
        CURRENT.set(call)
        try:
            if call.cancelled:
                raise asyncio.CancelledError
            args, kwargs = ([], {}) if ready else arguments(spec)
            awaitable = function(*args, **kwargs)
            value = await asyncio.wait_for(plain(awaitable), spec.timeout_s)
        except TimeoutError as error:
            passed = self._clock.monotonic() - call.began
            if spec.timeout_s is None or passed < spec.timeout_s * 0.999:
                self._failed(call, error)
            else:
                text = f"not done within its timeout of {spec.timeout_s} s: cancelled"
                self._end(call, Outcome.TIMED_OUT, Failure("timed_out", text))
        except asyncio.CancelledError as error:
            if call.cancelled:
                self._end(call, Outcome.CANCELLED, Failure("cancelled", "the call was cancelled"))
            else:
                self._failed(call, error)
        except BaseException as error:
            self._failed(call, error)
        else:
            self._succeeded(call, value)

    def _find(self, reference: str) -> Callable[..., Any]:
        if reference in self._functions:
            return self._functions[reference]
        module, _, name = reference.partition(":")
        if module == "local":
            raise AttributeError("no function is registered under this name in this process")
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not callable(found):
            raise AttributeError(f"no callable but of type {type(found).__name__}")
        return found  # type: ignore[no-any-return]

    def _ready_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop, self._own_loop = asyncio.new_event_loop(), True
                threading.Thread(target=run_loop, args=(self._loop,), name="gnomon-async", daemon=True).start()
            return self._loop

    # ---- what is told ---------------------------------------------------------------------------

    def _announce(self, call: Call) -> None:
        spec = call.spec
        call.at, call.began = self._clock.now(), self._clock.monotonic()
        if self._files is not None:
            with contextlib.suppress(OSError):  # what it logs is not kept then
                call.log_path = self._files.prepare(spec.run_id, spec.number) + ".log"
                call.room = log_limit(spec)
        self._emit(Started(spec.run_id, spec.number, spec.token, call.at, Handle(self._worker, {"pid": os.getpid()})))

    def _succeeded(self, call: Call, value: Any) -> None:
        kept = judged(value)
        failure = Failure(kept.code, kept.message) if kept.code else None
        self._end(call, Outcome.SUCCEEDED, failure, result=json.loads(kept.result))

    def _failed(self, call: Call, error: BaseException) -> None:
        told = exited(error) if isinstance(error, SystemExit) else raised(error)
        if told.error is not None:  # not so of gnomon.TaskFailed: all is said in it
            with contextlib.suppress(Exception):  # handlers of the application
                _LOG.error("run %s failed", call.spec.run_id, exc_info=error if printable(error) else None)
        outcome = Outcome.SUCCEEDED if told.ok else Outcome.FAILED
        failure = Failure(told.code, told.message) if told.code else None
        self._end(call, outcome, failure, result=json.loads(told.result), code=told.exit)

    def _never(self, call: Call, outcome: Outcome, failure: Failure) -> None:
        self._end(call, outcome, failure, never=True)

    def _end(
        self,
        call: Call,
        outcome: Outcome,
        failure: Failure | None,
        *,
        result: Json = None,
        code: int | None = None,
        never: bool = False,
    ) -> None:
        spec = call.spec
        if call.cancelled and failure is not None and outcome is Outcome.FAILED and not never:
            failure = Failure(failure.code, f"{failure.message} (a cancel came too late: a thread can not be stopped)")
        with self._lock:
            self._calls.pop((spec.run_id, spec.number), None)
        self._emit(
            Ended(
                spec.run_id,
                spec.number,
                spec.token,
                outcome,
                finished_at=self._clock.now(),
                started_at=call.at,
                duration_s=None if never else self._clock.monotonic() - call.began,
                exit_code=code,
                error=failure,
                result=result,
                log_bytes=call.written,
                never_started=never,
            )
        )

    def _emit(self, event: Started | Ended) -> None:
        with self._lock:
            sink = self._sink
            if isinstance(event, Ended):
                key = (event.run_id, event.number)
                if key in self._ended:
                    return
                self._ended.add(key)
        if sink is not None:
            sink(event)
