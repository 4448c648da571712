"""The files by which an attempt outlives its scheduler. The directory is the truth, processes are only watched.

Per attempt, in `<directory>/<2 hex digits>/<run>.<number>`:

    .claim   made by the shim with O_EXCL before anything else: `pid boot-id pid-namespace`; its mtime is the start.
             `revoked` instead: linked there by a successor, and the shim can never claim any more.
    .exit    what the shim itself had to say, then `=CODE` as last line; its mtime is the end.
    .intent  why it is being stopped and since when, durable before the first signal. The first intent stands.
    .result  JSON the command may leave; of one with secrets in `.said`, until they are struck out of it
    .log     its output, `.cut` what was cut out of it (`capping.py`)

The command can reach all of them, and may have put anything in their place: see `gnomon.system.plainfiles`. What is
there and can not be read counts as there (an exit, a claim), but as saying nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote

from gnomon.core.values import from_micros, parse_rfc3339, rfc3339
from gnomon.system.plainfiles import open_plain, read_whole, remove, write_plain

from .processes import boot_seconds

SAID = ".said"
PROTOCOL = (".claim", ".exit", ".intent", ".result", SAID, ".args")
REVOKED = b"revoked\n"
_LIMIT, _LONGEST_PID = 65_536, 10
_NOT_ITS_FAULT = frozenset({errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_MOST_NS = 253_402_214_400 * 10**9  # the end of the year 9999, minus a day
_EXIT = re.compile(rb"(?s)(.*?)(?:\A|(?<=\n))=(cwd|\d{1,3})\n\Z")
_LOG = re.compile(r"(.+)\.(\d+)\.(?:log|cut)")
_NAME = re.compile(r"(.+)\.(\d+)\.(?:claim|exit|intent|result|said|args)")


class Reason(StrEnum):
    """Why an attempt is stopped. LOST is never written down: a successor sees it anew."""

    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt is to be stopped, decided at `at` (wall clock).

    `boot_s`: of one that was read, when it was written in seconds since boot; 0.0 if that is not known.
    """

    reason: Reason
    at: datetime
    boot_s: float = field(default=0.0, compare=False)

    def waited_s(self) -> float:
        """How long it stands, by a clock that nobody sets; 0.0 for one that was just decided."""
        return max(0.0, boot_seconds() - self.boot_s) if self.boot_s else 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What the claim file says. `pid` is 0 when it is revoked, or not (yet) fully written (`whole` False)."""

    at: datetime
    whole: bool
    pid: int = 0
    boot: str = ""
    namespace: str = ""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """What the exit file says: `code` None when the last line is not there, `said` the shim's own words."""

    at: datetime
    code: int | None
    said: str
    bad_cwd: bool = False


