"""What SQLite and the system report, as errors for people: what is wrong with which file, and what to do."""

from __future__ import annotations

import errno
import sqlite3

from gnomon.core.errors import GnomonError, InvariantViolated, Problem, Unavailable, UsageError
from gnomon.core.texts import half_character

# Primary result codes, https://sqlite.org/rescode.html
_PERM, _BUSY, _LOCKED, _NOMEM, _READONLY = 3, 5, 6, 7, 8
_IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 10, 11, 13, 14, 26

REPLACED = "database_replaced"
"""The code of all that is wrong when names do not mean the files any more that are open."""
_UNAVAILABLE = {
    _BUSY: ("database_locked", "is locked by another program", "end what holds it open, then try again"),
    _LOCKED: ("database_locked", "is locked by another program", "end what holds it open, then try again"),
    _FULL: ("disk_full", "cannot grow: the disk (or a quota) is full", "free some space; nothing was lost"),
    _READONLY: ("database_read_only", "may only be read", "check the owner and mode of the file and its directory"),
    _IOERR: ("database_io_error", "could not be read or written", "check the disk and the system's log"),
    _NOMEM: ("out_of_memory", "needs more memory than there is", "free some memory"),
    _CANTOPEN: ("database_cannot_open", "cannot be opened", "check that file and directory exist and may be written"),
    _PERM: ("permission_denied", "may not be opened", "check the owner and mode of the file and its directory"),
}
_USAGE = {
    _NOTADB: ("not_a_database", "is not a database", "name another file with --db, or move this one away"),
    _CORRUPT: ("database_corrupt", "is damaged", "restore a backup, or try `sqlite3 FILE .recover`"),
}

EXPLAINED = (sqlite3.Error, UnicodeEncodeError)
"""What `explain` takes."""


def explain(error: sqlite3.Error | UnicodeEncodeError, place: str) -> GnomonError:
    """The error to raise for what SQLite reported about the database at `place`, or for a text it cannot keep."""
    if isinstance(error, UnicodeEncodeError):
        return UsageError(half_character(error))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _UNAVAILABLE:
        name, words, hint = _UNAVAILABLE[code]
        return Unavailable(Problem(name, f"the database {place} {words} ({error})", hint=hint))
    if code in _USAGE:
        name, words, hint = _USAGE[code]
        return UsageError(Problem(name, f"{place} {words} ({error})", hint=hint))
    hint = "please report this"
    return InvariantViolated(
        Problem("store_statement", f"the database {place} refused a statement: {error}", hint=hint)
    )


def explain_os(error: OSError, place: str) -> GnomonError:
    """The error to raise for what the system said about the file or directory at `place`."""
    said = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(Problem("disk_full", f"no room for {place}: {said}", hint="free some space"))
    if error.errno == errno.EROFS:
        problem = Problem("database_read_only", f"{place} lies on a read-only file system", hint="choose another place")
        return Unavailable(problem)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "check the owner and mode of the file and its directory, or choose another place with --db"
        return UsageError(Problem("permission_denied", f"{place} may not be opened: {said}", hint=hint))
    hint = "choose another place with --db"
    return UsageError(Problem("database_cannot_open", f"{place} cannot be opened: {said}", hint=hint))


def locked(place: str, seconds: float) -> Unavailable:
    """Another gnomon process had the write lock for too long."""
    hint = "look for a stopped gnomon process, or one on a very slow disk"
    said = f"another process has been writing to the database {place} for {seconds:g} s"
    return Unavailable(Problem("database_locked", said, hint=hint))


def replaced(name: str, *, gone: bool) -> Unavailable:
    """The name of the database does not mean the file any more that is open."""
    said = "was moved away or deleted" if gone else "is another file than the one that was opened"
    hint = "nothing is written and nothing starts: put the right file back, or restart gnomon; never replace it by hand"
    return Unavailable(Problem(REPLACED, f"the database {name} {said}", hint=hint))


def log_replaced(place: str) -> Unavailable:
    """What lies beside the database is not what is open."""
    said = f"the log of the database {place} (-wal, -shm) was deleted or replaced while it was open"
    return Unavailable(Problem(REPLACED, said, hint="it is made anew when nobody reads the old one any more"))


def foreign_log(place: str) -> Unavailable:
    """The log beside a database was written for another file."""
    said = f"{place}-wal belongs to another file, which was called {place} before"
    hint = f"put that file back; or, with no gnomon at work on it, move {place}-wal and {place}-shm away"
    return Unavailable(Problem(REPLACED, said, hint=hint))
