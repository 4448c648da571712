"""The first token: on a database that nobody administers, the service makes one and leaves it in a file."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from gnomon.core.access import BOOTSTRAP, Role, TokenRecord, TokenText, parse_token
from gnomon.core.errors import GnomonError, Problem, Unavailable, UsageError
from gnomon.core.ports import Reader, Transaction
from gnomon.system.filelock import FileLock, LockTimeoutError
from gnomon.system.plainfiles import open_plain

from . import credentials
from .context import Desk

FILE = "bootstrap-token"


def has_admin(desk: Desk) -> bool:
    """Whether somebody can administer with a token that a person made."""

    def work(reader: Reader) -> bool:
        return any(record.name != BOOTSTRAP for record in credentials.admins(reader, desk.clock.now()))

    return desk.store.read(work)


def bootstrap(desk: Desk, directory: Path) -> str | None:
    """The token that signs the first person in, from `directory/bootstrap-token` or made now; None: others administer.

    Two processes at once get the same one.

    Raises:
        Unavailable: the database or the directory cannot be written.
        UsageError: `directory_unsafe`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & stat.S_IWOTH:
        text = f"{directory} may be written by everybody: they could put another token, or other output, in place"
        raise UsageError(Problem("directory_unsafe", text, hint=f"chmod o-w {directory}"))
    lock = FileLock(directory / FILE)
    try:
        with lock.hold():
            token = _first_token(desk, directory / FILE)
    except LockTimeoutError:
        text = f"another process has {directory / FILE} locked"
        raise Unavailable(Problem("database_locked", text, hint="try again")) from None
    finally:
        lock.close()
    return None if token is None else str(token)


def remove_file(desk: Desk) -> None:
    """Drop the file if its token is good no more. For after a change of tokens or users is durable."""
    if desk.directory is None:
        return
    path = desk.directory / FILE
    if path.exists() and not desk.store.read(lambda reader: _stands(desk, reader)):
        with contextlib.suppress(OSError):
            path.unlink()


def _first_token(desk: Desk, path: Path) -> TokenText | None:
    known = _read(path)

    def kept(reader: Reader) -> bool:
        record = reader.token_by_name(BOOTSTRAP)
        return known is not None and credentials.holds(credentials.known_key(reader), known, record)

    if has_admin(desk):
        path.unlink(missing_ok=True)
        return None
    if desk.store.read(lambda reader: kept(reader) and _stands(desk, reader)):
        return known
    # The file first: a crash before the commit leaves a file that the next start does not believe.
    token = credentials.new_token(desk.engine.entropy)
    _write(path, str(token))
    if not desk.store.write(lambda tx: _put(desk, tx, token)):
        path.unlink(missing_ok=True)
        return None
    return token


def _stands(desk: Desk, reader: Reader) -> bool:
    """Whether the first token is one of those that may administer."""
    return any(record.name == BOOTSTRAP for record in credentials.admins(reader, desk.clock.now()))


def _put(desk: Desk, tx: Transaction, token: TokenText) -> bool:
    """Whether it is needed still."""
    now = desk.clock.now()
    if any(record.name != BOOTSTRAP for record in credentials.admins(tx, now)):
        return False
    old = tx.token_by_name(BOOTSTRAP)
    if old is not None:
        tx.delete_token(old.id)
    digest = credentials.token_digest(credentials.server_key(tx, desk.engine.entropy), token)
    tx.put_token(TokenRecord(token.id, BOOTSTRAP, None, Role.ADMIN, digest, now, desk.actor))
    after = {"id": token.id, "role": str(Role.ADMIN)}
    desk.audit(tx, "token.create", BOOTSTRAP, None if old is None else {"id": old.id}, after)
    return True


def _read(path: Path) -> TokenText | None:
    """What a file that only its owner reads says; None: nothing to believe."""
    try:
        fd = open_plain(str(path))
    except OSError:
        return None
    with os.fdopen(fd, encoding="ascii", errors="replace") as file:
        about = os.fstat(file.fileno())
        if about.st_mode & 0o077 or about.st_uid != os.geteuid():
            return None
        try:
            return parse_token(file.read(200))
        except GnomonError:
            return None


def _write(path: Path, text: str) -> None:
    """Atomic, and never readable by others."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)  # left by a crash; nobody else is here: the lock is held
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
