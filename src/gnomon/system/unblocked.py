"""A text stream that never keeps its writers waiting, for logs and progress: nobody has to read them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import queue
import select
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gnomon.core.health import Check

MOST_WAITING = 8_000_000
"""Characters that wait for a reader; what comes then is dropped."""
MOST_AT_ONCE = 65_536
LAST_S = 2.0
"""How long the end of a program waits for a reader that takes nothing."""


class Unblocked(io.TextIOBase):
    """Writes to the descriptor of `stream` from a thread of its own. What no reader takes is dropped and counted.

    Args:
        stream: what is written to. Nobody else should, meanwhile: its buffer is passed by.
        dropped: the line that tells how many lines were dropped, once somebody reads again; None: none.
    """

    def __init__(self, stream: TextIO, dropped: Callable[[int], str] | None = None) -> None:
        stream.flush()
        self._stream, self._dropped = stream, dropped
        self._fd = os.dup(stream.fileno())
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # may be entered again by a finaliser
        self._given = self._lost = 0  # counted by who writes
        self._taken = self._told = 0  # counted by the thread
        self._thread = threading.Thread(target=self._run, name="gnomon-output", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Of the stream."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Have it written; returns at once."""
        if self._given - self._taken > MOST_WAITING:
            lines = text.count("\n")  # before `+=`: a call between its two halves lets another thread in
            self._lost += lines
        else:
            kept = text if len(text) <= MOST_AT_ONCE else text[: MOST_AT_ONCE - 2] + "…\n"
            size = len(kept)
            self._given += size
            self._queue.put(kept)
        return len(text)

    def checks(self) -> Iterator[Check]:
        """Whether somebody reads."""
        from gnomon.core.health import Check, Level  # not for `gnomon --help`, which comes through here too

        if lost := self._lost - self._told:
            yield Check("log", Level.DEGRADED, f"nobody reads the log: {lost} lines were dropped")

    def finish(self) -> None:
        """Wait until all is written, as long as somebody takes any of it; then write no more."""
        self._queue.put(None)
        taken = -1
        while self._thread.is_alive() and taken != self._taken:
            taken = self._taken
            self._thread.join(LAST_S)

    def _run(self) -> None:
        while (text := self._queue.get()) is not None:
            lost, line = self._lost - self._told, self._dropped
            self._put(text)
            self._taken += len(text)
            if lost and self._given - self._taken < MOST_WAITING // 2:
                self._told += lost
                self._put("" if line is None else line(lost))
        os.close(self._fd)

    def _put(self, text: str) -> None:
        """Write it all, or give up on it: no reader any more, no room."""
        data = text.encode(self.encoding, "backslashreplace")
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError as error:
                if error.errno != errno.EAGAIN:  # made non-blocking by somebody it is shared with
                    return
                select.select([], [self._fd], [])


@contextlib.contextmanager
def unblocked(stream: TextIO | None, dropped: Callable[[int], str] | None = None) -> Iterator[TextIO | None]:
    """The stream, unblocked for the body; as it is if it has no descriptor."""
    try:
        found = None if stream is None else Unblocked(stream, dropped)
    except (OSError, ValueError):
        found = None
    if found is None:
        yield stream
        return
    try:
        yield found  # type: ignore[misc]
    finally:
        found.finish()
