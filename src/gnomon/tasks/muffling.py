"""Secrets struck out of what a process prints, libraries and C code included, while an attempt is at work."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterator

from gnomon.core.redaction import Redactor

_PIECE = 1 << 16
_PATIENCE_S = 1.0  # for what was printed last, if a child process keeps the pipe open


@contextlib.contextmanager
def muffled(redactor: Redactor) -> Iterator[None]:
    """Descriptors 1 and 2 lead through `redactor` for as long as this lasts; without secrets nothing is done.

    A child process that lives on and prints is still heard, as long as this process lives.
    """
    if not redactor:
        yield
        return
    _flush()
    kept = os.dup(1), os.dup(2)
    out, into = os.pipe()
    done = threading.Event()
    thread = threading.Thread(target=_pass_on, args=(redactor, out, kept[0], done), daemon=True)
    thread.start()
    try:
        for place in (1, 2):
            os.dup2(into, place)
        os.close(into)
        yield
    finally:
        _flush()
        for place, fd in zip((1, 2), kept, strict=True):
            os.dup2(fd, place)
        os.close(kept[1])
        done.set()
        thread.join(_PATIENCE_S)


def _pass_on(redactor: Redactor, out: int, target: int, done: threading.Event) -> None:
    """Until the pipe has ended; it closes both."""
    stream = redactor.stream()
    poll = select.poll()
    poll.register(out, select.POLLIN | select.POLLHUP)
    try:
        while True:
            if not poll.poll(50):
                if done.is_set():
                    _write(target, stream.end())
                continue
            data = os.read(out, _PIECE)
            if not data:
                break
            _write(target, stream.feed(data))
        _write(target, stream.end())
    except OSError:
        return
    finally:
        os.close(out)
        os.close(target)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
