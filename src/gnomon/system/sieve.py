"""Output through a redactor: the small process that stands between a command with secrets and its log.

Started by the shim (`executors/shim.py`), with nothing but the standard library, so that it is there in no time. It
ignores the signals that stop the command, and ends when nobody can print any more: it lives as long as the command,
whatever becomes of the scheduler. When the command itself is over but processes it left behind may still print, a
copy of it goes on in the background, so that the shim need not wait for them.

    0  what the command prints    1  the log    6  {"secrets": […], "said": path, "result": path} as JSON
    8  hangs up when the command is over
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from typing import NoReturn

from gnomon.core.redaction import Redactor, Stream
from gnomon.system.plainfiles import open_plain, read_plain

OUTPUT, LOG, ORDER, OVER = 0, 1, 6, 8
_PIECE = 1 << 16
_LARGEST = 1 << 20
_ENOUGH = 64  # pieces after the end of the command: far more than a pipe holds; those who print on are not waited for


def main() -> NoReturn:
    """The program."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    with open(ORDER, "rb") as file:
        order = json.load(file)
    redactor = Redactor(order["secrets"])
    stream = redactor.stream()
    ended = _copy(stream, until_over=True)
    if not ended:
        write(LOG, stream.end())
    with contextlib.suppress(OSError):
        _sift_result(redactor, order["said"], order["result"])
    if not ended and os.fork() == 0:
        _copy(stream, until_over=False)
    os._exit(0)


def _copy(stream: Stream, until_over: bool) -> bool:
    """Pass on what is printed. True: nobody can print any more; False: the command is over, and heard."""
    poll = select.poll()
    poll.register(OUTPUT, select.POLLIN | select.POLLHUP)
    if until_over:
        poll.register(OVER, select.POLLHUP)
    pieces = _ENOUGH
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if OVER in ready:
            pieces -= 1
        if OUTPUT not in ready or not pieces:
            return False
        data = os.read(OUTPUT, _PIECE)
        if not data:
            write(LOG, stream.end())
            return True
        write(LOG, stream.feed(data))


def _sift_result(redactor: Redactor, said: str, result: str) -> None:
    """What the command left as its result, without secrets, to where it is looked for."""
    data = read_plain(said, _LARGEST)
    try:
        data = json.dumps(redactor.json(json.loads(data)), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        data = redactor.data(data)
    fd = open_plain(result, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write(fd, data)
    finally:
        os.close(fd)
    os.unlink(said)


def write(fd: int, data: bytes) -> None:
    """All of it. What a full disk does not take is dropped: the command must not hang because of it."""
    view = memoryview(data)
    with contextlib.suppress(OSError):
        while view:
            view = view[os.write(fd, view) :]
