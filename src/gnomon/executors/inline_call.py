"""The parts of a call inside the application: its record, its log, its arguments."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import warnings
from collections.abc import Awaitable
from datetime import datetime
from typing import Any

from gnomon.core.attempts import AttemptSpec
from gnomon.system.plainfiles import open_plain

CURRENT: contextvars.ContextVar[Call | None] = contextvars.ContextVar("gnomon_call", default=None)
"""The call that the code at hand belongs to."""


class Call:
    """One attempt in this process.

    Attributes:
        at: wall-clock instant of its start; `began`: the same by the monotonic clock.
        task: what runs it, when it is async.
        log_path: where what it logs is kept, "" for nowhere; `room`: bytes left for it; `written`: bytes so far.
    """

    def __init__(self, spec: AttemptSpec) -> None:
        self.spec = spec
        self.at: datetime | None = None
        self.began = 0.0
        self.cancelled = False
        self.task: asyncio.Task[Any] | None = None
        self.log_path, self.room, self.written = "", 0, 0


class CallLog(logging.Handler):
    """Keeps what a call logs with its attempt. What belongs to no call is left to the application's handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Append to the log of the current call, up to its limit. What cannot be written is said once, elsewhere."""
        call = CURRENT.get()
        if call is None or not call.log_path or call.room <= 0 or getattr(record, "kept_for", None) is call:
            return
        record.kept_for = call  # it comes here twice where all loggers lead to the root
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")[: call.room]
        except Exception:
            self.handleError(record)
            return
        call.room -= len(data)
        for last in (False, True):
            try:
                call.written += _append(call.log_path, data)
                return
            except OSError as error:  # somebody in the application closed our descriptor
                if last:
                    call.room = 0
                    with contextlib.suppress(Warning):  # where warnings are errors, they are not those of the call
                        warnings.warn(f"what run {call.spec.run_id} logs cannot be kept: {error}", stacklevel=1)


def _append(path: str, data: bytes) -> int:
    fd = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


_CALL_LOG = CallLog()


def keep_logs() -> None:
    """From now on, for the life of the process. It is never removed: whoever removes a handler while another thread
    walks through the list of them makes that thread miss the next one."""
    for name in (None, "gnomon.call"):  # what ends here by itself is kept, even if "gnomon" leads nowhere (`propagate`)
        logger = logging.getLogger(name)
        if _CALL_LOG not in logger.handlers:
            logger.addHandler(_CALL_LOG)


def arguments(spec: AttemptSpec) -> tuple[list[Any], dict[str, Any]]:
    """Copies of `args` and `kwargs`: a call may change them."""
    args, kwargs = spec.arguments.get("args"), spec.arguments.get("kwargs")
    return list(args) if isinstance(args, (list, tuple)) else [], dict(kwargs) if isinstance(kwargs, dict) else {}


async def plain(awaitable: Awaitable[Any]) -> Any:
    """Any awaitable as a coroutine."""
    return await awaitable


def run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Serve a loop until it is stopped, then cancel what is left on it."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()
