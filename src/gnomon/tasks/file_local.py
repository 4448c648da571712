"""Files of this machine: written beside their place, made durable, then put there in one step."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from gnomon.core.values import Json

from .file_places import CHUNK, Facts, Sending
from .file_spots import Roots, Spot, check_tree, make_parents, roots_of_worker, spot
from .performing import TaskFailed

__all__ = ["LocalPlace", "roots_of_worker"]
_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"))


class LocalPlace:
    """A path of this machine; relative ones start at the working directory of the service."""

    def __init__(self, path: str, roots: Roots, environment: Mapping[str, str]) -> None:
        self.path, self.roots, self.environment = path, roots, environment
        self.shown = os.path.normpath(os.path.join(os.getcwd(), path))

    def facts(self) -> Facts | None:
        try:
            with spot(self.path, self.roots, follow=True) as here:
                status = here.status()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if status is None else facts_of(status)

    @contextmanager
    def reading(self) -> Iterator[Iterator[bytes]]:
        with spot(self.path, self.roots, follow=True) as here:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(here.name, flags, dir_fd=here.fd)
        with open(fd, "rb", buffering=0) as file:
            _only_file(os.fstat(fd), self.shown)
            yield iter(lambda: file.read(CHUNK), b"")

    def send(self, chunks: Iterable[bytes], how: Sending) -> dict[str, Json]:
        if how.parents:
            make_parents(self.path, self.roots)
        with spot(self.path, self.roots, follow=True) as here:
            old = here.status()
            if old is not None:
                _only_file(old, self.shown)
                if not how.overwrite:
                    raise _there(self.shown)
            draft = self.draft(here)
            fd, named = _new_file(here, draft)
            try:
                with open(fd, "wb", buffering=0):
                    for chunk in chunks:
                        _all(fd, chunk)
                    _rights(fd, how.mode, old)
                    os.fsync(fd)
                    if not named:
                        os.link(f"/proc/self/fd/{fd}", draft, dst_dir_fd=here.fd, follow_symlinks=True)
                _into_place(here, draft, how.overwrite, self.shown)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=here.fd)
            here.sync()
        return {"created": old is None}

    def append(self, data: bytes, how: Sending) -> None:
        if how.parents:
            make_parents(self.path, self.roots)
        with spot(self.path, self.roots, follow=True) as here:
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            new = here.status() is None
            fd = os.open(here.name, flags | os.O_CREAT, 0o666, dir_fd=here.fd)
            try:
                _only_file(os.fstat(fd), self.shown)
                if new and how.mode is not None:
                    os.fchmod(fd, how.mode)
                _all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            if new:
                here.sync()

    def delete(self, recursive: bool, only_dir: bool = False) -> None:
        with spot(self.path, self.roots, follow=False) as here:
            self.roots.protect(here.real, self.shown)
            status = here.status()
            if status is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.shown)
            if not stat.S_ISDIR(status.st_mode):
                if only_dir:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.shown)
                os.unlink(here.name, dir_fd=here.fd)
            elif recursive:
                check_tree(here.real, self.shown)
                shutil.rmtree(here.name, dir_fd=here.fd)
            else:
                os.rmdir(here.name, dir_fd=here.fd)
            here.sync()

    def mkdir(self, how: Sending) -> bool:
        if how.parents:
            make_parents(self.path, self.roots)
        with spot(self.path, self.roots, follow=True) as here:
            try:
                os.mkdir(here.name, dir_fd=here.fd)
            except FileExistsError:
                status = here.status()
                if status is None or not stat.S_ISDIR(status.st_mode) or not how.overwrite:
                    raise _there(self.shown) from None
                return False
            if how.mode is not None:
                os.chmod(here.name, how.mode, dir_fd=here.fd)
            here.sync()
        return True

    def entries(self, recursive: bool) -> Iterator[tuple[str, Facts]]:
        with spot(self.path, self.roots, follow=True) as here:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(here.name, flags, dir_fd=here.fd)
        try:
            for directory, dirs, files, at in os.fwalk(".", dir_fd=fd, follow_symlinks=False, onerror=_raise):
                dirs.sort()
                head = directory.removeprefix(".").lstrip("/")
                for name in sorted([*dirs, *files]):
                    with suppress(FileNotFoundError):  # gone meanwhile
                        status = os.stat(name, dir_fd=at, follow_symlinks=False)
                        yield f"{head}/{name}" if head else name, facts_of(status)
                if not recursive:
                    return
        finally:
            os.close(fd)

    def below(self, name: str) -> LocalPlace:
        return LocalPlace(os.path.join(self.path, name), self.roots, self.environment)

    def draft(self, here: Spot) -> str:
        """The name of a file or directory that is being made, beside the place; no two attempts share one."""
        who = "-".join(self.environment.get(f"GNOMON_{word}", "") for word in ("RUN_ID", "ATTEMPT", "FENCE"))
        name = f".gnomon-{who}-{os.getpid()}.tmp"
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=here.fd)
        return name

    def protect(self) -> None:
        """Refuse what nobody means to lose."""
        with spot(self.path, self.roots, follow=False) as here:
            self.roots.protect(here.real, self.shown)
            check_tree(here.real, self.shown)

    def rename_to(self, target: LocalPlace, how: Sending) -> bool:
        """Move in one step. False: the two are on different file systems.

        Raises:
            TaskFailed: `target_exists`, `protected_path`. OSError.
        """
        if how.parents:
            make_parents(target.path, target.roots)
        with spot(self.path, self.roots, follow=False) as one, spot(target.path, target.roots, follow=False) as other:
            self.roots.protect(one.real, self.shown)
            mine, theirs = one.status(), other.status()
            if mine is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.shown)
            directories = [status for status in (mine, theirs) if status and stat.S_ISDIR(status.st_mode)]
            if theirs is not None and (directories or not how.overwrite):
                raise _there(target.shown)
            try:
                if how.overwrite or directories:
                    os.rename(one.name, other.name, src_dir_fd=one.fd, dst_dir_fd=other.fd)
                else:
                    os.link(one.name, other.name, src_dir_fd=one.fd, dst_dir_fd=other.fd, follow_symlinks=False)
                    os.unlink(one.name, dir_fd=one.fd)
            except FileExistsError:
                raise _there(target.shown) from None
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return False
                if error.errno == errno.EINVAL:
                    raise TaskFailed("same_place", f"{target.shown} is inside of {self.shown}") from None
                raise
            other.sync()
            one.sync()
        return True


@contextmanager
def new_directory(target: LocalPlace, how: Sending) -> Iterator[LocalPlace]:
    """A directory to fill; it is put at `target` in one step when all is in it, and goes when not.

    Raises:
        TaskFailed: `target_exists`. OSError.
    """
    if how.parents:
        make_parents(target.path, target.roots)
    with spot(target.path, target.roots, follow=True) as here:
        if here.status() is not None:
            raise _there(target.shown)
        draft = target.draft(here)
        os.mkdir(draft, dir_fd=here.fd)
        try:
            yield LocalPlace(os.path.join(os.path.dirname(here.real), draft), target.roots, target.environment)
            os.rename(draft, here.name, src_dir_fd=here.fd, dst_dir_fd=here.fd)
        except BaseException:
            shutil.rmtree(draft, dir_fd=here.fd, ignore_errors=True)
            raise
        here.sync()


def _new_file(here: Spot, draft: str) -> tuple[int, bool]:
    """A file without a name, so that nothing is left when we are killed; or, where there are none, one of this name."""
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):
            return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=here.fd), False
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(draft, flags, 0o666, dir_fd=here.fd), True


def facts_of(status: os.stat_result) -> Facts:
    """Facts from a status."""
    kind = next((name for test, name in _KINDS if test(status.st_mode)), "other")
    size = status.st_size if kind in ("file", "link") else None
    modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Facts(kind, size, modified, f"{stat.S_IMODE(status.st_mode):04o}")


def _only_file(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a link"
        raise TaskFailed("not_a_file", f"{shown} is {what}; name a file")


def _there(shown: str) -> TaskFailed:
    return TaskFailed("target_exists", f"{shown} is there already")


def _raise(error: OSError) -> None:
    raise error


def _all(fd: int, data: bytes) -> None:
    """Write all of it; a regular file takes it in one piece as long as there is room."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _rights(fd: int, mode: int | None, old: os.stat_result | None) -> None:
    """As asked, or as they were."""
    if old is not None:
        with suppress(OSError):  # only root may give a file away
            os.fchown(fd, old.st_uid, old.st_gid)
    if mode is not None or old is not None:
        os.fchmod(fd, mode if mode is not None else (old.st_mode if old else 0) & 0o777)  # no new content with setuid


def _into_place(here: Spot, draft: str, overwrite: bool, shown: str) -> None:
    if overwrite:
        os.rename(draft, here.name, src_dir_fd=here.fd, dst_dir_fd=here.fd)
        return
    try:
        os.link(draft, here.name, src_dir_fd=here.fd, dst_dir_fd=here.fd, follow_symlinks=False)
    except FileExistsError:
        raise _there(shown) from None
