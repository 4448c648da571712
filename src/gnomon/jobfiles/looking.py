"""Looking at files on disk: one pass over a directory, and the safe reading of one file. Never blocks, never raises."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from gnomon.core.errors import Problem
from gnomon.core.texts import is_whole, readable

from .snapshot import Snapshot, Stamp, held_fault, is_job_file
from .tree import MAX_BYTES

MAX_LEVELS = 20
"""Directories below the jobs directory that are looked into."""


def look(root: str) -> Snapshot:
    """Every job file under `root` (or `root` itself), by `stat` alone.

    Files behind symbolic links count; directories behind symbolic links do not, and are reported.
    """
    try:
        status = os.stat(root)
    except OSError as error:
        return Snapshot({}, {}, None, _root_fault(root, error))
    if not is_whole(root):
        return Snapshot({}, {}, None, misnamed(root))
    if stat.S_ISREG(status.st_mode):
        return _single(root, status)
    if not stat.S_ISDIR(status.st_mode):
        return Snapshot({}, {}, None, held_fault("not_a_directory", f"{root} is neither a directory nor a file", root))
    if status.st_mode & stat.S_IWOTH:
        return Snapshot({}, {}, None, _writable_root(root))
    files: dict[str, Stamp] = {}
    blocked: dict[str, Problem] = {}
    try:
        _walk(root, 0, files, blocked)
    except OSError as error:
        return Snapshot({}, {}, None, _root_fault(root, error))
    return Snapshot(files, blocked, status.st_dev)


def _single(root: str, status: os.stat_result) -> Snapshot:
    try:
        parent = os.stat(os.path.dirname(root) or ".").st_mode
    except OSError:
        parent = 0
    if status.st_mode & stat.S_IWOTH or (parent & stat.S_IWOTH and not parent & stat.S_ISVTX):
        return Snapshot({}, {}, None, _writable_root(root))
    return Snapshot({root: _stamp(status)}, {}, status.st_dev)


def _walk(folder: str, level: int, files: dict[str, Stamp], blocked: dict[str, Problem]) -> None:
    for entry in _entries(folder):
        name, path = entry.name, entry.path
        if name.startswith("."):
            continue
        try:
            if not is_whole(name) and (entry.is_dir() or is_job_file(name)):
                blocked[readable(path)] = misnamed(path)
                continue
            if entry.is_dir(follow_symlinks=False):
                _enter(path, level + 1, files, blocked)
                continue
            if entry.is_symlink() and entry.is_dir():
                hint = "make it a real directory, or link the files"
                blocked[path] = Problem("symlinked_directory", "a link to a directory is not followed", "", hint, path)
                continue
            if not is_job_file(name):
                continue
            status = entry.stat()
        except FileNotFoundError:
            if entry.is_symlink():
                blocked[path] = Problem("file_unreadable", "the link points to nothing", "", "mend or remove it", path)
            continue
        except OSError as error:
            blocked[path] = unreadable(path, error)
            continue
        problem = _refused(path, status.st_mode)
        if problem is None:
            files[path] = _stamp(status)
        else:
            blocked[path] = problem


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _enter(path: str, level: int, files: dict[str, Stamp], blocked: dict[str, Problem]) -> None:
    if level > MAX_LEVELS:
        hint = f"use at most {MAX_LEVELS} levels"
        blocked[path] = Problem("too_deep", "directories are nested too deeply", "", hint, path)
        return
    if os.stat(path, follow_symlinks=False).st_mode & stat.S_IWOTH:
        blocked[path] = _writable(path)
        return
    inside: dict[str, Stamp] = {}
    try:
        _walk(path, level, inside, blocked)
    except OSError as error:
        blocked[path] = unreadable(path, error)
        return
    files.update(inside)


def _refused(path: str, mode: int) -> Problem | None:
    if not stat.S_ISREG(mode):
        return Problem("not_a_file", "this is no regular file", "", "put a regular file there", path)
    return _writable(path) if mode & stat.S_IWOTH else None


def _writable(path: str) -> Problem:
    hint = f"chmod o-w {path}"
    return Problem("world_writable", "everybody may write this: jobs from it are not taken", "", hint, path)


def _writable_root(root: str) -> Problem:
    message = f"everybody may write to {root} (or replace it): whoever writes a job runs code as this user"
    return Problem(
        "world_writable", message, "", f"chmod o-w {root}; until then nothing is read and no job is retired", root
    )


def _root_fault(root: str, error: OSError) -> Problem:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return held_fault("directory_missing", f"{root} does not exist", root)
    return held_fault("directory_unreadable", f"{root} cannot be read: {_said(error)}", root)


def unreadable(path: str, error: OSError) -> Problem:
    """The problem of a file that cannot be looked at or read."""
    if error.errno == errno.ELOOP:
        return Problem("symlink_loop", "the link leads back to itself", "", "mend or remove it", path)
    return Problem("file_unreadable", f"the file cannot be read: {_said(error)}", "", "check its permissions", path)


def misnamed(path: str) -> Problem:
    """The problem of a name that is not UTF-8: neither the database nor an answer could hold it."""
    message, hint = "the name is not UTF-8: nothing is read here", "rename it"
    return Problem("name_not_utf8", message, "", hint, readable(path))


def _said(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, status.st_ctime_ns)


def read_file(path: str, expected: Stamp | None = None) -> bytes | Problem | None:
    """The bytes of a regular file (at most one more than allowed).

    None: it is gone, or is no longer (or does not stay, while being read) what `expected` says: look again.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    except OSError as error:
        return unreadable(path, error)
    try:
        before = os.fstat(handle)
        if expected is not None and _stamp(before) != expected:
            return None
        problem = _refused(path, before.st_mode)
        if problem is not None:
            return problem
        data = _all(handle)
        return data if expected is None or _stamp(os.fstat(handle)) == expected else None
    except OSError as error:
        return unreadable(path, error)
    finally:
        os.close(handle)


def _all(handle: int) -> bytes:
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    while left > 0 and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
