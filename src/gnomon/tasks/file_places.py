"""A place of a file task: on this machine, at an http URL, or wherever fsspec reaches."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from gnomon.core.values import Json

from .file_arguments import is_url
from .performing import TaskFailed, Work

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """What is at a place. `modified`: RFC 3339, UTC; None: not known. `mode`: four octal digits."""

    kind: str
    size: int | None = None
    modified: str | None = None
    mode: str | None = None

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.kind == "directory"

    def view(self) -> dict[str, Json]:
        """For results."""
        facts: dict[str, Json] = {"type": self.kind, "is_dir": self.is_dir}
        more = {"size": self.size, "modified": self.modified, "mode": self.mode}
        return facts | {key: value for key, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Sending:
    """How to write. `mode`: permissions; `parents`: make directories; `overwrite`: an older file may be replaced."""

    mode: int | None = None
    parents: bool = False
    overwrite: bool = True


class Place(Protocol):
    """One path. Every method may raise `TaskFailed` or `OSError`."""

    shown: str
    """Without credentials, for results and messages."""

    def facts(self) -> Facts | None:
        """None: nothing is there."""

    def reading(self) -> AbstractContextManager[Iterator[bytes]]:
        """The content in chunks."""

    def send(self, chunks: Iterable[bytes], how: Sending) -> dict[str, Json]:
        """Make a file of the chunks, whole or not at all; returns further facts."""

    def append(self, data: bytes, how: Sending) -> None:
        """Add to the end."""

    def delete(self, recursive: bool, only_dir: bool = False) -> None:
        """What is there goes; a directory with something in it only when `recursive`."""

    def mkdir(self, how: Sending) -> bool:
        """False: it was there already."""

    def entries(self, recursive: bool) -> Iterator[tuple[str, Facts]]:
        """What is in a directory: relative names."""

    def below(self, name: str) -> Place:
        """The place of a relative name."""


def place_of(text: str, options: Mapping[str, Any], work: Work) -> Place:
    """The place that a path or URL means.

    Raises:
        TaskFailed: the worker must not go there, or cannot.
    """
    from .file_local import LocalPlace, roots_of_worker

    path = local_path(text)
    if path is not None:
        if options:
            raise TaskFailed("bad_arguments", f"storage_options: {shown(text)} is on this machine and takes none")
        return LocalPlace(path, roots_of_worker(work.environment), work.environment)
    if urlsplit(text).scheme.lower() in ("http", "https"):
        from .file_http import HttpPlace

        return HttpPlace(text, options)
    from .file_fsspec import fsspec_place

    return fsspec_place(text, options, roots_of_worker(work.environment))


def local_path(text: str) -> str | None:
    """The path, if `text` is one of this machine; None for other URLs."""
    if not is_url(text):
        return text
    parts = urlsplit(text)
    if parts.scheme.lower() not in ("file", "local") or "::" in text.split("://", 1)[0]:
        return None
    if parts.netloc not in ("", "localhost"):
        raise TaskFailed("bad_arguments", f"{text!r:.120}: a file URL has three slashes, file:///path")
    rest = text.split("://", 1)[1].removeprefix(parts.netloc)
    return unquote(rest)


def shown(text: str) -> str:
    """A place without the credentials and the query of a URL."""
    if not is_url(text) or ("@" not in text and "?" not in text):
        return text
    head, mark, rest = text.partition("://")
    if head.lower() not in ("http", "https"):
        host, slash, path = rest.partition("/")
        return f"{head}{mark}{host.rpartition('@')[2]}{slash}{path}"
    host, slash, path = rest.split("?")[0].partition("/")
    return f"{head}{mark}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if "?" in rest else "")


def matching(entries: Iterable[tuple[str, Facts]], pattern: str | None) -> Iterator[tuple[str, Facts]]:
    """Those whose name matches; a pattern with `/` is held against the whole relative name."""
    for name, facts in entries:
        subject = name if pattern is not None and "/" in pattern else name.rpartition("/")[2]
        if pattern is None or fnmatch.fnmatchcase(subject, pattern):
            yield name, facts


def refused(what: str, place: str, hint: str = "") -> TaskFailed:
    """That a backend does not do something."""
    return TaskFailed("operation_unsupported", f"{what} is not possible at {place}{': ' + hint if hint else ''}")
