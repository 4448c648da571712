"""Backups as files: what one consists of, how it comes into being whole or not at all, and how it is read.

A directory or a `.tar.gz` with `gnomon.db`, `manifest.json` and, unless left out, `attempts/` with the output of
attempts. It is put together in `.NAME.partial` beside its place and moved there when it is complete and on the disk.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gnomon.core.errors import Conflict, Problem, UsageError, usage
from gnomon.system.exchange import exchange
from gnomon.system.filelock import HeldLock, LockTimeoutError
from gnomon.system.plainfiles import NotPlain, open_plain

DATABASE, MANIFEST, ATTEMPTS = "gnomon.db", "manifest.json", "attempts"
FORMAT = 1
_ARCHIVES = (".tar.gz", ".tgz")
_LOGS = (".log", ".cut")
_PIECE = 1 << 20
_MOST_MANIFEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        at: the moment of the copy, RFC 3339.
        schema: revision of the database's schema.
        sha256: of the database.
        logs: how many files of output are with it; None: they were left out.
    """

    at: str
    gnomon: str
    schema: str
    bytes: int
    sha256: str
    logs: int | None
    format: int = FORMAT


def is_archive(place: Path) -> bool:
    """Whether a backup there is one file."""
    return place.name.endswith(_ARCHIVES)


@contextlib.contextmanager
def staging(place: Path) -> Iterator[Path]:
    """A directory (0700) beside `place` for what is not complete yet; removed in the end, whatever is left in it.

    What a killed process left there is removed first.

    Raises:
        Conflict: `backup_running`: another process is at it.
        UsageError: `backup_place`.
    """
    partial = place.with_name(f".{place.name}.partial")
    if not place.parent.is_dir():
        raise usage("backup_place", f"there is no directory {place.parent}", hint="make it first")
    with contextlib.suppress(FileExistsError):
        partial.mkdir(mode=0o700)
    _refuse_foreign(partial)
    try:
        lock = HeldLock(partial / "lock")
    except LockTimeoutError:
        hint = "wait for it, or name another place"
        raise Conflict(Problem("backup_running", f"another process writes {place} now", hint=hint)) from None
    try:
        for old in partial.iterdir():
            if old.name != "lock":
                _remove(old)
        yield partial
    finally:
        with contextlib.suppress(OSError):
            for left in partial.iterdir():
                if left.name != "lock":
                    _remove(left)
        lock.release()
        with contextlib.suppress(OSError):  # the next one may be here already
            partial.rmdir()


def _refuse_foreign(partial: Path) -> None:
    """What lies there must be ours: others must not read or change what we put together."""
    found = os.lstat(partial)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        said = f"{partial} is there already, and not ours alone"
        raise usage("backup_place", said, hint="remove it, or choose a directory that others may not write")


def refuse_existing(place: Path, force: bool) -> None:
    """Raises:
    Conflict: `backup_exists`: something is there, and it may not be replaced.
    """
    if not os.path.lexists(place):
        return
    if not force:
        raise Conflict(Problem("backup_exists", f"{place} exists already", hint="--force replaces it"))
    if place.is_dir() and not (place / MANIFEST).is_file() and any(place.iterdir()):
        said = f"{place} is a directory, but no backup: it is not replaced"
        raise Conflict(Problem("backup_exists", said, hint="name a directory that does not exist yet"))


def write_backup(place: Path, partial: Path, manifest: Callable[[int | None], Manifest], logs: Path | None) -> Manifest:
    """Complete what is in `partial`, where `gnomon.db` is already, and move it to `place`, replacing what is there.

    Args:
        manifest: makes it, given how many files of output there are.
        logs: the directory of attempts; None: leave them out.
    """
    whole = partial / "whole"
    whole.mkdir(mode=0o700)
    (partial / DATABASE).rename(whole / DATABASE)
    count = None if logs is None else _copy_logs(logs, whole / ATTEMPTS, holes=not is_archive(place))
    made = manifest(count)
    _write(whole / MANIFEST, json.dumps(asdict(made), indent=2).encode() + b"\n")
    if is_archive(place):
        _pack(whole, partial / "archive")
        whole = partial / "archive"
    else:
        os.sync()
    _swap(whole, place, partial / "old")
    sync(place.parent)
    return made


