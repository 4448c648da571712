"""What a worker writes down: its journal, and who it is. Runs in a worker."""

from __future__ import annotations

import fcntl
import json
import os

from gnomon.system.plainfiles import open_plain

from .capture import HIGH

_ROTATE = 256 * 1024


class Journal:
    """Two files in turn: one is emptied and used again when all ends in it are known to be durable."""

    def __init__(self, prefix: str) -> None:
        self._paths = (f"{prefix}.journal", f"{prefix}.journal2")
        self._turn, self._size, self._ends, self._last = 0, 0, 0, [0, 0]
        self._fd, self._inode = -1, (0, 0)
        self._open()

    def write(self, data: bytes, ends: int) -> None:
        """Append in one write(2). `ends`: how many attempts end in it. Raises OSError when the disk refuses."""
        if not self.intact():
            self._open()
        elif not self._named():
            os.close(self._fd)
            self._open()
            data = self._again() + data
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
        """Empty the other file and go on in it."""
        if self.intact():
            os.close(self._fd)
        self._turn, self._size = 1 - self._turn, 0
        self._open(os.O_TRUNC)

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
        """Whether others find it: somebody may have emptied the directory."""
        try:
            status = os.lstat(self._paths[self._turn])
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _open(self, flags: int = 0) -> None:
        path, flags = self._paths[self._turn], flags | os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            fd = open_plain(path, flags)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            fd = open_plain(path, flags)
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
