"""The logs of attempts: written line by line, made at the first, bounded. Runs in the worker."""

from __future__ import annotations

import os
from collections.abc import Callable

from gnomon.system.plainfiles import open_plain

_LONGEST = 8192
_HELD = 1024  # of a line that is longer: a secret may be half in it
_NOTE = b"[gnomon: the rest of the output was dropped, the log is full]\n"


class Log:
    """What one attempt says. Full at `limit` bytes; then a note, and nothing more."""

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._room = path, max(0, limit - len(_NOTE) - 1)
        self.size = 0
        self._full = False
        self._open = ""
        self._strike: Callable[[str], str] = str

    def guard(self, strike: Callable[[str], str]) -> None:
        """From now on, everything goes through this first: it strikes out what must not be written."""
        self._strike = strike

    def __call__(self, text: str) -> None:
        """As `write`."""
        self.write(text)

    def print(self, text: str) -> None:
        """As `print` does it: in pieces. Whole lines are written."""
        *lines, self._open = (self._open + text).split("\n")
        if len(self._open) > _LONGEST:
            struck = self._strike(self._open)  # as a whole: a cut through a secret would hide it
            lines, self._open = [*lines, struck[:-_HELD]], struck[-_HELD:]
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Write what is left of a last line. What is said later, by callbacks that an attempt has left, is dropped."""
        if self._open:
            self.write(self._open)
            self._open = ""
        self._full = True

    def write(self, text: str) -> None:
        """Append a line. What the disk refuses is dropped."""
        if self._full:
            return
        text = self._strike(text)
        data = (text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace")
        if len(data) > self._room:
            self._full = True
            cut = data[: self._room].decode("utf-8", "ignore").encode()
            data = (cut + b"\n" if cut and not cut.endswith(b"\n") else cut) + _NOTE
        self._room -= len(data)
        try:
            self.size += self._append(data)
        except OSError:
            self._full = True

    def _append(self, data: bytes) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            fd = open_plain(self._path, flags)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            fd = open_plain(self._path, flags)
        try:
            return os.write(fd, data)
        finally:
            os.close(fd)
