"""What /proc knows: who is alive, who belongs to an attempt (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

TICKS = os.sysconf("SC_CLK_TCK")
_MARKS = (b"GNOMON_RUN_ID=", b"GNOMON_ATTEMPT=", b"GNOMON_SCOPE=")

Mark = tuple[bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `start` is in clock ticks since boot; with `pid` it is an identity."""

    pid: int
    state: str
    parent: int
    session: int
    start: int


@dataclass(frozen=True, slots=True)
class Target:
    """Which processes are one attempt's.

    Attributes:
        leader: pid of its shim, the session's leader; never itself a member.
        since: no member is older (clock ticks since boot).
        mark: values of GNOMON_RUN_ID, GNOMON_ATTEMPT, GNOMON_SCOPE in the environment of its processes.
        session_is_ours: the shim is not reaped yet, so its pid can not name somebody else's session.
    """

    leader: int
    since: int
    mark: Mark
    session_is_ours: bool


def mark_of(environment: Mapping[str, str]) -> Mark:
    """The mark that processes with this environment carry."""
    run, number, scope = (environment.get(name[:-1].decode(), "") for name in _MARKS)
    return run.encode(), number.encode(), scope.encode()


def boot_id() -> str:
    """Identity of this boot of the machine; "" where the kernel does not say."""
    return _text("/proc/sys/kernel/random/boot_id").strip()


def namespace() -> str:
    """Identity of the pid namespace we are in: pids mean nothing in another one."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def boot_seconds() -> float:
    """Seconds since boot, suspend included: the clock of `Process.start`."""
    return float((_text("/proc/uptime") or "0").split()[0])


def find(pid: int) -> Process | None:
    """The process with this pid, zombies included, or None."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, 2048)
    except OSError:
        return None
    finally:
        os.close(fd)
    fields = data[data.rfind(b")") + 2 :].split()
    return Process(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def pidfd(process: Process) -> int:
    """A descriptor that becomes readable when this process ends; -1 if there is none to be had, or it has ended."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return -1
    now = find(process.pid)
    if now is not None and now.start == process.start:
        return fd
    os.close(fd)
    return -1


def has_argument(pid: int, argument: str) -> bool:
    """Whether the command line of `pid` has this word."""
    return argument.encode() in _bytes(f"/proc/{pid}/cmdline").split(b"\0")


def is_nameless(pid: int) -> bool:
    """Whether `pid` has no command line: it is just being executed, or dying."""
    return not _bytes(f"/proc/{pid}/cmdline")


class Snapshot:
    """All processes at one moment; environments are read when asked for, once."""

    def __init__(self) -> None:
        pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
        self._all = {process.pid: process for pid in pids if (process := find(pid)) is not None}
        self._marks: dict[int, Mark | None] = {}

    def members(self, target: Target) -> list[Process]:
        """The living processes of an attempt: its session, whoever carries its mark, and their descendants.

        Never the shim, never the calling process, never a process that carries another attempt's mark.
        """
        found = {process.pid for process in self._living(target.since) if self._belongs(process, target)}
        stack = [*found, target.leader] if target.session_is_ours else list(found)
        while stack:
            for child in self._children.get(stack.pop(), ()):
                if (
                    child.pid not in found
                    and child.start >= target.since
                    and self.mark(child.pid) in (None, target.mark)
                ):
                    found.add(child.pid)
                    stack.append(child.pid)
        found -= {target.leader, os.getpid()}
        return [self._all[pid] for pid in sorted(found)]

    def with_argument(self, argument: str) -> int | None:
        """The pid of a process with this word in its command line, or None."""
        return next((pid for pid in self._all if has_argument(pid, argument)), None)

    def mark(self, pid: int) -> Mark | None:
        """The mark in the environment of `pid`; None if it has none or does not show it."""
        if pid not in self._marks:
            self._marks[pid] = _read_mark(pid)
        return self._marks[pid]

    def _living(self, since: int) -> Iterator[Process]:
        return (process for process in self._all.values() if process.start >= since and process.state not in "ZX")

    def _belongs(self, process: Process, target: Target) -> bool:
        mark = self.mark(process.pid)
        if mark is None:
            return target.session_is_ours and process.session == target.leader
        return mark == target.mark

    @cached_property
    def _children(self) -> dict[int, list[Process]]:
        children: dict[int, list[Process]] = {}
        for process in self._all.values():
            if process.state not in "ZX":
                children.setdefault(process.parent, []).append(process)
        return children


def _read_mark(pid: int) -> Mark | None:
    data = b"\0" + _bytes(f"/proc/{pid}/environ")
    values = []
    for name in _MARKS:
        start = data.find(b"\0" + name)
        if start < 0:
            return None
        start += 1 + len(name)
        end = data.find(b"\0", start)
        values.append(data[start : end if end >= 0 else None])
    return values[0], values[1], values[2]


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def _text(path: str) -> str:
    return _bytes(path).decode("utf-8", "replace")
