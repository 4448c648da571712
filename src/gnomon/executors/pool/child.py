"""A worker process: takes orders one by one, journals, calls, journals, reports. Started by `worker.py`.

At most once, by construction: `S` is in the journal before a call, and the fence is looked at after that. Whoever
wants to revoke an attempt makes the fence first and reads the journals then. So either he finds the `S`, or the
worker finds the fence. When the scheduler is gone the attempt at work is finished and journalled; none is begun.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import socket
import sys
from collections.abc import Callable
from typing import Any

from gnomon.core.handover import said_by, words
from gnomon.system.clock import SystemClock
from gnomon.system.plainfiles import read_plain, remove

from .calling import Awaiter, CallableNotFound, Outcome, Stopped, call, raised, resolve, traceback_of
from .capture import HIGH, Spool
from .hygiene import Hygiene, rss_bytes
from .ledger import Journal, identify
from .orphans import reap
from .wire import BEHIND, Began, Order, Over, line, opened, over_line, unpack

_BUFFER = 1 << 18
_LINGER_MS = 5000
_LONGEST = 1 << 30  # of an order in a file
_PASSING = "pymongo"  # threads called so end by themselves within half a second of their client
_LOOK_EVERY = 64  # calls between looks at our own memory
_exit = os._exit


class Child:
    """The worker. Everything runs in the main thread."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._clock = SystemClock()
        self._pid = os.getpid()
        self._socket = socket.socket(fileno=fcntl.fcntl(options["fd"], fcntl.F_DUPFD_CLOEXEC, HIGH))
        os.close(options["fd"])
        self._socket_inode = os.fstat(self._socket.fileno()).st_ino
        prefix: str = options["prefix"]
        self._journal = Journal(prefix)
        self._identity = identify(prefix)
        self._spool = Spool(prefix)
        self._most, self._growth = int(options["max_calls"]), int(options["max_growth"])
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._awaiter = Awaiter()
        self._calls, self._rss, self._threads = 0, rss_bytes(), 1
        self._behind = self._leaving = self._idle = self._calling = self._stopped = False
        self._order: Order | None = None
        sys.path[:0] = options["path"]
        self._hygiene = Hygiene(self._on_term)

    # ---- the loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Until the scheduler is gone, or enough has been done."""
        told = b""  # the end of the last attempt, not yet written
        while True:
            packet = None if self._leaving else self._take(wait=not told)
            if packet is None:
                if told:
                    self._tell(told)
                    told = b""
                if self._leaving:
                    self._linger()
                    return
                continue
            if not packet:
                self._tell(told) if told else None
                return
            try:
                order = self._read(packet)
            except (
                OSError,
                ValueError,
                TypeError,
            ):  # not begun: who gave it learns that from our end, and gives it again
                self._tell(told) if told else None
                return
            began = self._clock.now().timestamp()
            record = Began(order.run, order.number, order.token, began, self._clock.steady())
            if not self._tell(told, line("S", record)) or self._fenced(order):
                self._tell(b"", line("R", record))
                told = b""
                continue
            told = self._perform(order)

    def _take(self, wait: bool) -> bytes | None:
        """The next packet; b"" when the scheduler is gone; None when there is none now."""
        if self._behind:
            self._catch_up(wait)
        try:
            if not wait:
                count = self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            else:
                self._idle = True
                if self._leaving:
                    return None
                count = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        finally:
            self._idle = False
        return bytes(self._view[:count])

    def _read(self, packet: bytes) -> Order:
        acknowledged, _, _, body = opened(packet)
        self._journal.acknowledged(acknowledged)
        if body.startswith(b"@"):
            body = read_order(body[1:])
        return unpack(body)

    def _tell(self, ended: bytes, begins: bytes = b"") -> bool:
        """Journal, then report. False: the next must not begin: nobody listens, or the journal refuses."""
        data = ended + begins
        try:
            self._journal.write(data, 1 if ended else 0)
        except OSError:
            self._leaving, data = True, ended
        try:
            if not self._behind and data:
                self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._behind = True
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self._behind = True
            else:
                self._leaving = True
        return not self._leaving

    def _linger(self) -> None:
        """A call was stopped here: stay until we are killed, so that what it has forked can be told by its parent."""
        if not self._stopped:
            return
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLRDHUP)
        poll.poll()
        select.poll().poll(_LINGER_MS)  # the scheduler is gone: a successor is told by our journal

    def _catch_up(self, wait: bool) -> None:
        """Packets were dropped because nobody took them: say so as soon as somebody does."""
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLOUT | (select.POLLIN if wait else 0))
        if any(event & select.POLLOUT for _, event in poll.poll(None if wait else 0)):
            with contextlib.suppress(OSError):
                self._socket.send(BEHIND, socket.MSG_DONTWAIT)
                self._behind = False

    def _fenced(self, order: Order) -> bool:
        """Whether a successor has revoked it, this token or an older one."""
        if not os.access(order.fence, os.F_OK):
            return False
        try:
            return order.token < int(read_plain(order.fence, 4096))
        except (OSError, ValueError):
            return True

    # ---- one attempt ----------------------------------------------------------------------------

    def _perform(self, order: Order) -> bytes:
        self._order = order
        start = self._clock.monotonic()
        self._spool.begin()
        self._hygiene.enter(order.environment)
        outcome = self._call(order)
        if not self._hygiene.repair():
            self._leaving = True
        at, seconds = self._clock.now().timestamp(), self._clock.monotonic() - start
        if os.getpid() != self._pid:  # a process the call has forked came back here: not its business
            self._spool.flush()
            _exit(outcome.exit if outcome.exit is not None else 0 if outcome.ok else 1)
        try:
            log = self._tidy(order, outcome)
        except BaseException:  # what has been done is told all the same
            log, self._leaving = 0, True
        self._order = None
        over = Over(*order[:3], at, seconds, outcome.ok, outcome.exit, outcome.code, outcome.message, log, None)
        return over_line(over, outcome.result)

    def _tidy(self, order: Order, outcome: Outcome) -> int:
        """After a call: its worker as it was, its log kept, and how large that is."""
        if outcome.error is not None:
            self._spool.flush()
            self._spool.write(traceback_of(outcome.error))
        if not self._order_kept(order):
            self._leaving = True
        self._stopped = self._stopped or (self._leaving and os.path.exists(order.base + ".intent"))
        self._order = None
        self._note_threads()
        self._spool.flush()
        self._age()
        return self._spool.finish(order.base, reap())

    def _call(self, order: Order) -> Outcome:
        try:
            self._calling = True
            if self._leaving and os.path.exists(order.base + ".intent"):  # TERM came before there was a call to stop
                raise Stopped(143)
            function = self._functions.get(order.callable)
            if function is None:
                with self._hygiene.importing():
                    function = self._functions[order.callable] = resolve(order.callable)
                    self._set_up_logging()
            return call(function, order.args, order.kwargs, self._awaiter)
        except CallableNotFound as error:
            return Outcome(False, None, "callable_not_found", said_by(error), error=error.__cause__)
        except BaseException as error:
            outcome = raised(error)
            outcome.message = words(f"raised while its module was imported: {outcome.message}")
            outcome.exit = 1 if isinstance(error, SystemExit) else None
            return outcome
        finally:
            self._calling = False

    def _order_kept(self, order: Order) -> bool:
        """Put everything back. False: this worker should not go on."""
        clean = self._hygiene.leave()
        try:
            lost = os.fstat(self._socket.fileno()).st_ino != self._socket_inode
        except OSError:
            lost = True
        return clean and not lost and not (self._hygiene.deaf and os.path.exists(order.base + ".intent"))

    def _on_term(self, number: int, frame: Any) -> None:
        """Stop the call if it is to be stopped; else somebody wants this worker gone: after the call at work."""
        if os.getpid() != self._pid:
            _exit(128 + number)
        self._leaving = True
        order = self._order
        if self._idle:
            _exit(0)
        wanted = order is not None and self._calling and os.path.exists(order.base + ".intent")
        if wanted and not self._awaiter.cancel():
            raise Stopped(143)

    def _set_up_logging(self) -> None:
        """What modules log is printed, from INFO on, unless they have set logging up themselves."""
        logging = sys.modules.get("logging")
        if logging is None or logging.root.handlers:
            return
        handler = logging._StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.root.addHandler(handler)
        if logging.root.level == logging.WARNING:
            logging.root.setLevel(logging.INFO)

    def _note_threads(self) -> None:
        threading = sys.modules.get("threading")
        there = threading.enumerate() if threading is not None else [None]
        count = sum(one is None or not one.name.startswith(_PASSING) for one in there)
        if count > self._threads:
            self._spool.write(f"[gnomon: {count - self._threads} thread(s) of this call go on in its worker]\n")
        self._threads = count

    def _age(self) -> None:
        """Leave after so many calls, or when memory has grown."""
        self._calls += 1
        if self._calls % _LOOK_EVERY == 0 and rss_bytes() - self._rss > self._growth:
            self._leaving = True
        if 0 < self._most <= self._calls:
            self._leaving = True


def read_order(path: bytes) -> bytes:
    """An order that was too long for a packet. Nobody needs it any more: what is not begun here is written anew."""
    name = os.fsdecode(path)
    body = read_plain(name, _LONGEST)
    remove(name)
    return body


def prepare(options: dict[str, Any]) -> None:
    """Orphans of our calls become our children; a memory limit; a trace when C code crashes."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, prctl(2)
    if options["memory_limit"]:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (options["memory_limit"],) * 2)


def main() -> None:
    """The program. `sys.argv[1]`: options as JSON, see `worker.py`."""
    options = json.loads(sys.argv[1])
    sys.argv[1:] = []
    prepare(options)
    child = Child(options)
    with contextlib.suppress(Exception):
        import faulthandler

        faulthandler.enable(file=2)
    try:
        child.run()
    finally:
        _exit(0)
