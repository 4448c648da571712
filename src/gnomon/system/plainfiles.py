"""Files that somebody else can touch: opened at once or not at all, and only if they are plain files.

A command knows where its attempt's files lie, and may have put a directory, a pipe, a link, a device or a file under a
lease there. Whoever opens such a path as it is waits for ever, reads /dev/zero to its end, or writes to what a link
points at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_SAFE = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_NO_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV})
_PIECE = 1 << 20


class NotPlain(OSError):
    """Something is there, and it is no plain file."""


def open_plain(path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of a regular file; never waits, follows no link at the end of the path.

    Raises:
        NotPlain: a directory, a pipe, a link, a socket or a device is there.
        OSError: there is nothing (FileNotFoundError), or it may or can not be opened just now.
    """
    try:
        fd = os.open(path, flags | _SAFE, mode)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _not_plain(path) from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        os.set_blocking(fd, True)  # children inherit it
        return fd
    os.close(fd)
    raise _not_plain(path)


def read_plain(path: str, limit: int) -> bytes:
    """Up to `limit` bytes from the start. Raises as `open_plain`."""
    fd = open_plain(path)
    try:
        return read_whole(fd, limit)
    finally:
        os.close(fd)


def read_whole(fd: int, limit: int) -> bytes:
    """Up to `limit` bytes from where the descriptor stands, in pieces."""
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(fd, min(limit, _PIECE))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def write_plain(path: str, data: bytes, *, sync: bool = False) -> None:
    """Make it the content of the file; `sync`: durably. Raises as `open_plain`."""
    fd = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def size_of(path: str) -> int:
    """The size of a regular file; 0 for everything else."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def remove(path: str) -> None:
    """Whatever has this name goes, a directory with all that is in it; links are not followed. Never raises."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError:
        with contextlib.suppress(OSError, RecursionError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                import shutil  # costs 10 ms, which what starts for every attempt need not pay

                shutil.rmtree(path, ignore_errors=True)


def _not_plain(path: str) -> NotPlain:
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        kind = 0
    names = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket"}
    return NotPlain(errno.EINVAL, f"{names.get(kind, 'a device')} is in the place of a file", path)
