"""What stood in a directory at one moment, and what a difference means. Pure: no file is touched here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gnomon.core.errors import Problem

from .reading import READERS

SETTLE_S = 0.3
"""A file counts after so many seconds of unchanged size and modification time; a lost file after as many."""
REFILL_S = 10.0
"""A directory that was empty or away, and has files again, is believed after so many seconds without a change."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file changed. `ctime_ns`: also where somebody set size and time back; nobody sets that."""

    size: int
    mtime_ns: int
    inode: int
    device: int
    ctime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A look at a directory (or at a single file).

    Attributes:
        files: path → stamp of every job file that could be looked at.
        blocked: path → problem of entries (files or directories) that could not; what is below them is unknown.
        device: number of the device the directory is on; None: it could not be looked at.
        fault: why nothing is known (missing, unreadable, world-writable), or None.
    """

    files: Mapping[str, Stamp]
    blocked: Mapping[str, Problem]
    device: int | None = None
    fault: Problem | None = None


def is_job_file(name: str) -> bool:
    """Whether a file's name makes it a job file: a known extension, no dotfile, no editor's leftover, no settings."""
    if name.startswith((".", "#")) or name.endswith(("~", ".tmp", ".swp")) or name == "gnomon.toml":
        return False
    stem, dot, extension = name.rpartition(".")
    return bool(stem) and f"{dot}{extension.lower()}" in READERS


@dataclass(frozen=True, slots=True)
class Seen:
    """A stamp, and the monotonic time at which it was first seen."""

    stamp: Stamp
    since: float


def settle(
    seen: Mapping[str, Seen], files: Mapping[str, Stamp], *, monotonic: float, wall: float
) -> tuple[dict[str, Seen], set[str]]:
    """The new `seen`, and the paths that have settled.

    Settled: watched unchanged for `SETTLE_S`, or (when looked at for the first time) last modified as long ago.
    """
    after: dict[str, Seen] = {}
    settled: set[str] = set()
    for path, stamp in files.items():
        known = seen.get(path)
        if known is None or known.stamp != stamp:
            known = Seen(stamp, monotonic)
            if wall - stamp.mtime_ns / 1e9 >= SETTLE_S and path not in seen:
                known = Seen(stamp, monotonic - 2 * SETTLE_S)  # beyond any rounding
        after[path] = known
        if monotonic - known.since >= SETTLE_S:
            settled.add(path)
    return after, settled


def lost_files(known: Collection[str], now: Snapshot) -> set[str]:
    """Which of the `known` paths are certainly no longer there."""
    hidden = tuple(f"{path}/" for path in now.blocked)
    gone = {path for path in known if path not in now.files and path not in now.blocked}
    return {path for path in gone if not path.startswith(hidden)} if hidden else gone


def guard(root: str, lost: Collection[str], now: Snapshot, device: int | None) -> Problem | None:
    """Why lost files must not retire their jobs: the directory looks unmounted or emptied. None: all is well."""
    if now.fault is not None:
        return now.fault
    if lost and device is not None and now.device != device:
        return _held("directory_other_device", f"{root} is on another device than before", root)
    if len(lost) >= 2 and not now.files and not now.blocked:
        return _held("directory_emptied", f"{root} lost {len(lost)} files at once and is now empty", root)
    return None


def held_fault(code: str, message: str, root: str) -> Problem:
    """A fault of the directory as a whole."""
    return _held(code, message, root)


def _held(code: str, message: str, root: str) -> Problem:
    hint = "mend it; or, if the jobs are meant to go, run `gnomon jobs confirm-empty`. Until then no job is retired"
    return Problem(code, message, "", hint, root)
