"""The files of the pool (and, in a room of its own, of the executor `shared`), and what can be read in them.

<directory>/<2 hex digits>/<run>.<number>.log     what a call printed (`Logs` reads it), `.intent`, `.args`
<directory>/pool/nodes/<node>/<worker>.journal    and `.journal2`: what it began and ended (`wire.py`)
                              <worker>.id         pid, start, boot, pid namespace; locked while it lives
                              <worker>.out.N      what it prints just now
                              boot                of the machine, when the node opened its pool
<directory>/pool/fences/<run>.<number>            attempts with a token below the one in it must not begin
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gnomon.executors import processes
from gnomon.executors.attempt import Key
from gnomon.executors.files import AttemptFiles
from gnomon.system.plainfiles import open_plain, read_plain, read_whole, remove, size_of, write_plain

from .wire import Began, Over, records

_READS = 10
_SMALL, _JOURNAL = 4096, 1 << 28
"""What is read of a file at most. Journals are far smaller: they are emptied at 256 KiB if all ends are durable."""


@dataclass(slots=True)
class Story:
    """What one worker's journal says of one attempt, the newest token only."""

    worker: str
    began: Began | None = None
    over: Over | None = None
    refused: bool = False


class Places:
    """Paths below one directory of attempts."""

    def __init__(self, directory: Path, node_id: str, room: str = "pool") -> None:
        self.attempts = AttemptFiles(directory)
        self.nodes = f"{directory}/{room}/nodes"
        self.fences = f"{directory}/{room}/fences"
        self.own = f"{self.nodes}/{_safe(node_id)}"
        self._count = 0

    def open(self) -> None:
        """Make the directories, mode 0700. Raises OSError if that is impossible."""
        self.attempts.open()
        os.makedirs(self.fences, mode=0o700, exist_ok=True)
        os.makedirs(self.own, mode=0o700, exist_ok=True)
        write_plain(f"{self.own}/boot", processes.boot_id().encode())

    def restarted(self, node_id: str) -> bool:
        """Whether the machine was restarted since this node opened its pool: what it wrote last may be lost."""
        try:
            return read_plain(f"{self.nodes}/{_safe(node_id)}/boot", _SMALL) not in (b"", processes.boot_id().encode())
        except OSError:
            return False

    def leave(self, node: str = "") -> None:
        """Remove the directory of a node (path; default: our own) if no worker's files are in it."""
        node = node or self.own
        if names(node) == ["boot"]:
            remove(f"{node}/boot")
        with contextlib.suppress(OSError):
            os.rmdir(node)

    def new_worker(self) -> str:
        """A path for a new worker's files, never used before."""
        os.makedirs(self.own, mode=0o700, exist_ok=True)
        while True:
            self._count += 1
            prefix = f"{self.own}/{os.getpid()}-{self._count}"
            try:
                os.close(open_plain(f"{prefix}.journal", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            return prefix

    def fence(self, run_id: str, number: int) -> str:
        """Path of the fence of an attempt."""
        base = self.attempts.base(run_id, number)
        return self.fences + base[base.rindex("/") :]

    def revoke(self, run_id: str, number: int, token: int) -> None:
        """From now on this attempt can not begin with a token below `token`. Raises OSError if it can not be written.

        Durable before it returns as far as processes go, not against loss of power (a reboot ends them all).
        """
        path = self.fence(run_id, number)
        with contextlib.suppress(OSError, ValueError):
            if int(read_plain(path, _SMALL)) >= token:
                return
        os.makedirs(self.fences, mode=0o700, exist_ok=True)
        part = f"{path}-{os.getpid()}"
        write_plain(part, str(token).encode())
        os.rename(part, path)

    def workers(self) -> Iterator[str]:
        """Every worker of every node that has left files."""
        for node in names(self.nodes):
            for name in names(f"{self.nodes}/{node}"):
                if name.endswith(".journal"):
                    yield f"{self.nodes}/{node}/{name.removesuffix('.journal')}"


def names(directory: str) -> list[str]:
    """What is in it; nothing where there is none."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _safe(name: str) -> str:
    text = quote(name, safe="")
    return text if not text.startswith(".") else f"%2E{text[1:]}"


def read_journal(prefix: str) -> bytes:
    """Both files of a worker's journal, the older first; b"" where there is nothing."""
    data = b""
    for _ in range(_READS):
        before = _sizes(prefix)
        parts = []
        for _, path, _ in sorted(before):
            with contextlib.suppress(OSError):
                text = read_plain(path, _JOURNAL)
                parts.append(text[: text.rfind(b"\n") + 1])
        data, after = b"".join(parts), {path: size for _, path, size in _sizes(prefix)}
        if all(after.get(path, 0) >= size for _, path, size in before):  # else what was in one has moved to the other
            break
    return data


def _sizes(prefix: str) -> list[tuple[int, str, int]]:
    """When it was last written, path and size of each file of a journal."""
    found = []
    for path in (prefix + ".journal", prefix + ".journal2"):
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            found.append((status.st_mtime_ns, path, status.st_size))
    return found


def stories(prefix: str) -> dict[Key, Story]:
    """What a worker's journal says, by attempt."""
    found: dict[Key, Story] = {}
    for kind, record in records(read_journal(prefix)):
        story = found.setdefault((record.run, record.number), Story(prefix))
        if isinstance(record, Over):
            story.over = record
            if story.began is None:  # that was written down in a file which somebody has removed
                story.began = Began(record.run, record.number, record.token, record.at - record.seconds)
        elif kind == "R":
            story.refused, story.began = True, None
        else:
            story.refused, story.began = False, record
    return found


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is. `lives`: as far as can be seen from here."""

    pid: int
    start: int
    near: bool
    lives: bool


def identity(prefix: str, boot: str, namespace: str) -> Identity:
    """Whether the worker lives: by pid and start time, or by its lock if it is in another pid namespace."""
    try:
        fd = open_plain(prefix + ".id")
        try:
            data = json.loads(read_whole(fd, _SMALL))
            held = _locked(fd)
        finally:
            os.close(fd)
        pid, start = int(data["pid"]), int(data["start"])
        near = data["namespace"] == namespace
        if not 0 < pid < 1 << 31:
            raise ValueError
        if data["boot"] != boot:
            return Identity(pid, start, False, False)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Identity(0, 0, False, False)
    if not near:
        return Identity(pid, start, False, held)
    process = processes.find(pid)
    lives = process is not None and process.start == start and process.state not in "ZX"
    return Identity(pid, start, True, lives)


def _locked(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.lockf(fd, fcntl.LOCK_UN)
    return False


def spool_of(prefix: str) -> str | None:
    """What a worker prints just now, if there is anything in it."""
    directory, _, name = prefix.rpartition("/")
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(f"{name}.out.") and size_of(entry.path):
                return entry.path
    return None


def show(prefix: str, base: str) -> bool:
    """Make what a worker prints just now readable as the log of the attempt at `base`. False: nothing yet."""
    spool = spool_of(prefix)
    if spool is None:
        return False
    try:
        os.link(spool, base + ".log")
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def remove_worker(prefix: str) -> None:
    """Remove all files of a worker that is dead and of which nothing more is to be learnt. Idempotent."""
    directory, _, name = prefix.rpartition("/")
    for entry in names(directory):
        if entry.startswith((f"{name}.out.", f"{name}.id", f"{name}.journal")):
            remove(f"{directory}/{entry}")
    with contextlib.suppress(OSError):
        os.rmdir(directory)
