"""The watched directory: what is new, broken or gone since the last look. No clock and no sleep of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gnomon.core.errors import Problem
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes

from .again import Again
from .looking import look, read_file
from .parsing import ParsedFile, parse_bytes
from .snapshot import REFILL_S, SETTLE_S, Seen, Snapshot, Stamp, guard, lost_files, settle


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What one look found.

    Attributes:
        loaded: files with a new usable version.
        failed: files with other problems than before: not usable (or a bare list with bad entries).
        removed: files that are certainly gone; their jobs may be retired.
        guard: why no file counts as removed although files are missing, or None.
    """

    loaded: Mapping[str, ParsedFile] = field(default_factory=dict)
    failed: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    guard: Problem | None = None

    def __bool__(self) -> bool:
        return bool(self.loaded or self.failed or self.removed)


class DirectoryWatcher:
    """Watches one directory, or a single file.

    Attributes:
        good: the newest usable version of every file. failed: what is wrong with the newest version of the others.
        digests: SHA-256 of the newest version read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kinds: ScheduleKinds,
        task_types: TaskTypes,
        *,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        default_timezone: str = "UTC",
        owned: Iterable[str] = (),
    ) -> None:
        """Args:
        monotonic: seconds that never go back. wall: seconds since 1970.
        owned: paths that own active jobs in the store. Those under `path` that are gone count as lost files;
            those elsewhere keep their jobs as long as they exist.
        """
        self.root = os.path.abspath(path)
        self.good: dict[str, ParsedFile] = {}
        self.failed: dict[str, tuple[Problem, ...]] = {}
        self.digests: dict[str, str] = {}
        self._kinds, self._task_types, self._timezone = kinds, task_types, default_timezone
        self._monotonic, self._wall = monotonic, wall
        owners = set(owned)
        self._known = {file for file in owners if inside(self.root, file)}
        self._outside = owners - self._known
        self._read: dict[str, Stamp] = {}
        self._seen: dict[str, Seen] = {}
        self._held: set[str] = set()
        self._lost: set[str] = set()
        self._lost_since = 0.0
        self._refilled: tuple[Mapping[str, Stamp], float] = ({}, 0.0)
        self._device: int | None = None
        self._confirmed = False
        self._pending = False
        self._guard: Problem | None = None
        self._again = Again()

    def scan(self) -> FileChanges:
        """Look once; read what has settled, and now and then what has failed. Costs one `stat` per file when nothing
        changed."""
        monotonic = self._monotonic()
        now = look(self.root)
        self._seen, settled = settle(self._seen, now.files, monotonic=monotonic, wall=self._wall())
        loaded: dict[str, ParsedFile] = {}
        failed: dict[str, tuple[Problem, ...]] = {}
        self._pending = len(settled) < len(now.files)
        again = settled & self.failed.keys() if self._again.due(monotonic) else set()
        for path in sorted(path for path in settled if path in again or self._read.get(path) != now.files[path]):
            self._take(path, now.files[path], loaded, failed)
        if again:
            self._again.judged(monotonic, self._monotonic())
        for path, problem in now.blocked.items():
            if self.failed.get(path) != (problem,):
                self.failed[path] = failed[path] = (problem,)
                self._read.pop(path, None)
        self._forget(now)
        self._known.update(now.files)
        return FileChanges(loaded, failed, self._removed(now, monotonic), self._guard)

    def confirm_empty(self) -> None:
        """A person says that what is missing is meant to be gone: the next look retires it."""
        self._confirmed = True

    def next_wait(self) -> float:
        """Seconds until the next look is worth its cost: 0.25 for few files, up to 1.2 for 10,000."""
        if self._pending:
            return SETTLE_S
        return min(0.25 + len(self._seen) * 1e-4, 1.2)

    @property
    def guard(self) -> Problem | None:
        """Why missing files do not count as removed at the moment, or None."""
        return self._guard

    @property
    def losing(self) -> bool:
        """Files are missing, and not yet believed to be gone."""
        return bool(self._lost)

    @property
    def settling(self) -> bool:
        """Something was seen that does not count yet: a file that may still be written, a loss that may pass."""
        return self._pending

    @property
    def outside(self) -> frozenset[str]:
        """Files that own jobs, lie elsewhere and are there: nobody watches them."""
        return frozenset(path for path in self._outside if os.path.lexists(path))

    @property
    def held(self) -> frozenset[str]:
        """Missing files whose jobs are not retired (the guard), although other files may take them over."""
        return frozenset(self._held)

    @property
    def broken(self) -> frozenset[str]:
        """Files that are there and have no usable version: what they own stays theirs."""
        return frozenset(self.outside | (self._known - self._held - self.good.keys()))

    def _take(
        self, path: str, stamp: Stamp, loaded: dict[str, ParsedFile], failed: dict[str, tuple[Problem, ...]]
    ) -> None:
        data = read_file(path, stamp)
        if data is None:
            self._pending = True
            return
        self._read[path] = stamp
        before = self.failed.get(path, ())
        if isinstance(data, Problem):
            self.digests.pop(path, None)
            if before != (data,):
                self.failed[path] = failed[path] = (data,)
            return
        digest = hashlib.sha256(data).hexdigest()
        same = self.digests.get(path) == digest
        if same and not before:
            return
        self.digests[path] = digest
        parsed = parse_bytes(data, path, self._kinds, self._task_types, default_timezone=self._timezone)
        if same and parsed.problems == before:
            return
        if parsed.usable:
            self.good[path] = loaded[path] = parsed
        if parsed.problems:
            self.failed[path] = failed[path] = parsed.problems
        else:
            self.failed.pop(path, None)

    def _forget(self, now: Snapshot) -> None:
        """Problems of entries that are neither blocked nor files any more are over."""
        for path in now.blocked:
            self.digests.pop(path, None)
        if now.fault is None:
            gone = [path for path in self.failed if path not in now.files and path not in now.blocked]
            for path in gone:
                if path not in self._known:
                    del self.failed[path]

    def _removed(self, now: Snapshot, monotonic: float) -> tuple[str, ...]:
        """The files that are gone, once no more have been lost for `SETTLE_S`; those the guard holds back are not."""
        lost = set(self._known) if now.fault is not None else lost_files(self._known, now)
        reason = guard(self.root, lost, now, self._device)
        self._held = (self._held | lost if reason else self._held) & lost
        if reason is not None or not self._held:
            self._refilled = {}, monotonic
        elif self._filled(now, monotonic):
            self._held = set()
        confirmed, self._confirmed = self._confirmed, False
        if confirmed and lost and (reason is None or reason.code != "world_writable"):
            self._held, reason = set(), None if now.fault is None else reason
            self._device, self._guard = now.device, reason
            return self._drop(lost)
        self._guard = reason or (self._guard if self._held else None)
        if reason is None and now.device is not None:
            self._device = now.device
        ripe = lost - self._held
        if ripe != self._lost:
            self._lost, self._lost_since = ripe, monotonic
        if ripe and monotonic - self._lost_since < SETTLE_S:
            self._pending = True
            return ()
        return self._drop(ripe)

    def _filled(self, now: Snapshot, monotonic: float) -> bool:
        """Whether a directory that was empty has files again, and nothing has changed in it for a while."""
        if now.files != self._refilled[0]:
            self._refilled = now.files, monotonic
        return bool(now.files) and monotonic - self._refilled[1] >= REFILL_S

    def _drop(self, lost: set[str]) -> tuple[str, ...]:
        for path in lost:
            self._known.discard(path)
            for table in (self.good, self.failed, self.digests, self._read):
                table.pop(path, None)
        self._lost = set()
        return tuple(sorted(lost))


def inside(root: str, path: str) -> bool:
    """Whether a path is `root` or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")
