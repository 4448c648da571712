"""Locks that the kernel keeps with an open file: gone with the process, however it dies (flock(2)).

flock belongs to the open file, not to the process: it works between threads too, and closing another
descriptor of the same file does not drop it (as a POSIX record lock would). A child made by fork without exec
shares the open file and would keep the lock alive, so children close their copies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import weakref
from collections.abc import Iterator

from .plainfiles import open_plain

_FIRST_NAP_S = 0.0001
_LONGEST_NAP_S = 0.002
MOST_TOLD = 4096
"""Bytes of what the holder of a lock tells; written whole each time, so that the disk has the room from then on."""

_NOTE = 256


class LockTimeoutError(Exception):
    """The lock was not free in time."""


class _OpenFile:
    """A lock file kept open, closed in forked children."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _OPEN.add(self)

    def try_lock(self, kind: int = fcntl.LOCK_EX) -> bool:
        """Take it if it is free."""
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Give it back."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def note(self, text: str) -> None:
        """Have it say this, in a place of its own."""
        os.pwrite(self.fd, text.encode().ljust(_NOTE), MOST_TOLD)

    def close(self) -> None:
        """Idempotent; drops the lock if this process is the only one with the open file."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


_OPEN: weakref.WeakSet[_OpenFile] = weakref.WeakSet()


def _close_in_child() -> None:
    for held in list(_OPEN):
        held.close()


os.register_at_fork(after_in_child=_close_in_child)


class FileLock:
    """A fair lock between processes and threads: whoever waits gets it before the last holder again.

    Two files make a turnstile: take `PATH.next`, then `PATH.lock`, then give `PATH.next` back. Who comes back at
    once has to pass the turnstile, where the one that waits already stands. One `FileLock` serves one thread at
    a time; others use their own over the same path.

    Args:
        path: beside which the two lock files lie; they are made if missing and stay (0600).
        timeout_s: how long `hold` waits.

    Raises:
        OSError: if the files cannot be opened or made.
    """

    def __init__(self, path: str | os.PathLike[str], timeout_s: float = 30.0) -> None:
        self._timeout_s = timeout_s
        self._turnstile = _OpenFile(f"{os.fspath(path)}.next")
        self._lock = _OpenFile(f"{os.fspath(path)}.lock")

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Have it for the body.

        Raises:
            LockTimeoutError: if others had it for `timeout_s`.
        """
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Take it; see `hold`."""
        deadline = time.monotonic() + self._timeout_s
        _wait_for(self._turnstile, deadline)
        try:
            _wait_for(self._lock, deadline)
        finally:
            self._turnstile.unlock()

    def release(self) -> None:
        """Give it back."""
        self._lock.unlock()

    def note(self, text: str) -> None:
        """Have its file say this (`noted`); for whoever holds it."""
        self._lock.note(text)

    def close(self) -> None:
        """Drop it and free the descriptors. Idempotent."""
        self._lock.close()
        self._turnstile.close()


def _wait_for(file: _OpenFile, deadline: float) -> None:
    """Ask again and again: flock has no timeout, and short naps cost little at the pace of disks."""
    nap_s = _FIRST_NAP_S
    while not file.try_lock():
        if time.monotonic() >= deadline:
            raise LockTimeoutError(file.path)
        time.sleep(nap_s)
        nap_s = min(nap_s * 1.5, _LONGEST_NAP_S)


def nap(seconds: float) -> None:
    """Wait a moment, for what tells nobody."""
    time.sleep(seconds)


class HeldLock:
    """A lock file held for the life of a process: others ask `is_held` to learn whether it lives.

    Args:
        note: what it says from now on (`noted`).

    Raises:
        LockTimeoutError: if another process or object holds it.
        OSError: if the file cannot be opened or made.
    """

    def __init__(self, path: str | os.PathLike[str], note: str = "") -> None:
        self.path, self._note = os.fspath(path), note
        deadline = time.monotonic() + 0.1  # a passing `is_held` shares the lock for a moment
        while True:
            file = _OpenFile(self.path)
            try:
                _wait_for(file, deadline)
            except LockTimeoutError:
                file.close()
                raise
            if _is_still(file):
                self._file = file
                file.note(note)
                return
            file.close()

    def tell(self, text: bytes) -> None:
        """Write what others may read with `told`, in place: neither a full disk nor a closed directory is in the way.

        Raises:
            OSError: it could not be written all the same.
        """
        if self._file.fd >= 0:
            with contextlib.suppress(OSError):
                self._stay()
            os.pwrite(self._file.fd, text[: MOST_TOLD - 1].ljust(MOST_TOLD - 1) + b"\n", 0)

    def _stay(self) -> None:
        """Somebody may have emptied the directory, or the one it is in: take the name again, so that others see that we
        live. Raises FileNotFoundError where more is gone: that was moved, and what we make would be in the way of its
        return."""
        if not _is_still(self._file):
            directory = os.path.dirname(self.path)
            for each in (os.path.dirname(directory), directory):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(each, 0o700)
            again = _OpenFile(self.path)
            if again.try_lock() and _is_still(again):
                again.note(self._note)
                self._file, again = again, self._file
            again.close()

    def release(self) -> None:
        """Remove the file and give the lock back. Idempotent."""
        if self._file.fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self._file.close()


def _is_still(file: _OpenFile) -> bool:
    """Whether the path still names the file that was locked (a holder removes it when it goes)."""
    try:
        return os.path.samestat(os.stat(file.path), os.fstat(file.fd))
    except OSError:
        return False


def told(path: str | os.PathLike[str]) -> bytes:
    """What the holder of this `HeldLock` told last; nothing if it cannot be read."""
    return _read(path, MOST_TOLD, 0)


def noted(path: str | os.PathLike[str]) -> str:
    """What the holder of this lock noted in its file, or one before it."""
    return _read(path, _NOTE, MOST_TOLD).decode("utf-8", "replace")


def _read(path: str | os.PathLike[str], most: int, at: int) -> bytes:
    try:
        fd = open_plain(os.fspath(path))
    except OSError:
        return b""
    try:
        return os.pread(fd, most, at).rstrip()
    except OSError:
        return b""
    finally:
        os.close(fd)


def is_held(path: str | os.PathLike[str]) -> bool:
    """Whether someone holds this `HeldLock`. No file: nobody. A file that may not be opened counts as held."""
    try:
        fd = open_plain(os.fspath(path))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
