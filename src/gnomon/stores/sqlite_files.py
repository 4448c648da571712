"""Opening an SQLite file: make it, check that it is ours and of this schema, upgrade it, or say what is wrong."""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.system.filelock import FileLock, LockTimeoutError

from . import Options, forking
from .memory import MemoryStore
from .schema_sqlite import HEAD, REVISIONS, create
from .sqlite import SqliteStore, connect
from .sqlite_errors import explain, explain_os, locked
from .sqlite_presence import refuse_foreign_log

logger = logging.getLogger("gnomon")


def open_memory(rest: str, options: Options) -> MemoryStore:
    """A store that is gone with the object."""
    return MemoryStore(options.clock, on_commit=options.on_commit)


def open_file(rest: str, options: Options) -> SqliteStore:
    """The store in a file; see `gnomon.stores.open_store`."""
    given, _, query = rest.partition("?")
    if query not in ("", "mode=ro"):
        raise usage("unknown_store", f"{query!r} is no option of a store", hint="mode=ro is the only one")
    path, read_only = os.path.realpath(os.path.expanduser(given)), query == "mode=ro"
    if not given or os.path.isdir(path):
        said = f"{given!r} is a directory" if given else "no file was named"
        raise usage("database_cannot_open", said, hint=f"name a file, for example {os.path.join(given, 'gnomon.db')}")
    with _explained(path, options.lock_timeout_s), forking.no_fork():
        if os.path.exists(path) and not os.access(path, os.R_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # SQLite would only say "unable to open"
        if read_only:
            _must_be_current(path, options)
        else:
            _prepare(path, options)
        return SqliteStore(
            path,
            options.clock,
            name=os.path.abspath(os.path.expanduser(given)),
            lock_timeout_s=options.lock_timeout_s,
            read_only=read_only,
            on_commit=options.on_commit,
        )


def _prepare(path: str, options: Options) -> None:
    """Make the file one of revision `HEAD`, whatever it is now, or refuse."""
    _make_directories(os.path.dirname(path))
    if os.path.exists(path) and os.path.getsize(path) and _is_ready(path, options):
        return
    lock = FileLock(path, options.lock_timeout_s)
    try:
        with lock.hold():
            refuse_foreign_log(path)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with contextlib.closing(connect(path, timeout_s=options.lock_timeout_s)) as db:
                found = _revision(db, path)
                _set_wal(db, path)
                if found is None:
                    create(db)
                elif found != HEAD:
                    _upgrade(db, path, found, options)
    finally:
        lock.close()


def _is_ready(path: str, options: Options) -> bool:
    """Whether nothing is to be done: the usual case, decided without a lock."""
    with contextlib.closing(connect(path, timeout_s=options.lock_timeout_s)) as db:
        return _revision(db, path) == HEAD and db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def _must_be_current(path: str, options: Options) -> None:
    """For reading only: nothing is made and nothing upgraded."""
    with contextlib.closing(connect(path, timeout_s=options.lock_timeout_s, read_only=True)) as db:
        found = _revision(db, path)
    if found is None:
        raise _foreign(path)
    if found != HEAD:
        raise _old(path, found)


def _revision(db: sqlite3.Connection, path: str) -> str | None:
    """The revision of its schema, one this version knows; None for an empty database."""
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if not {"alembic_version", "runs", "schedules"} <= tables:
        raise _foreign(path)
    row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise _foreign(path)
    found = str(row[0])
    if found not in REVISIONS:
        said = f"{path} was written by a newer gnomon: its schema is {found}, this version knows up to {HEAD}"
        hint = "upgrade gnomon, or name another file with --db; the file was left as it is"
        raise UsageError(Problem("schema_newer", said, hint=hint))
    return found


def _upgrade(db: sqlite3.Connection, path: str, found: str, options: Options) -> None:
    if not options.upgrade:
        raise _old(path, found)
    from .migrations import upgrade
    from .sqlite_copy import copy_database

    kept = _free(f"{path}.schema-{found}")
    copy_database(Path(path), kept)
    logger.info("the schema of %s goes from %s to %s; as it was, it is %s now", path, found, HEAD, kept)
    upgrade(db)


def kept_of(path: str | os.PathLike[str], schema: str) -> Path | None:
    """The newest copy that an upgrade from this schema left."""
    place = Path(path)
    copies = place.parent.glob(f"{glob.escape(place.name)}.schema-{schema}*")
    return max(copies, key=lambda copy: copy.stat().st_mtime_ns, default=None)


def _free(name: str) -> Path:
    number, found = 2, Path(name)
    while os.path.lexists(found):
        number, found = number + 1, Path(f"{name}-{number}")
    return found


def _set_wal(db: sqlite3.Connection, path: str) -> None:
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        said = f"SQLite cannot keep a write-ahead log beside {path} (its journal mode stays {mode})"
        raise usage("no_wal", said, hint="choose a directory on a local disk")


def _foreign(path: str) -> UsageError:
    hint = "name another file with --db; this one was left as it is"
    return usage("not_a_gnomon_database", f"{path} is a database, but not one of gnomon's", hint=hint)


def _old(path: str, found: str) -> UsageError:
    said = f"the schema of {path} is {found}, this version needs {HEAD}"
    return usage("schema_old", said, hint="run `gnomon db upgrade`")


def _make_directories(directory: str) -> None:
    """Make what is missing of it, for its owner only."""
    if not os.path.isdir(directory):
        _make_directories(os.path.dirname(directory))
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)


@contextlib.contextmanager
def _explained(path: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except LockTimeoutError:
        raise locked(path, timeout_s) from None
    except OSError as error:
        raise explain_os(error, str(error.filename or path)) from error