class AttemptFiles:
    """The protocol files below one directory (mode 0700)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self) -> None:
        """Make the directory. Raises OSError if that is impossible."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)

    def base(self, run_id: str, number: int) -> str:
        """The path of an attempt without suffix; its folder is not made. Any run id is safe."""
        name = f"{quote(run_id, safe='')}.{number}"
        name = name if not name.startswith(".") else f"%2E{name[1:]}"
        return f"{self.directory}/{zlib.crc32(run_id.encode()) & 0xFF:02x}/{name}"

    def prepare(self, run_id: str, number: int) -> str:
        """`base`, with its folder made: whoever may have made it before, it may be gone. Raises OSError."""
        base = self.base(run_id, number)
        shard = base[: base.rindex("/")]
        try:
            os.mkdir(shard, 0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self.open()
            os.makedirs(shard, mode=0o700, exist_ok=True)
        return base

    def forget(self, run_id: str, number: int) -> None:
        """Remove the protocol files; the log stays. Idempotent."""
        base = self.base(run_id, number)
        for suffix in PROTOCOL:
            remove(base + suffix)

    def leftovers(self, before: datetime) -> Iterator[tuple[str, int]]:
        """Attempts whose protocol files all are older than `before`, for a janitor that asks the store about them."""
        newest: dict[tuple[str, int], float] = {}
        for shard in self.directory.glob("[0-9a-f][0-9a-f]"):
            with contextlib.suppress(OSError), os.scandir(shard) as entries:
                for entry in entries:
                    match = _NAME.fullmatch(entry.name)
                    if match is None:
                        continue
                    key = (unquote(match[1]), int(match[2]))
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        at = min(status.st_mtime, status.st_ctime)  # a command can set the first to any time
                        newest[key] = max(newest.get(key, 0.0), at)
        yield from (key for key, at in sorted(newest.items()) if at < before.timestamp())

    def logs(self, part: int, before: datetime) -> Iterator[tuple[str, int]]:
        """Attempts with output in one of the 256 folders, not touched since `before`."""
        found = set()
        with contextlib.suppress(OSError), os.scandir(self.directory / f"{part:02x}") as entries:
            for entry in entries:
                match = _LOG.fullmatch(entry.name)
                with contextlib.suppress(OSError):
                    if match is not None and entry.stat(follow_symlinks=False).st_ctime < before.timestamp():
                        found.add((unquote(match[1]), int(match[2])))
        yield from sorted(found)


def read_claim(base: str) -> Claim | None:
    """The claim, or None if there is none."""
    found = _read(base + ".claim")
    if found is None:
        return None
    data, at = found
    if data == REVOKED:
        return Claim(at, True, revoked=True)
    words = data.decode("ascii", "replace").split(" ")
    if not data.endswith(b"\n") or len(words) != 3 or not words[0].isdecimal() or len(words[0]) > _LONGEST_PID:
        return Claim(at, False)
    return Claim(at, True, int(words[0]), words[1], words[2].rstrip("\n"))


def read_exit(base: str) -> Exit | None:
    """The exit, or None if the shim has not got that far."""
    found = _read(base + ".exit")
    if found is None:
        return None
    data, at = found
    match = _EXIT.match(data)
    if match is None:
        return Exit(at, None, data.decode("utf-8", "replace").strip())
    said = match[1].decode("utf-8", "replace").strip()
    return Exit(at, None, said, bad_cwd=True) if match[2] == b"cwd" else Exit(at, int(match[2]), said)


def revoke(base: str) -> bool:
    """Make it impossible that the attempt ever begins. False: it (or an earlier revocation) has claimed already.

    Raises OSError when the directory can not be written.
    """
    marker = f"{base}.revoke-{os.getpid()}"
    try:
        write_plain(marker, REVOKED)
        os.link(marker, base + ".claim")  # atomic, content included
    except FileExistsError:
        return False
    finally:
        remove(marker)
    return True


def record_intent(base: str, intent: Intent) -> Intent:
    """Write the intent durably, unless there is one already; gives the one that stands.

    A disk that refuses it is no reason to let a command run on: then the given intent stands, undocumented.
    """
    said = {"reason": intent.reason.value, "at": rfc3339(intent.at), "boot_s": boot_seconds()}
    text = json.dumps(said) + "\n"
    part = f"{base}.intent-{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(base), mode=0o700, exist_ok=True)
        write_plain(part, text.encode(), sync=True)
        try:
            os.link(part, base + ".intent")
        except FileExistsError:
            standing = read_intent(base)
            if standing is not None:
                return standing
            remove(base + ".intent")  # ours comes there whole: this is somebody else's
            os.link(part, base + ".intent")
    except OSError:
        return intent
    finally:
        remove(part)
    return intent


def read_intent(base: str) -> Intent | None:
    """The intent that stands, or None."""
    found = _read(base + ".intent")
    if found is None:
        return None
    try:
        data = json.loads(found[0])
        return Intent(Reason(data["reason"]), parse_rfc3339(data["at"]), float(data.get("boot_s", 0.0)))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _read(path: str) -> tuple[bytes, datetime] | None:
    """Up to 64 KiB of a file, and its mtime; nothing of one that can not be read. None when there is none, as far as
    can be seen: the folder may be away for a moment."""
    try:
        fd = open_plain(path)
    except OSError as error:
        return None if error.errno in _NOT_ITS_FAULT else _unread(path)
    try:
        return read_whole(fd, _LIMIT), _instant(os.fstat(fd).st_mtime_ns)
    except OSError:
        return _unread(path)
    finally:
        os.close(fd)


def _unread(path: str) -> tuple[bytes, datetime] | None:
    try:
        return b"", _instant(os.lstat(path).st_ctime_ns)
    except OSError:
        return None


def _instant(nanoseconds: int) -> datetime:
    """A file's time, which can be any number."""
    return from_micros(min(max(nanoseconds, 0), _MOST_NS) // 1000)
