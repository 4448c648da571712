"""Backing up, restoring and checking a database: the store's copying put together with the files of a backup."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from gnomon.core.errors import usage
from gnomon.core.ports import Clock
from gnomon.core.values import rfc3339
from gnomon.core.version import __version__
from gnomon.executors import processes
from gnomon.executors.files import read_claim, read_exit
from gnomon.operations import backup as files
from gnomon.operations import restoring
from gnomon.operations.backup import Manifest
from gnomon.operations.nodes import refusal
from gnomon.operations.restoring import Settled
from gnomon.operations.settings import Settings, Value, database_file, state_directory
from gnomon.stores import sqlite_copy
from gnomon.stores.sqlite_errors import explain_os, locked
from gnomon.system.clock import SystemClock
from gnomon.system.filelock import FileLock, LockTimeoutError

from .parts import open_parts

_LOCK_S = 30.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        at: of the backup, RFC 3339; None: it was a bare database.
        was: the schema it had.
        settled: what was ended because the backup showed it as unfinished; None: it was kept.
        old: where the database is now that was there before; None: there was none.
        left: how many commands it had started still run; nobody looks after them any more.
    """

    database: Path
    at: str | None
    was: str
    schema: str
    settled: Settled | None
    old: Path | None
    left: int


def back_up(
    settings: Settings,
    place: Path,
    *,
    force: bool = False,
    logs: bool = True,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Make a backup at `place`, while others work on the database. It is there whole, or not at all.

    Raises:
        UsageError, Unavailable: it cannot be made; says why. Nothing is at `place` then that was not there before.
    """
    database = _file(settings)
    refused = refusal(database)  # a copy of another file would take the place of a good backup
    if refused is not None:
        raise refused
    if not database.exists():
        raise usage("database_missing", f"there is no database at {database}", hint="name one with --db")
    clock: Clock = SystemClock()
    _refuse_own(place, database)
    with _explained(place):
        files.refuse_existing(place, force)
        with files.staging(place) as partial:
            at, copy = clock.now(), partial / files.DATABASE
            sqlite_copy.copy_database(database, copy, told)
            _refuse_damaged(copy, f"the database {database}")
            schema, size, digest = sqlite_copy.schema_in(copy), copy.stat().st_size, files.digest(copy)

            def manifest(count: int | None) -> Manifest:
                return Manifest(rfc3339(at) or "", __version__, schema, size, digest, count)

            state = state_directory(settings.db)
            attempts = state / files.ATTEMPTS if logs and state is not None else None
            return files.write_backup(place, partial, manifest, attempts)


def restore(settings: Settings, file: Path, *, force: bool = False, keep_runs: bool = False) -> Restored:
    """Put a backup where the database of the settings is. What is there is kept under another name.

    Args:
        force: there may be a database already.
        keep_runs: leave what was queued or running in the backup as it is; it begins anew with the next scheduler.

    Raises:
        UsageError, Unavailable: it cannot be done; says why. The old database is where it was.
    """
    database, clock = _file(settings), SystemClock()
    with _explained(database):
        restoring.refuse_target(database, force)
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.staging(database) as partial:
            place = partial / "new"
            manifest = files.read_backup(file, place)
            copy, at = place / files.DATABASE, None if manifest is None else manifest.at
            was = sqlite_copy.schema_in(copy)
            sqlite_copy.refuse_newer(was, str(file))
            _refuse_damaged(copy, str(file))
            settled = _settle(settings, copy, at, str(file), keep_runs)
            schema = sqlite_copy.schema_in(copy)
            files.sync(copy)
            with _alone(database):
                restoring.refuse_target(database, force)
                logs, left = place / files.ATTEMPTS, _still_running(Path(f"{database}.d") / files.ATTEMPTS)
                old = restoring.put_in_place(
                    copy,
                    logs if logs.is_dir() else None,
                    database,
                    clock.now(),
                    lambda: sqlite_copy.settle_log(database),
                )
            return Restored(database, at, was, schema, settled, old, left)


def _settle(settings: Settings, copy: Path, at: str | None, file: str, keep_runs: bool) -> Settled | None:
    """Bring the copy up to date and end what it shows as unfinished; nothing is left in a log beside it."""
    own = replace(settings, values={**settings.values, "db": Value(f"sqlite:///{quote(str(copy))}", "restore")})
    with open_parts(own, upgrade=True) as parts:
        desk = parts.desk()
        settled = None if keep_runs else restoring.settle(desk, at)
        restoring.note_restore(desk, at, file, settled)
    sqlite_copy.settle_log(copy)
    return settled


def _still_running(attempts: Path) -> int:
    """Commands with a claim and no end, whose supervising shell lives."""
    count = 0
    for path in attempts.glob("[0-9a-f][0-9a-f]/*.claim"):
        base = str(path).removesuffix(".claim")
        claim = read_claim(base)
        if claim is None or claim.boot != processes.boot_id() or claim.namespace != processes.namespace():
            continue
        found = read_exit(base)
        ended = found is not None and (found.code is not None or found.bad_cwd)
        count += not ended and processes.has_argument(claim.pid, base)
    return count


def _file(settings: Settings) -> Path:
    database = database_file(settings.db)
    if database is None:
        raise usage("database_no_file", f"{settings.db} is no file", hint="name the file of a database with --db")
    return database


def _refuse_own(place: Path, database: Path) -> None:
    real, own = place.resolve(), database.with_name(f"{database.name}.d")
    if real == database or own in (real, *real.parents) or real in database.parents:
        hint = "name another place, best on another disk"
        raise usage("backup_place", f"{place} is where the database itself lies", hint=hint)


def _refuse_damaged(copy: Path, what: str) -> None:
    found = sqlite_copy.problems_in(copy)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise usage("database_corrupt", f"{what} is damaged: {found[0]}{more}", hint="see `gnomon db check`")


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """No other process writes meanwhile."""
    lock = FileLock(database, _LOCK_S)
    try:
        with lock.hold():
            yield
    except LockTimeoutError:
        raise locked(str(database), _LOCK_S) from None
    finally:
        lock.close()


@contextlib.contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain_os(error, str(error.filename or place)) from error
