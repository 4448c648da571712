"""Where a path of this machine really leads, held open while it is used, so that swapped links lead nowhere."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .performing import TaskFailed

SETTING = "GNOMON_FILE_ROOTS"
MOUNTS = "/proc/self/mountinfo"
MOST_LINKS = 40
_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Roots:
    """Directories that file tasks stay in. Empty: all of the machine that the service's user may touch."""

    paths: Sequence[str] = ()

    def check(self, real: str, given: str) -> None:
        """Whether the real path may be touched.

        Raises:
            TaskFailed: `outside_roots`.
        """
        if self.paths and not any(within(real, root) for root in self.paths):
            where = "" if real == given else f" ({real})"
            raise TaskFailed("outside_roots", f"{given}{where} is outside {SETTING} of this worker")

    def protect(self, real: str, given: str) -> None:
        """Refuse what nobody means to lose: `/`, the home and the working directory, a root, and what is above one.

        Raises:
            TaskFailed: `protected_path`.
        """
        kept = ["/", os.path.realpath(os.path.expanduser("~")), os.getcwd(), *self.paths]
        if any(within(path, real) for path in kept):
            what = "/, the home directory, the working directory, a root, or above one"
            raise TaskFailed("protected_path", f"{given} is {what}: not touched")


def check_tree(real: str, given: str) -> None:
    """Refuse a directory that is not to go as a whole: another file system is mounted in it.

    Raises:
        TaskFailed: `protected_path`.
    """
    for mount in _mounts():
        if within(mount, real):
            raise TaskFailed("protected_path", f"{given}: a file system is mounted at {mount}: not touched")


def _mounts() -> Iterator[str]:
    """Where file systems are mounted (proc(5), mountinfo)."""
    with suppress(OSError), open(MOUNTS, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            yield re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split(" ")[4])


def roots_of_worker(environment: Mapping[str, str]) -> Roots:
    """What the worker was told.

    Raises:
        TaskFailed: `setting_invalid`.
    """
    words = [word for word in environment.get(SETTING, "").split(":") if word]
    if any(not word.startswith("/") for word in words):
        raise TaskFailed("setting_invalid", f"{SETTING} needs absolute directories, with : between them")
    return Roots(tuple(os.path.realpath(word) for word in words))


def within(path: str, directory: str) -> bool:
    """Whether a (real) path is the directory or below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open directory. `real`: the whole path, without links in front of the name."""

    fd: int
    name: str
    real: str

    def status(self) -> os.stat_result | None:
        """Of what is there, a link itself included; None: nothing."""
        try:
            return os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sync(self) -> None:
        """Make the names of the directory durable."""
        with suppress(OSError):  # some file systems cannot
            fd = os.open(".", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


@contextmanager
def spot(path: str, roots: Roots, *, follow: bool) -> Iterator[Spot]:
    """The place of `path`, inside the roots.

    Args:
        follow: of a link, where it leads; False: the link itself.

    Raises:
        TaskFailed: `outside_roots`, `too_many_links`. OSError: a directory on the way is missing or closed to us.
    """
    given, here = path, os.path.join(os.getcwd(), path)
    for _ in range(MOST_LINKS):
        head, name = os.path.split(here.rstrip("/"))
        if name in ("", ".", ".."):
            head, name = os.path.split(os.path.realpath(here))
        fd = os.open(head or "/", _DIRECTORY)
        try:
            parent = os.readlink(f"/proc/self/fd/{fd}")
            real = os.path.join(parent, name)
            roots.check(real.rstrip("/") or "/", given)
            found = Spot(fd, name or ".", real.rstrip("/") or "/")
            link = os.readlink(name, dir_fd=fd) if follow and _is_link(found) else None
            if link is None:
                yield found
                return
            here = os.path.join(parent, link)
        finally:
            os.close(fd)
    raise TaskFailed("too_many_links", f"{given} leads through more than {MOST_LINKS} links")


def _is_link(place: Spot) -> bool:
    status = place.status()
    return status is not None and stat.S_ISLNK(status.st_mode)


def make_parents(path: str, roots: Roots) -> None:
    """The directories in front of the last name of `path`.

    Raises:
        TaskFailed: `outside_roots`, `bad_arguments`. OSError.
    """
    have, missing = os.path.split(os.path.join(os.getcwd(), path).rstrip("/"))[0] or "/", []
    while not os.path.isdir(have):
        if os.path.lexists(have):
            raise NotADirectoryError(20, os.strerror(20), have)
        have, name = os.path.split(have.rstrip("/"))
        missing.append(name)
    if ".." in missing:
        raise TaskFailed("bad_arguments", f"{path}: no directory is made across `..`")
    fd = os.open(have, _DIRECTORY)
    try:
        roots.check(os.readlink(f"/proc/self/fd/{fd}"), path)
        for name in reversed([name for name in missing if name != "."]):
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=fd)
            deeper = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = deeper
    finally:
        os.close(fd)
