"""Reading what commands printed, while they run and afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from gnomon.system.plainfiles import open_plain, remove

from .capping import Cut, marker, read_cut
from .files import AttemptFiles

T = TypeVar("T")


class Logs:
    """The logs below one directory of attempts.

    Offsets count the bytes the command wrote, whatever was cut out of the middle: they stay valid when a
    running log is cut or an ended one made compact. Reading across a cut gives one line saying so. Thread-safe.
    """

    def __init__(self, directory: Path) -> None:
        self._files = AttemptFiles(directory)

    def read(self, run_id: str, number: int, offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, int]:
        """Up to `limit` bytes from `offset` on, and the offset to go on from. Unknown or at the end: empty."""
        path = self._path(run_id, number)
        return _with(path, lambda fd: _read(fd, path, max(0, offset), limit), (b"", offset))

    def size(self, run_id: str, number: int) -> int:
        """The offset at the end: how much was printed so far; 0 if nothing or unknown."""
        path = self._path(run_id, number)

        def end(fd: int) -> int:
            size = os.fstat(fd).st_size
            cut = _cut_of(path, size)
            return size if cut is None else cut.end + cut.size - cut.start - cut.line

        return _with(path, end, 0)

    def delete(self, run_id: str, number: int) -> None:
        """Remove it. Idempotent; what can not be removed stays."""
        path = self._path(run_id, number)
        for name in (path, path.removesuffix(".log") + ".cut"):
            remove(name)

    def kept(self, part: int, before: datetime) -> Sequence[tuple[str, int]]:
        """Attempts with output in this part (0 to 255) of all that there is, not touched since `before`."""
        return list(self._files.logs(part, before))

    def _path(self, run_id: str, number: int) -> str:
        return self._files.base(run_id, number) + ".log"


def _with(path: str, use: Callable[[int], T], otherwise: T) -> T:
    """What is no plain file, or can not be read, is no log."""
    try:
        fd = open_plain(path)
    except OSError:
        return otherwise
    try:
        return use(fd)
    finally:
        os.close(fd)


def _cut_of(path: str, size: int) -> Cut | None:
    """The cut, if the file of this size is the compact one already."""
    cut = read_cut(path)
    return cut if cut is not None and cut.size == size else None


def _read(fd: int, path: str, offset: int, limit: int) -> tuple[bytes, int]:
    size = os.fstat(fd).st_size
    cut = _cut_of(path, size)
    if cut is not None:
        return _read_compact(fd, cut, offset, limit)
    if offset >= size:
        return b"", size
    for _ in range(3):  # a hole may be punched between looking and reading
        if (data := _seek(fd, offset, os.SEEK_DATA, size)) > offset:
            return marker(data - offset), data
        block = os.pread(fd, min(limit, _seek(fd, offset, os.SEEK_HOLE, size) - offset), offset)
        if _seek(fd, offset, os.SEEK_DATA, size) == offset:
            return block, offset + len(block)
    return b"", offset


def _read_compact(fd: int, cut: Cut, offset: int, limit: int) -> tuple[bytes, int]:
    if offset < cut.start:
        block = os.pread(fd, min(limit, cut.start - offset), offset)
    elif offset < cut.end:
        return os.pread(fd, cut.line, cut.start), cut.end
    elif (place := offset - cut.end + cut.start + cut.line) < cut.size:
        block = os.pread(fd, limit, place)
    else:
        return b"", offset
    return block, offset + len(block)


def _seek(fd: int, offset: int, what: int, size: int) -> int:
    """lseek(2) for data or a hole; the end of the file where there is none."""
    try:
        return os.lseek(fd, offset, what)
    except OSError as error:
        return size if what == os.SEEK_HOLE or error.errno == errno.ENXIO else offset
