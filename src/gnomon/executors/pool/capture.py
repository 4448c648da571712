"""What a call prints, C code and child processes included. Runs in a worker.

Descriptors 1 and 2 append to a spool. A call that printed nothing leaves it empty, for the next one; where
something was printed the spool becomes the attempt's log by renaming, so a log costs nothing until it is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import TextIO

from gnomon.system.plainfiles import open_plain, remove, size_of

HIGH = 200
"""Our own descriptors start here, out of the way of those who close or reuse low numbers."""


class Spool:
    """Where 1 and 2 lead. `prefix`: path and name of the worker."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self._count = prefix, 0
        self._fd, self._path = -1, ""
        self._inode = (0, 0)
        self.renew()
        with contextlib.suppress(OSError):
            os.unlink(f"{prefix}.out.0")  # what the interpreter had to say while it started
        self.out, self.err = _stream(1), _stream(2)
        sys.stdout, sys.stderr = self.out, self.err
        vars(sys).update(__stdout__=self.out, __stderr__=self.err)

    def renew(self) -> None:
        """A new, empty spool."""
        if self._fd >= 0 and self._ours(self._fd):
            os.close(self._fd)
        self._count += 1
        self._path = f"{self._prefix}.out.{self._count}"
        fd = _new(self._path)
        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
        os.close(fd)
        with contextlib.suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # tells who reads it that it is being written
        status = os.fstat(self._fd)
        self._inode = (status.st_dev, status.st_ino)
        os.dup2(self._fd, 1)
        os.dup2(self._fd, 2)

    def begin(self) -> None:
        """A call begins: where it can print, whatever has become of the directory since."""
        try:
            status = os.lstat(self._path)
            there = (status.st_dev, status.st_ino) == self._inode
        except OSError:
            there = False
        if not there:
            self.renew()

    def write(self, text: str) -> None:
        """Print as the call's own words."""
        with contextlib.suppress(OSError):
            os.write(self._fd if self._ours(self._fd) else 2, text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Bring to the file what Python holds back. What can not be written is dropped."""
        for stream in (self.out, self.err, sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):  # what a call has put there may raise anything
                stream.flush()

    def finish(self, base: str, others: bool) -> int:
        """The call is over: its log's size. `others`: processes of it live on, and may still print."""
        if sys.stdout is not self.out or sys.stderr is not self.err or self.out.closed or self.err.closed:
            self.out, self.err = (s if not s.closed else _stream(n) for n, s in ((1, self.out), (2, self.err)))
            sys.stdout, sys.stderr = self.out, self.err
        if not self._ours(self._fd):
            size = self._lost(base)
            self.renew()
            return size
        size = os.fstat(self._fd).st_size
        if size:
            _move(self._path, base + ".log")
            self.renew()
        elif others:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self.renew()
        elif not self._ours(1) or not self._ours(2):
            os.dup2(self._fd, 1)
            os.dup2(self._fd, 2)
        return size

    def _ours(self, fd: int) -> bool:
        try:
            status = os.fstat(fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _lost(self, base: str) -> int:
        """The call closed our descriptor; the file is still there."""
        size = size_of(self._path)
        if size:
            _move(self._path, base + ".log")
        else:
            remove(self._path)
        self._fd = -1
        return size


def _new(path: str) -> int:
    """Where nothing can be made, what is printed is dropped."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return open_plain(path, flags)
    except OSError:
        return os.open(os.devnull, flags | os.O_CLOEXEC)


def _move(spool: str, log: str) -> None:
    """Where both are names of one file already, rename(2) does nothing. What can not be kept must not be the next's."""
    with contextlib.suppress(OSError):
        try:
            os.rename(spool, log)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(log), mode=0o700, exist_ok=True)
            os.rename(spool, log)
    remove(spool)


def _stream(fd: int) -> TextIO:
    return open(fd, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
