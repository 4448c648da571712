"""Where facts are kept. Imports `core` and `system`; adding a database is a new file here and a line in `BUILTIN`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import unquote

from gnomon.core.errors import usage
from gnomon.core.ports import Clock, Store

Hook = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How to open: see `open_store`."""

    clock: Clock
    upgrade: bool = True
    lock_timeout_s: float = 30.0
    on_commit: Hook | None = None


class Opener(Protocol):
    """Opens the store that the rest of an address names."""

    def __call__(self, rest: str, options: Options) -> Store: ...


@dataclass(frozen=True, slots=True)
class Scheme:
    """A kind of store. `opener`: `module:function` of its `Opener`, imported when first needed."""

    name: str
    opener: str


BUILTIN = (
    Scheme("sqlite", "gnomon.stores.sqlite_files:open_file"),
    Scheme("memory", "gnomon.stores.sqlite_files:open_memory"),
)


def open_store(
    target: str | os.PathLike[str],
    clock: Clock,
    *,
    upgrade: bool = True,
    lock_timeout_s: float = 30.0,
    on_commit: Hook | None = None,
) -> Store:
    """The store at `target`, made if it does not exist, its schema brought up to date.

    Args:
        target: path of an SQLite file, `sqlite:///relative.db`, `sqlite:////absolute.db` (with `?mode=ro` for
            reading only), or `:memory:`.
        clock: for the times in the feed of changes.
        upgrade: False refuses an older schema instead of upgrading it.
        lock_timeout_s: how long a write waits for other processes.
        on_commit: told "before_commit" and "after_commit"; what it raises before rolls back, after does not.

    Raises:
        UsageError: `unknown_store`, `postgresql_missing`, `permission_denied`, `not_a_database`,
            `not_a_gnomon_database`, `schema_old`, `schema_newer`, `database_cannot_open`, `no_wal`.
        Unavailable: `database_locked`, `database_read_only`, `disk_full`, `database_io_error`,
            `database_replaced`.
    """
    name, rest = _split(os.fspath(target))
    for scheme in BUILTIN:
        if scheme.name == name:
            module, _, function = scheme.opener.partition(":")
            opener = cast(Opener, getattr(import_module(module), function))
            return opener(rest, Options(clock, upgrade, lock_timeout_s, on_commit))
    known = ", ".join(f"{scheme.name}://" for scheme in BUILTIN)
    if name in ("postgresql", "postgres"):
        hint = f"use an SQLite file until then; known here: {known}"
        raise usage("postgresql_missing", "PostgreSQL comes with gnomon[postgres], not in this version", hint=hint)
    raise usage("unknown_store", f"{name}:// is no kind of store gnomon knows", hint=f"a path of a file, or {known}")


def _split(target: str) -> tuple[str, str]:
    """Scheme and rest; a plain path is SQLite's."""
    if target in (":memory:", "memory:", "memory", "memory://", "sqlite://", "sqlite:///:memory:"):
        return "memory", ""
    name, mark, rest = target.partition("://")
    if not mark:
        return "sqlite", target
    if name == "sqlite" and rest.startswith("/"):
        path, _, query = rest[1:].partition("?")
        return name, unquote(path) + (f"?{query}" if query else "")
    if name == "sqlite":
        hint = "three slashes before a relative path, four before an absolute one"
        raise usage("database_cannot_open", f"{target!r} names no file", hint=hint)
    return name.partition("+")[0].lower(), rest
