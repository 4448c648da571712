"""Places that fsspec reaches: s3, gcs, ftp, sftp, zip, …, each with the package that fsspec wants for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from gnomon.core.values import Json
from gnomon.system.clock import SystemEntropy

from .file_places import CHUNK, Facts, Sending, local_path, refused, shown
from .file_spots import Roots, spot
from .net_addresses import gate_of_worker
from .performing import TaskFailed

BY_HOST = {"ftp": 21, "sftp": 22, "ssh": 22, "smb": 445, "webhdfs": 9870}
"""Backends whose URL says which host is called: the host is judged as those of http tasks are."""

SEEN_AT_ONCE = frozenset(("ftp", "memory", "sftp", "ssh"))
"""Backends that show a file while it is being written; an object store shows it when all of it is there."""

NETWORK = frozenset(
    (
        *("abfs", "abfss", "adl", "az", "dbfs", "dropbox", "ftp", "gcs", "gdrive", "gs", "hdfs", "hf", "lakefs"),
        *("memory", "oci", "oss", "s3", "s3a", "sftp", "smb", "ssh", "tos", "webdav", "webhdfs"),
    )
)
"""What may be used by a worker that keeps to roots: backends that reach nothing of this machine."""


def fsspec_place(url: str, options: Mapping[str, Any], roots: Roots) -> FsspecPlace:
    """The place of a URL; archives inside of others are written as chains, `zip://name::/srv/a.zip`.

    Raises:
        TaskFailed: `backend_unknown`, `backend_missing`, `outside_roots`, or what its host makes of us.
    """
    import fsspec  # type: ignore[import-untyped]
    from fsspec.registry import known_implementations  # type: ignore[import-untyped]

    scheme = url.split("://", 1)[0].split("::", 1)[0].lower()
    if any(link.lower().startswith(("http:", "https:")) for link in url.split("::")):
        raise refused("http inside a chain", shown(url), "copy the file here first")
    if roots.paths:
        _check_roots(url, scheme, options)
    for host in (urlsplit(url).hostname, options.get("host")) if scheme in BY_HOST else ():
        if host:
            asyncio.run(gate_of_worker().addresses(str(host), urlsplit(url).port or BY_HOST[scheme]))
    held = Held()
    fresh = {**options, "skip_instance_cache": True}  # workers stay: what an attempt knew must not answer the next
    try:
        filesystem, path = fsspec.core.url_to_fs(_held(url, roots, held) if roots.paths else url, **fresh)
    except ImportError as error:
        known = known_implementations.get(scheme, {})
        raise TaskFailed("backend_missing", f"{scheme}: {known.get('err') or error}; {_pip(scheme)}") from None
    except ValueError as error:
        text = str(error)
        code = "backend_unknown" if "rotocol not known" in text else "bad_arguments"
        raise TaskFailed(code, f"{shown(url)}: {text}") from None
    except TypeError as error:
        raise TaskFailed("bad_arguments", f"storage_options: {scheme} does not take them: {error}") from None
    return FsspecPlace(filesystem, path, shown(url), held)


class Held:
    """Descriptors that a file system reads from, closed with it."""

    def __init__(self) -> None:
        self.fds: list[int] = []

    def __del__(self) -> None:
        for fd in self.fds:
            os.close(fd)


class FsspecPlace:
    """A path of a file system of fsspec."""

    def __init__(self, filesystem: Any, path: str, name: str, held: Held) -> None:
        self._fs, self._path, self.shown = filesystem, path, name
        self._held = held

    def facts(self) -> Facts | None:
        try:
            return _facts(self._fs.info(self._path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    @contextmanager
    def reading(self) -> Iterator[Iterator[bytes]]:
        with self._fs.open(self._path, "rb") as file:
            yield iter(lambda: file.read(CHUNK), b"")

    def send(self, chunks: Iterable[bytes], how: Sending) -> dict[str, Json]:
        if how.mode is not None:
            raise refused("`mode`", self.shown)
        there = self._fs.exists(self._path)
        if there and not how.overwrite:
            raise TaskFailed("target_exists", f"{self.shown} is there already")
        if how.parents:
            self._fs.makedirs(self._fs._parent(self._path), exist_ok=True)
        draft = self._draft()
        file = self._fs.open(draft, "wb")
        try:
            for chunk in chunks:
                file.write(chunk)
            file.close()
            if draft != self._path:
                self._replace(draft, there)
        except BaseException:
            self._abandon(file, draft)
            raise
        return {"created": not there}

    def append(self, data: bytes, how: Sending) -> None:
        if how.parents:
            self._fs.makedirs(self._fs._parent(self._path), exist_ok=True)
        try:
            with self._fs.open(self._path, "ab") as file:
                file.write(data)
        except (NotImplementedError, ValueError) as error:
            raise refused("appending", self.shown, str(error)) from None

    def delete(self, recursive: bool, only_dir: bool = False) -> None:
        if self._fs.isdir(self._path):
            if self._fs._strip_protocol(self._path).strip("/") == "" or _is_bucket(self.shown):
                raise TaskFailed("protected_path", f"{self.shown} is all there is: not touched")
            self._fs.rm(self._path, recursive=True) if recursive else self._fs.rmdir(self._path)
        elif only_dir:
            raise NotADirectoryError(20, os.strerror(20), self.shown)
        else:
            self._fs.rm_file(self._path)

    def mkdir(self, how: Sending) -> bool:
        if self._fs.isdir(self._path):
            if not how.overwrite:
                raise TaskFailed("target_exists", f"{self.shown} is there already")
            return False
        self._fs.mkdir(self._path, create_parents=how.parents)
        return True

    def entries(self, recursive: bool) -> Iterator[tuple[str, Facts]]:
        base = self._fs._strip_protocol(self._path).rstrip("/")
        if recursive:
            found = self._fs.find(self._path, withdirs=True, detail=True)
            infos = [found[name] for name in sorted(found)]
        else:
            infos = sorted(self._fs.ls(self._path, detail=True), key=lambda info: str(info["name"]))
        for info in infos:
            name = str(info["name"]).rstrip("/")
            relative = name.removeprefix(base).lstrip("/")
            if relative and ".." not in relative.split("/"):
                yield relative, _facts(info)

    def below(self, name: str) -> FsspecPlace:
        return FsspecPlace(self._fs, f"{self._path.rstrip('/')}/{name}", f"{self.shown.rstrip('/')}/{name}", self._held)

    def _draft(self) -> str:
        """Where to write: beside the file, where it would be seen (and the old one gone) from the first byte on."""
        names = self._fs.protocol
        if not SEEN_AT_ONCE.intersection((names,) if isinstance(names, str) else names):
            return self._path
        parent, _, _ = self._path.rpartition("/")
        return f"{parent}/.gnomon-{SystemEntropy().bits(64):016x}.tmp"

    def _replace(self, draft: str, there: bool) -> None:
        try:
            self._fs.mv(draft, self._path)
        except Exception:  # some FTP servers do not rename over another file
            if not there or not self._fs.exists(draft):
                raise
            self._fs.rm_file(self._path)
            self._fs.mv(draft, self._path)

    def _abandon(self, file: Any, draft: str) -> None:
        """Half a file must not stay; an object store has nothing yet, others what has been sent."""
        if draft == self._path:
            with suppress(Exception):
                file.discard()
                return
        with suppress(Exception):
            file.close()
        with suppress(Exception):
            self._fs.rm_file(draft)


def _is_bucket(url: str) -> bool:
    """Whether a URL names all that a store has under one name, such as `s3://bucket`."""
    parts = urlsplit(url)
    return "::" not in url and parts.scheme != "memory" and parts.path.strip("/") == ""


def _facts(info: Mapping[str, Any]) -> Facts:
    kind = {"file": "file", "directory": "directory", "link": "link"}.get(str(info.get("type")), "other")
    size = info.get("size")
    changed = next(
        (info[key] for key in ("LastModified", "mtime", "modify", "created", "updated") if key in info), None
    )
    return Facts(kind, size if isinstance(size, int) and kind == "file" else None, _instant(changed))


def _instant(moment: object) -> str | None:
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    if not isinstance(moment, datetime):
        return moment if isinstance(moment, str) else None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="seconds").replace("+00:00", "Z")


def _pip(scheme: str) -> str:
    package = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}.get(scheme)
    package = package or {"sftp": "paramiko", "ssh": "paramiko", "smb": "smbprotocol", "webdav": "webdav4"}.get(scheme)
    return f"pip install {package}" if package else f"pip install 'fsspec[{scheme}]'"


def _check_roots(url: str, scheme: str, options: Mapping[str, Any]) -> None:
    """With roots, only backends that cannot reach other files of this machine."""
    if scheme in NETWORK and "::" not in url:
        return
    if scheme in ("zip", "tar") and url.count("::") == 1 and not options and local_path(url.split("::")[1]) is not None:
        return
    raise TaskFailed("outside_roots", f"{shown(url)}: a worker with roots does not use this kind of place")


def _held(url: str, roots: Roots, held: Held) -> str:
    """With the archive of a chain replaced by one that is open already, so that it stays inside the roots."""
    inner, mark, outer = url.partition("::")
    path = local_path(outer) if mark else None
    if path is None:
        return url
    with spot(path, roots, follow=True) as here:
        held.fds.append(os.open(here.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here.fd))
    return f"{inner}::/proc/self/fd/{held.fds[-1]}"
