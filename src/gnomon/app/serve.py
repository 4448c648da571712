"""The service: a node that runs until it is told to stop.

First TERM, INT or HUP: claim nothing more, wait `drain_timeout`, leave commands to a successor, exit 0.
A second one: stop now, and whatever hangs, end within `INSISTENCE_S`. Without a database file there is no successor:
commands are stopped.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path

from gnomon.core.errors import GnomonError
from gnomon.core.version import __version__
from gnomon.operations.settings import Settings
from gnomon.system.notify import Notifier

from .parts import open_parts
from .pulse import Pulse
from .running import Running, running
from .signals import Signals, signals
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
        asked = stack.enter_context(signals())
        node = stack.enter_context(running(parts, jobs=jobs))
        logger.info(
            "gnomon %s: node %s, database %s, jobs in %s", __version__, node.node.record.node_id, settings.db, jobs
        )
        pulse = Pulse(manager, node.loop, parts.clock, f"node {node.node.record.node_id}").beat
        node.start()
        if web is not None:
            web.start(node)
        gc.freeze()  # what is imported stays: without it, every full collection walks through it (50 ms in an answer)
        _wait(asked, node, float("inf"), pulse)
        manager.stopping("waiting for running work")
        if node.failure is not None:
            return node.failure.exit_code if isinstance(node.failure, GnomonError) else 70
        _drain(node, asked, settings.drain_timeout_s, pulse)
    logger.info("stopped")
    return 0


def until_signal(node: Running, stop: Callable[[float | None], None]) -> None:
    """Block until a signal or a failure of the node, and until what runs has ended or a second signal; then `stop`."""
    with signals() as asked:
        _wait(asked, node, float("inf"))
        node.drain()
        _wait_idle(asked, node, float("inf"))
        stop(0.0)


def _drain(node: Running, asked: Signals, timeout_s: float, pulse: Callable[[], None]) -> None:
    node.drain()
    if not node.idle():
        logger.info("stopping: waiting up to %g s for running work; once more to stop now", timeout_s)
    _wait_idle(asked, node, timeout_s, pulse)
    if not node.lasting and not node.idle():
        node.cancel_all()
        _wait_idle(asked, node, _GRACE_S, pulse)


def _wait(asked: Signals, node: Running, timeout_s: float, pulse: Callable[[], None] = lambda: None) -> bool:
    """Whether a signal came within `timeout_s`; returns early if the node failed."""
    left = timeout_s
    while node.failure is None and left > 0:
        pulse()
        step = min(left, 0.25)
        if asked.wait(step):
            return True
        left -= step
    return False


def _wait_idle(asked: Signals, node: Running, timeout_s: float, pulse: Callable[[], None] = lambda: None) -> None:
    """Until nothing runs, a signal, or `timeout_s`."""
    left = timeout_s
    while left > 0 and not node.idle():
        if _wait(asked, node, 0.05, pulse):
            return
        left -= 0.05
