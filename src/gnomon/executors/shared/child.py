"""The worker of the executor `shared`: awaits many attempts at once on one event loop. Started by `worker.py`.

At most once, by construction, as in the pool: `S` is in the journal before the call, the fence is looked at after
that, and a scheduler that is gone by then begins nothing. Whoever revokes an attempt makes the fence first and reads
the journals then. An end is in the journal before it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import fcntl
import io
import json
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gnomon.core.handover import said_by
from gnomon.executors.files import Reason, read_intent
from gnomon.executors.pool.calling import CallableNotFound, Outcome, judged, raised, resolve
from gnomon.executors.pool.capture import HIGH
from gnomon.executors.pool.child import prepare, read_order
from gnomon.executors.pool.hygiene import rss_bytes
from gnomon.executors.pool.ledger import identify
from gnomon.executors.pool.orphans import reap
from gnomon.executors.pool.wire import BEHIND, Began, Order, Over, line, opened, over_line, unpack
from gnomon.system.clock import SystemClock
from gnomon.system.plainfiles import read_plain

from .ledger import Key, ManyJournal
from .talk import FORGET, ORDER, PING, pack_blame, unpack_keys
from .writing import Log

_BUFFER = 1 << 18
_PACKETS = 64  # taken in one turn of the loop
_LOOK_EVERY = 256  # ends between looks at our own memory
_DESCRIPTORS = 65_536
_THREADS = 64  # names are looked up, and modules imported, in threads
_NUDGE_S = 1.0  # between cancels of what does not listen
_CURRENT: contextvars.ContextVar[Running | None] = contextvars.ContextVar("gnomon_attempt", default=None)


class Running:
    """One attempt that has begun. `tasks`: all asyncio tasks it has made; `stopped`: why it is being stopped."""

    def __init__(self, order: Order, at: float, since: float) -> None:
        self.order, self.at, self.since = order, at, since
        self.key: Key = (order.run, order.number)
        self.log = Log(order.base + ".log", int(order.kwargs["log_limit"]))
        self.task: asyncio.Task[None] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.stopped = ""


class _Stream(io.TextIOBase):
    """What is printed goes to the log of the attempt that prints it; what nobody owns is dropped."""

    def write(self, text: str) -> int:
        running = _CURRENT.get()
        if running is not None:
            running.log.print(text)
        return len(text)

    def writable(self) -> bool:
        return True


class Child:
    """The worker. Everything runs on the loop, in the main thread."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._clock = SystemClock()
        self._socket = socket.socket(fileno=fcntl.fcntl(options["fd"], fcntl.F_DUPFD_CLOEXEC, HIGH))
        os.close(options["fd"])
        self._socket.setblocking(False)
        prefix: str = options["prefix"]
        self._journal = ManyJournal(prefix)
        self._identity = identify(prefix)
        self._most, self._growth = int(options["max_calls"]), int(options["max_growth"])
        self._performer: str = options["performer"]
        self._running: dict[Key, Running] = {}
        self._functions: dict[str, Any] = {}
        self._state: dict[str, Any] = {}
        self._calls, self._rss = 0, rss_bytes()
        self._behind = self._leaving = self._alone = False
        sys.path[:0] = options["path"]

    async def run(self) -> None:
        """Until there is no more to do: the scheduler is gone, or enough has been done, and all has ended."""
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._loop.set_task_factory(_made)
        self._loop.set_default_executor(ThreadPoolExecutor(_THREADS))
        self._loop.set_exception_handler(lambda loop, context: None)  # what nobody waits for: it may show secrets
        self._loop.add_signal_handler(signal.SIGTERM, self._leave)
        self._loop.add_signal_handler(signal.SIGUSR1, self._look)
        signal.signal(signal.SIGUSR2, self._blame)  # at once, in the midst of whatever holds the loop up
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._loop.add_reader(self._socket.fileno(), self._readable)
        await self._done.wait()

    # ---- what comes in --------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(_PACKETS):
            try:
                packet = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._alone = True
                self._loop.remove_reader(self._socket.fileno())
                self._leave()
                return
            kind, body = packet[:1], packet[1:]
            if kind == ORDER:
                self._take(body)
            elif kind == FORGET:
                self._journal.forget(unpack_keys(packet))
            elif kind == PING:
                self._send(PING)

    def _take(self, body: bytes) -> None:
        _, run, number, body = opened(body)
        key, at = (run, number), self._clock.now().timestamp()
        try:
            order = unpack(read_order(body[1:]) if body.startswith(b"@") else body)
        except (OSError, ValueError, TypeError):
            self._refuse(key, Began(run, number, 0, at))
            return
        record = Began(order.run, order.number, order.token, at, self._clock.steady())
        try:
            self._journal.begins(key, line("S", record))
            refused = self._leaving or _fenced(order)
        except OSError:
            self._leaving = refused = True
        if refused or not self._send(line("S", record)):
            self._refuse(key, record)
            return
        running = self._running[key] = Running(order, at, self._clock.monotonic())
        context = contextvars.copy_context()
        context.run(_CURRENT.set, running)
        running.task = self._loop.create_task(self._attempt(running), context=context)
        running.task.add_done_callback(lambda task: self._ended(running))

    def _refuse(self, key: Key, record: Began) -> None:
        """It was not begun, and will not be."""
        with contextlib.suppress(OSError):
            self._journal.refused(key, line("R", record))
        self._send(line("R", record))

    def _send(self, data: bytes) -> bool:
        """False: nobody is there to hear it."""
        if self._behind:
            return not self._alone
        try:
            self._socket.send(data, socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EMSGSIZE):
                self._alone = True
                self._leave()
                return False
            self._behind = True
            self._loop.add_writer(self._socket.fileno(), self._catch_up)
        return True

    def _catch_up(self) -> None:
        """Packets were dropped because nobody took them: say so as soon as somebody does."""
        try:
            self._socket.send(BEHIND, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self._alone = True
        self._loop.remove_writer(self._socket.fileno())
        self._behind = False

    # ---- signals --------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Begin nothing new; go when all has ended."""
        self._leaving = True
        if not self._running:
            self._done.set()

    def _look(self) -> None:
        """Somebody wants attempts stopped: which?"""
        for running in list(self._running.values()):
            if not running.stopped:
                intent = read_intent(running.order.base)
                if intent is not None:
                    self._stop(running, intent.reason)

    def _blame(self, number: int, frame: Any) -> None:
        """Say which attempt's code runs just now, and where."""
        running = _CURRENT.get()
        if running is None:
            return
        where = "somewhere"
        while frame is not None:
            if not frame.f_code.co_filename.startswith(os.path.dirname(asyncio.__file__)):
                where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
                break
            frame = frame.f_back
        with contextlib.suppress(OSError):
            self._socket.send(pack_blame(*running.key, where), socket.MSG_DONTWAIT)

    # ---- one attempt ----------------------------------------------------------------------------

    async def _attempt(self, running: Running) -> None:
        timer: asyncio.TimerHandle | None = None
        timeout_s = running.order.kwargs["timeout_s"]
        if timeout_s is not None:
            timer = self._loop.call_later(timeout_s, self._stop, running, Reason.TIMED_OUT)
        try:
            outcome = await self._outcome(running)
        finally:
            if timer is not None:
                timer.cancel()
        await self._clear(running)
        self._over(running, outcome)

    async def _outcome(self, running: Running) -> Outcome:
        order = running.order
        try:
            perform = await self._found(self._performer)
            await self._found(order.callable)
            given = {name: order.kwargs[name] for name in ("arguments", "secrets")}
            value = await perform(
                order.callable,
                given["arguments"],
                given["secrets"],
                write=running.log,
                environment=order.environment,
                timeout_s=order.kwargs["timeout_s"],
                loop_state=self._state,
            )
            return judged(value)
        except CallableNotFound as error:
            return Outcome(False, None, "callable_not_found", said_by(error))
        except BaseException as error:
            return raised(error)

    async def _found(self, reference: str) -> Any:
        """The function called so. Imported off the loop: that may take long."""
        function = self._functions.get(reference)
        if function is None:
            function = await self._loop.run_in_executor(None, resolve, reference)
            self._functions[reference] = function
        return function

    async def _clear(self, running: Running) -> None:
        """Tasks that an attempt has left behind are cancelled: when it has ended nothing of it runs any more."""
        left = {task for task in running.tasks if not task.done()}
        while left:
            for task in left:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(left, timeout=_NUDGE_S)
            left = {task for task in left if not task.done()}

    def _ended(self, running: Running) -> None:
        """Its task is over; one that was stopped before its first step has not said so."""
        if running.key in self._running:
            self._over(running, Outcome(False, None, "CancelledError", "stopped before its first step"))

    def _over(self, running: Running, outcome: Outcome) -> None:
        order, log = running.order, running.log
        log.close()
        at, seconds = self._clock.now().timestamp(), self._clock.monotonic() - running.since
        who = (order.run, order.number, order.token)
        ok, code, message = outcome.ok, outcome.code, outcome.message
        over = Over(*who, at, seconds, ok, outcome.exit, code, message, log.size, None, running.stopped)
        data = over_line(over, outcome.result)
        try:
            self._journal.ends(running.key, data)
        except OSError:
            self._leaving = True
        del self._running[running.key]
        self._send(data)
        self._age()
        if self._leaving:
            self._leave()

    def _stop(self, running: Running, reason: Reason) -> None:
        """Cancel it, and again and again until it listens; whoever has the patience for that kills us."""
        if self._running.get(running.key) is not running or running.task is None:
            return
        running.stopped = running.stopped or reason.value
        running.task.cancel()
        self._loop.call_later(_NUDGE_S, self._stop, running, reason)

    def _age(self) -> None:
        """Leave after so many calls, or when memory has grown."""
        self._calls += 1
        reap()
        if self._calls % _LOOK_EVERY == 0 and rss_bytes() - self._rss > self._growth:
            self._leaving = True
        if 0 < self._most <= self._calls:
            self._leaving = True


def _fenced(order: Order) -> bool:
    """Whether a successor has revoked it, this token or an older one."""
    if not os.access(order.fence, os.F_OK):
        return False
    try:
        return order.token < int(read_plain(order.fence, 4096))
    except (OSError, ValueError):
        return True


def _made(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
    """A task; those an attempt makes are noted with it."""
    task = asyncio.Task(coroutine, loop=loop, **more)
    running = _CURRENT.get()
    if running is not None and running.task is not None:
        running.tasks.add(task)
        task.add_done_callback(running.tasks.discard)
    return task


def _more_descriptors() -> None:
    """Hundreds of connections need as many; the usual limit is 1024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """The program. `sys.argv[1]`: options as JSON, see `worker.py`."""
    options = json.loads(sys.argv[1])
    sys.argv[1:] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(options)
    _more_descriptors()
    child = Child(options)
    with contextlib.suppress(Exception):
        import faulthandler

        faulthandler.enable(file=2)
    sys.stdout = sys.stderr = _Stream()
    try:
        asyncio.new_event_loop().run_until_complete(child.run())  # not `run`: it would wait for threads
    finally:
        os._exit(0)
