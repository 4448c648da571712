"""The service: a node that runs until it is told to stop.

First TERM or INT: claim nothing more, wait `drain_timeout`, leave commands to a successor, exit 0.
A second one: stop now. Without a database file there is no successor: commands are stopped.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gnomon.core.errors import GnomonError
from gnomon.core.version import __version__
from gnomon.operations.settings import Settings
from gnomon.system.notify import Notifier

from .parts import open_parts
from .pulse import Pulse
from .running import Running, running
from .web import open_web

logger = logging.getLogger("gnomon")
_GRACE_S = 30.0


def serve(settings: Settings, *, jobs: Path) -> int:
    """Run a scheduler node on `settings.db`, with the job files in `jobs`; returns the exit code.

    Raises:
        UsageError, Unavailable: it cannot start; says why and what to do.
    """
    manager = Notifier.taken_from(os.environ, os.getpid())
    with contextlib.ExitStack() as stack:
        parts = stack.enter_context(open_parts(settings, upgrade=True))
        web = open_web(parts)
        if web is not None:
            stack.callback(web.stop)
        signals = stack.enter_context(_signals())
        node = stack.enter_context(running(parts, jobs=jobs))
        logger.info(
            "gnomon %s: node %s, database %s, jobs in %s", __version__, node.node.record.node_id, settings.db, jobs
        )
        signals.pulse = Pulse(manager, node.loop, parts.clock, f"node {node.node.record.node_id}").beat
        node.start()
        if web is not None:
            web.start(node)
        gc.freeze()  # what is imported stays: without it, every full collection walks through it (50 ms in an answer)
        signals.wait(None, node)
        manager.stopping("waiting for running work")
        if node.failure is not None:
            return node.failure.exit_code if isinstance(node.failure, GnomonError) else 70
        _drain(node, signals, settings.drain_timeout_s)
    logger.info("stopped")
    return 0


def until_signal(node: Running, stop: Callable[[float | None], None]) -> None:
    """Block until TERM, INT or a failure of the node, and until what runs has ended or a second signal; then `stop`."""
    with _signals() as signals:
        signals.wait(None, node)
        node.drain()
        signals.wait_idle(float("inf"), node)
        stop(0.0)


def _drain(node: Running, signals: _Signals, timeout_s: float) -> None:
    node.drain()
    if not node.idle():
        logger.info("stopping: waiting up to %g s for running work; once more to stop now", timeout_s)
    signals.wait_idle(timeout_s, node)
    if not node.lasting and not node.idle():
        node.cancel_all()
        signals.wait_idle(_GRACE_S, node)


class _Signals:
    """TERM and INT as bytes in a pipe: handlers run between any two instructions and must not take locks."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.pulse: Callable[[], None] = lambda: None

    def wait(self, timeout_s: float | None, node: Running) -> bool:
        """Whether a signal came within `timeout_s`; returns early if the node failed."""
        left = timeout_s
        while node.failure is None and (left is None or left > 0):
            self.pulse()
            step = 0.25 if left is None else min(left, 0.25)
            if select.select([self._fd], [], [], step)[0]:
                os.read(self._fd, 4096)
                return True
            left = None if left is None else left - step
        return False

    def wait_idle(self, timeout_s: float, node: Running) -> None:
        """Until nothing runs, a signal, or `timeout_s`."""
        left = timeout_s
        while left > 0 and not node.idle():
            if self.wait(0.05, node):
                return
            left -= 0.05


@contextmanager
def _signals() -> Iterator[_Signals]:
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGTERM, signal.SIGINT)}
    old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield _Signals(read)
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)