def read_backup(file: Path, target: Path) -> Manifest | None:
    """Unpack a backup into the new directory `target`; None: `file` is a bare database, of which nothing is known.

    Raises:
        UsageError: `backup_missing`, `backup_invalid`.
    """
    target.mkdir(mode=0o700)
    if file.is_dir():
        with _as_invalid(file, OSError):
            _take_directory(file, target)
    elif not file.exists():
        raise usage("backup_missing", f"there is no {file}")
    elif is_archive(file):
        with _as_invalid(file, tarfile.TarError, EOFError, zlib.error, OSError):
            _unpack(file, target)
    else:
        _copy(file, target / DATABASE)
        return None
    return _manifest(file, target)


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _manifest(file: Path, place: Path) -> Manifest:
    path = place / MANIFEST
    try:
        if path.stat().st_size > _MOST_MANIFEST:
            raise ValueError("it is too large")
        read = json.loads(path.read_bytes())
        found = Manifest(**{name: read[name] for name in Manifest.__dataclass_fields__})
        if found.format != FORMAT:
            raise _invalid(file, f"its format is {found.format}, this version knows {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _invalid(file, f"{MANIFEST} cannot be read ({error})") from None
    if not (place / DATABASE).is_file() or digest(place / DATABASE) != found.sha256:
        raise _invalid(file, f"{DATABASE} is not what {MANIFEST} says: it is damaged or was changed")
    return found


def _invalid(file: Path, why: str) -> UsageError:
    hint = "name a directory or a .tar.gz that `gnomon db backup` made, or a database"
    return usage("backup_invalid", f"{file} is no backup: {why}", hint=hint)


@contextlib.contextmanager
def _as_invalid(file: Path, *errors: type[Exception]) -> Iterator[None]:
    """What goes wrong in reading it is its fault; a full disk is not."""
    try:
        yield
    except errors as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _invalid(file, str(error) or type(error).__name__) from None


def _copy_logs(source: Path, target: Path, *, holes: bool) -> int:
    """Output that is there now; what goes away meanwhile, and what commands put in its place, is left out."""
    count = 0
    target.mkdir(mode=0o700)
    for shard in sorted(source.iterdir()) if source.is_dir() else ():
        if len(shard.name) != 2 or not shard.is_dir():
            continue
        for log in sorted(shard.iterdir()):
            if log.suffix not in _LOGS:
                continue
            (target / shard.name).mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError, NotPlain, PermissionError):
                _copy(log, target / shard.name / log.name, holes=holes)
                count += 1
    return count


def _copy(source: Path, target: Path, *, holes: bool = True) -> None:
    """The bytes of a file as they are now, into a new one (0600). Holes stay holes, or end the copy."""
    with (
        open(open_plain(str(source)), "rb", 0) as read,
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", 0) as write,
    ):
        size, at = os.fstat(read.fileno()).st_size, 0
        while at < size:
            try:
                start = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            if start > at and not holes:
                return
            at, end = start, os.lseek(read.fileno(), start, os.SEEK_HOLE)
            while at < end and (data := os.pread(read.fileno(), min(_PIECE, end - at), at)):
                at += os.pwrite(write.fileno(), data, at)
            if at < end:
                break
        if holes:
            write.truncate(size)


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def _pack(directory: Path, archive: Path) -> None:
    """The manifest first, so that a look at the beginning tells what it is."""
    with (
        open(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=6, format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in (MANIFEST, DATABASE, ATTEMPTS):
            if (directory / name).exists():
                tar.add(directory / name, name)
    sync(archive)


def _unpack(archive: Path, target: Path) -> None:
    """Only what a backup has: regular files of known names, never outside of `target`; all of it, to its trailer."""
    with gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        for member in tar:
            parts = member.name.split("/")
            if not member.isfile() or not _known(parts):
                continue
            place = target.joinpath(*parts)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            read = tar.extractfile(member)
            assert read is not None
            with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                shutil.copyfileobj(read, file, _PIECE)
        while packed.read(_PIECE):  # the checksum stands behind all of it
            pass


def _take_directory(source: Path, target: Path) -> None:
    for name in (MANIFEST, DATABASE):
        if not (source / name).is_file():
            raise _invalid(source, f"there is no {name} in it")
        _copy(source / name, target / name)
    if (source / ATTEMPTS).is_dir():
        _copy_logs(source / ATTEMPTS, target / ATTEMPTS, holes=True)


def _known(parts: list[str]) -> bool:
    if len(parts) == 1:
        return parts[0] in (MANIFEST, DATABASE)
    shard = parts[1] if len(parts) == 3 else ""
    inside = len(shard) == 2 and shard.isalnum() and not parts[2].startswith(".")
    return inside and parts[0] == ATTEMPTS and parts[2].endswith(_LOGS)


def _swap(new: Path, place: Path, aside: Path) -> None:
    """Move `new` to `place`, replacing in one step what is there; where that cannot be, it goes just before."""
    if os.path.lexists(place) and (place.is_dir() or new.is_dir()):
        if exchange(new, place):
            return
        place.rename(aside)
    new.rename(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
