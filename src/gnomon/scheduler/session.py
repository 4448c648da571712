"""What a `Scheduler` holds open, and how it outlives a fork and the end of the interpreter."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gnomon.app.executors import Embedding
from gnomon.app.parts import Parts, open_parts
from gnomon.app.running import Running, running
from gnomon.operations.context import Desk
from gnomon.operations.settings import Settings

_STOP_S = 5.0
_SESSIONS: weakref.WeakSet[Session] = weakref.WeakSet()


@dataclass(slots=True)
class _Opened:
    """The database of this process, and the node on it once it was started."""

    stack: contextlib.ExitStack
    parts: Parts
    desk: Desk
    node: Running | None = None
    node_stack: contextlib.ExitStack | None = None


@dataclass(slots=True, weakref_slot=True, eq=False)
class Session:
    """Opens the database at first use, once per process; starts and stops the node on it.

    Attributes:
        jobs: a directory or file of job files to watch, or None.
        on_open: called with the desk whenever a database was opened (again).
    """

    settings: Settings
    embedding: Embedding
    actor: Callable[[], str]
    jobs: Path | None = None
    on_open: Callable[[Desk], None] = lambda desk: None
    _opened: _Opened | None = None
    _opening: Any = field(default_factory=threading.RLock)
    _living: Any = field(default_factory=threading.Lock)  # held while starting or stopping, never while opening

    def __post_init__(self) -> None:
        _SESSIONS.add(self)

    @property
    def desk(self) -> Desk:
        """The operations on the database; opens it if need be."""
        return self._open().desk

    @property
    def node(self) -> Running | None:
        """The node, while it is started in this process."""
        opened = self._opened
        return None if opened is None else opened.node

    def has(self, node: Running) -> bool:
        """Whether that is the node, still."""
        return self.node is node

    def start(self) -> Running:
        """Start the node; again does nothing."""
        with self._living:
            opened = self._open()
            if opened.node is not None:
                return opened.node
            with contextlib.ExitStack() as stack:
                node = stack.enter_context(running(opened.parts, jobs=self.jobs, embedding=self.embedding))
                node.start()
                opened.node_stack = stack.pop_all()
            opened.desk.engine.rules = node.desk.engine.rules
            opened.node = node
            atexit.register(self.stop, 0.0)
            return node

    def wake(self) -> None:
        """Have the node look at once."""
        node = self.node
        if node is not None:
            node.loop.wake()

    def nap(self, pause_s: float) -> None:
        """Sleep a little. Raises what made the node stop: nothing more is going to happen then."""
        node = self.node
        if node is not None and node.failure is not None:
            raise node.failure
        threading.Event().wait(pause_s)

    def stop(self, wait_s: float | None) -> None:
        """Claim nothing more, wait for what runs (None: as long as it takes), leave. Idempotent."""
        with self._living:
            opened = self._opened
            if opened is None or opened.node is None or opened.node_stack is None:
                return
            node = opened.node
            node.drain()
            _wait_until(node.idle, wait_s, node)
            if not node.lasting and not node.idle():
                node.cancel_all()
                _wait_until(lambda: not _can_be_stopped(node), _STOP_S, node)
            opened.node = None
            opened.node_stack.close()
            atexit.unregister(self.stop)

    def after_fork(self) -> None:
        """In a forked child: begin anew. What the parent opened is neither used nor closed here (SQLite's rule)."""
        if self._opened is not None:
            _leak(self._opened)
            atexit.unregister(self.stop)
        self._opened, self._opening, self._living = None, threading.RLock(), threading.Lock()

    def _open(self) -> _Opened:
        with self._opening:
            if self._opened is None:
                with contextlib.ExitStack() as stack:
                    parts = stack.enter_context(open_parts(self.settings, upgrade=True))
                    desk = parts.desk(self.actor())
                    self.on_open(desk)
                    self._opened = _Opened(stack.pop_all(), parts, desk)
                weakref.finalize(self, _close, self._opened.stack, os.getpid())
            return self._opened


def _close(stack: contextlib.ExitStack, pid: int) -> None:
    if os.getpid() == pid:
        stack.close()


def _leak(thing: object) -> None:
    """Keep it to the very end of the process: locks that other threads held at the fork never become free here."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _after_fork() -> None:
    for session in list(_SESSIONS):
        session.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _can_be_stopped(node: Running) -> bool:
    """Something runs that is not in a thread of this process."""
    live = node.parts.store.read(lambda r: list(r.live_attempts(node.node.context.node_id)))
    return any(attempt.executor != "inline" for attempt in live)


def _wait_until(condition: Callable[[], bool], wait_s: float | None, node: Running) -> None:
    for pause in pauses(wait_s):
        if condition() or node.failure is not None:
            return
        threading.Event().wait(pause)


def pauses(total_s: float | None) -> Iterator[float]:
    """Seconds to sleep between looks: short first, then 50 ms; None: without end."""
    pause, left = 0.002, float("inf") if total_s is None else total_s
    while left > 0:
        yield pause
        left -= pause
        pause = min(pause * 1.5, 0.05)
