"""What a worker writes down: its journal, and who it is. Runs in a worker."""

from __future__ import annotations

import errno
import fcntl
import json
import os

from gnomon.system.plainfiles import open_plain, remove

from .capture import HIGH

_ROTATE = 256 * 1024
_FOREIGN = (errno.ENOENT, errno.EINVAL, errno.EACCES, errno.EPERM, errno.EAGAIN)
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Journal:
    """Two files in turn: one is emptied and used again when all ends in it are known to be durable."""

    def __init__(self, prefix: str) -> None:
        self._paths = (f"{prefix}.journal", f"{prefix}.journal2")
        self._turn, self._size, self._ends, self._last = 0, 0, 0, [0, 0]
        self._fd, self._inode = -1, (0, 0)
        self._open()

    def write(self, data: bytes, ends: int) -> None:
        """Append in one write(2). `ends`: how many attempts end in it. Raises OSError when the disk refuses."""
        if not self._named():
            self._anew()
            data = self._again() + data
        elif not self.intact():
            self._open()
        if os.write(self._fd, data) != len(data):
            raise OSError("short write to the journal")
        self._size += len(data)
        self._ends += ends
        self._last[self._turn] = self._ends

    def acknowledged(self, ends: int) -> None:
        """The first `ends` ends are durable elsewhere."""
        other = 1 - self._turn
        if self._size > _ROTATE and self._last[other] <= ends:
            self.renew()

    def renew(self) -> None:
        """Empty the other file and go on in it; if the disk refuses, in the one of now, until that has grown again."""
        self._turn, self._size = 1 - self._turn, 0
        try:
            self._open(os.O_TRUNC)
        except OSError:
            self._turn = 1 - self._turn

    def intact(self) -> bool:
        """Whether our descriptor is still ours: a call may have closed it."""
        try:
            status = os.fstat(self._fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _again(self) -> bytes:
        """What must be written down again when the file is gone."""
        return b""

    def _named(self) -> bool:
        """Whether others find it: a call may have removed it, or put something else in its place."""
        try:
            status = os.lstat(self._paths[self._turn])
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _open(self, flags: int = 0) -> None:
        """Go on in the file of this turn, or in a new one if there is none, or something that can not be written."""
        try:
            self._use(open_plain(self._paths[self._turn], flags | _APPEND))
        except OSError as error:
            if error.errno not in _FOREIGN:
                raise
            self._anew()

    def _anew(self) -> None:
        """Go on in a new file, whatever has its name. The old one stays open until there is one."""
        path = self._paths[self._turn]
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        remove(path)
        self._use(open_plain(path, _APPEND | os.O_EXCL))

    def _use(self, fd: int) -> None:
        if self.intact():
            os.close(self._fd)
        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
        os.close(fd)
        status = os.fstat(self._fd)
        self._inode = (status.st_dev, status.st_ino)


def identify(prefix: str) -> int:
    """Say who we are, for successors; the lock on it (fcntl, not inherited by children) tells that we live."""
    with open("/proc/self/stat", "rb") as file:
        start = int(file.read().rpartition(b")")[2].split()[19])
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as text:
        boot = text.read().strip()
    identity = {"pid": os.getpid(), "start": start, "boot": boot, "namespace": os.readlink("/proc/self/ns/pid")}
    part = f"{prefix}.id-new"
    fd = open_plain(part, os.O_RDWR | os.O_CREAT)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
    os.close(fd)
    os.write(high, json.dumps(identity).encode())
    fcntl.lockf(high, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.rename(part, f"{prefix}.id")
    return high
