"""Keeping a log small while somebody else writes it.

The command writes its log itself (O_APPEND), so it needs no reader and survives us. Beyond the limit the
middle is given back to the file system (fallocate(2), PUNCH_HOLE): offsets stay what they were, head and tail
stay readable. When the last writer is gone, the file is made compact: head, one line saying what was cut, tail.

What stands in its place may be anything by now: the command knows where it lies (`gnomon.system.plainfiles`).

A file system that can not punch holes keeps the head and what was written since the last look.
The spawner holds a shared flock(2) on each log; its copies in the children tell us when all writers are gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
from dataclasses import dataclass

from gnomon.system.plainfiles import open_plain, read_plain, remove, size_of

_PUNCH_AND_KEEP_SIZE = 0x02 | 0x01
_STEP = 256 * 1024  # smallest hole worth a system call
_CHUNK = 1 << 20
_CUT_LIMIT = 4096


def marker(count: int, about: bool = False) -> bytes:
    """The line that stands for what was cut."""
    return f"\n[… {'about ' if about else ''}{count} bytes cut …]\n".encode()


def hold(fd: int) -> None:
    """Mark the log as being written, for as long as a copy of `fd` is open in any process."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


def held(path: str) -> bool:
    """Whether any process still has the log open for writing."""
    try:
        fd = open_plain(path)
    except OSError:
        return False
    try:
        return not _lock(fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a compact log lacks: the bytes [start, end) of the output; `line` bytes stand for them, `size` is all."""

    start: int
    end: int
    line: int
    size: int


def read_cut(path: str) -> Cut | None:
    """The cut of the log at `path`, or None."""
    try:
        data = json.loads(read_plain(path.removesuffix(".log") + ".cut", _CUT_LIMIT))
        start, end, line, size = (data[name] for name in ("start", "end", "line", "size"))
        sound = all(type(number) is int and 0 <= number < 1 << 62 for number in (start, end, line, size))
        return Cut(start, end, line, size) if sound and start <= end and start + line <= size else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


class CappedLog:
    """One log and its limit (bytes). For one thread."""

    def __init__(self, path: str, limit: int) -> None:
        self._path = path
        self._head = limit // 2
        self._tail = limit - self._head
        self._punched = 0
        self._dropped = 0
        self._last_size = 0

    def poll(self) -> bool:
        """Cut if need be. True: it grew, so look again soon."""
        size = size_of(self._path)
        grew, self._last_size = size > self._last_size + 4096, size
        self._punched = min(self._punched, size)  # the command itself may have truncated it
        if size > self._head + self._tail + max(_STEP, (self._head + self._tail) // 4):
            self._cut(size)
        return grew

    def finish(self) -> int | None:
        """Make it final: compact, or gone when empty. Gives its size, or None while somebody still writes it.

        Idempotent; two processes may do it at once.
        """
        try:
            fd = open_plain(self._path)
        except OSError:
            return 0
        try:
            size = os.fstat(fd).st_size
            if 0 < size <= self._head + self._tail and not self._dropped:
                return size
            if not _lock(fd):
                return None
            size = os.fstat(fd).st_size
            if size == 0:
                os.unlink(self._path)
                return 0
            cut = read_cut(self._path)
            return size if cut is not None and cut.size == size else self._compact(fd, size)
        except OSError:
            return self.kept()
        finally:
            os.close(fd)

    def kept(self) -> int:
        """About how many bytes there are, on a log that is not final."""
        return min(self._last_size, self._head + self._tail)

    def _cut(self, size: int) -> None:
        try:
            fd = open_plain(self._path, os.O_RDWR)
        except OSError:
            return
        try:
            block = max(4096, os.fstat(fd).st_blksize)
            start = max(self._punched, -(-self._head // block) * block)
            end = (size - self._tail) // block * block
            if end - start < _STEP:
                return
            try:
                _punch(fd, start, end - start)
                self._punched = end
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    return
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, self._head)
                    self._dropped += size - self._head
        finally:
            os.close(fd)

    def _compact(self, fd: int, size: int) -> int:
        tail = min(self._tail, size - self._head)
        end = size - tail
        line = marker(end - self._head + self._dropped, about=bool(self._dropped))
        cut = Cut(self._head, end, len(line), self._head + len(line) + tail)
        told = json.dumps({"start": cut.start, "end": cut.end, "line": cut.line, "size": cut.size})
        cut_path = self._path.removesuffix(".log") + ".cut"
        new, new_cut = f"{self._path}.new-{os.getpid()}", f"{cut_path}-{os.getpid()}"
        try:
            with open(new, "wb", opener=_made) as file:
                _copy(fd, file.fileno(), 0, self._head)
                os.write(file.fileno(), line)
                _copy(fd, file.fileno(), end, tail)
            with open(new_cut, "wb", opener=_made) as file:
                file.write(told.encode())
            os.rename(new_cut, cut_path)
            os.rename(new, self._path)
        except OSError:
            remove(new)
            remove(new_cut)
            raise
        return cut.size


def _copy(source: int, target: int, offset: int, count: int) -> None:
    while count > 0:
        sent = os.sendfile(target, source, offset, min(count, _CHUNK))
        if sent == 0:
            return
        offset, count = offset + sent, count - sent


def _made(path: str, flags: int) -> int:
    return open_plain(path, flags)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks on this file system: nobody can be seen writing
        return True
    return True


def _punch(fd: int, offset: int, count: int) -> None:
    if _FALLOCATE is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _FALLOCATE(fd, _PUNCH_AND_KEEP_SIZE, offset, count) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _load() -> ctypes._NamedFuncPointer | None:
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        function.restype = ctypes.c_int
    return function


_FALLOCATE = _load()
