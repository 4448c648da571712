"""Starting a command: a small shell of its own session stands between it and us, and writes down how it ended.

POSIX sh only. What is not obvious in it:
- `set -C` makes `>` open with O_EXCL: whoever makes the claim file first has the attempt. It lets pipes and devices
  pass, and opening those may never return, so it is looked for them before.
- `{ :; } >` tells a file that can not be made (125) from a command that ends with 2; `exec` alone would not.
- its own stderr is the exit file. A shell reports a child killed by a signal there ("Killed"), which tells
  `exit 137` from signal 9; `$?` alone does not.
- `(exec "$@")` never runs a builtin, so a command named `exit` can not end the shim. Nothing is assigned before it:
  a variable of that name in the command's environment would get the value.
- it catches what is sent to its process group. Caught signals are default again in the child, ignored ones
  would stay ignored.
- of a program that is nowhere, exec says "permission denied" (126) as soon as one directory of PATH may not be
  entered: PATH is looked through once more, and 127 says that there is none.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from gnomon.system.plainfiles import open_plain

from . import processes
from .capping import hold
from .files import SAID
from .invocation import Invocation

_LOOK = """\
if [ $code = 126 ] && [ "${4#*/}" = "$4" ]; then
  code=127 IFS=:
  set -f
  for place in $PATH; do [ ! -f "${place:-.}/$4" ] || code=126; done
fi
"""
SHIM = f"""\
set -C
[ -e "$0.claim" ] || [ -e "$0.exit" ] && exit 125
echo "$$ $1" >"$0.claim" || exit 125
trap : HUP INT QUIT USR1 USR2 ALRM TERM
{{ :; }} >"$0.exit" || exit 125
exec 2>>"$0.exit"
ulimit -S -n "$3"
if [ -n "$2" ]; then cd "$2" || {{ echo =cwd >&2; exit 125; }}; fi
(shift 4; exec "$@" 2>&1)
code=$?
{_LOOK}\
echo "=$code" >&2
exit $code
"""
SIEVED = f"""\
set -C
[ -e "$0.claim" ] || [ -e "$0.exit" ] && exit 125
echo "$$ $1" >"$0.claim" || exit 125
trap '' HUP INT QUIT USR1 USR2 ALRM TERM
{{ :; }} >"$0.exit" || exit 125
exec 2>>"$0.exit"
"$5" -I -S -c "$6" "$7" <&4 >&5 2>/dev/null 3>&- 4<&- 5>&- 7>&- &
trap : HUP INT QUIT USR1 USR2 ALRM TERM
exec 4<&- 5>&- 6<&- 8<&-
ulimit -S -n "$3"
if [ -n "$2" ]; then cd "$2" || {{ echo =cwd >&2; exit 125; }}; fi
(shift 7; exec "$@" 2>&1 7>&-)
code=$?
{_LOOK}\
exec 1>&2 7>&-
while kill -0 $! 2>/dev/null; do wait $!; done
echo "=$code" >&2
exit $code
"""
"""The same for an attempt with secrets: what it prints goes through `gnomon.system.sieve`, and the exit is written
down when all of it is in the log. The sieve is started deaf to signals, so that none can end it before it is ready."""
_SIEVE = "import sys; sys.path.append(sys.argv[1]); from gnomon.system.sieve import main; main()"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_FREE = 32  # descriptors from here on are not among those that a child is given
RETRY = frozenset(
    {*(errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE), *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)}
)
_SIGNALS = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]


@dataclass(frozen=True, slots=True)
class Spawned:
    """A shim that was started: its pid, start (clock ticks since boot), and an open pidfd."""

    pid: int
    start: int
    pidfd: int


class Spawner:
    """Starts shims. Holds /dev/null; `close` frees it."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        self._shell = shell
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.boot, self.namespace = processes.boot_id(), processes.namespace()
        self._identity = f"{self.boot} {self.namespace}"
        self._nofile = _raise_descriptor_limit()
        self._closing: list[int] = []

    def close(self) -> None:
        """Free what is held. Idempotent: the number may be somebody else's by now."""
        null, self._null = self._null, -1
        if null >= 0:
            os.close(null)

    def survey(self) -> None:
        """Note which descriptors of this process a child would inherit by mistake. Once per batch."""
        self._closing = []
        for name in os.listdir("/proc/self/fd"):
            fd = int(name)
            try:
                if fd > 2 and os.get_inheritable(fd):
                    self._closing.append(fd)
            except OSError:  # closed meanwhile: the one listdir used, or another thread's
                continue

    def spawn(self, base: str, call: Invocation) -> Spawned:
        """Start the shim of the attempt at `base`. The log exists afterwards.

        Raises:
            OSError: no shim was started; an errno of `RETRY` may pass by itself.
        """
        if call.secrets:
            return self._spawn_sieved(base, call)
        with ExitStack() as stack:
            log = open_plain(base + ".log", _APPEND)
            stack.callback(os.close, log)
            hold(log)
            stdin = self._null
            if call.stdin is not None:
                stdin = _memory_file(call.stdin)
                stack.callback(os.close, stdin)
            inherited = [stdin, log, self._null]
            if call.user is not None:
                os.fchown(log, call.user.uid, -1)  # so that the command may reopen /dev/stderr
                result = open_plain(base + ".result", os.O_RDWR | os.O_CREAT)
                stack.callback(os.close, result)
                os.fchown(result, call.user.uid, -1)
                inherited.append(result)
            return self._start(SHIM, base, [], call, dict(enumerate(inherited)))

    def _spawn_sieved(self, base: str, call: Invocation) -> Spawned:
        """The same with a pipe in place of the log, and a process at its other end that strikes the secrets out."""
        with ExitStack() as stack:

            def kept(fd: int) -> int:
                """The descriptor, out of the way of those that the child is given."""
                moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FREE)
                os.close(fd)
                stack.callback(os.close, moved)
                return moved

            log = kept(open_plain(base + ".log", _APPEND))
            hold(log)
            stdin = kept(os.dup(self._null) if call.stdin is None else _memory_file(call.stdin))
            order = {"secrets": list(call.secrets), "said": base + SAID, "result": base + ".result"}
            out, into = map(kept, os.pipe())
            over, alive = map(kept, os.pipe())
            places = {0: stdin, 1: into, 2: kept(os.dup(self._null)), 4: out, 5: log, 7: alive, 8: over}
            places[6] = kept(_memory_file(json.dumps(order).encode()))
            if call.user is not None:
                os.fchown(into, call.user.uid, -1)  # so that the command may reopen /dev/stderr
                places[3] = kept(open_plain(base + SAID, os.O_RDWR | os.O_CREAT))
                os.fchown(places[3], call.user.uid, -1)
            return self._start(SIEVED, base, [sys.executable, _SIEVE, _PACKAGE], call, places)

    def _start(self, script: str, base: str, sieve: list[str], call: Invocation, places: Mapping[int, int]) -> Spawned:
        words = [base, self._identity, call.cwd or "", self._nofile, call.program, *sieve, *call.argv]
        actions: list[tuple[int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_DUP2, fd, place) for place, fd in places.items()
        ]
        actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in self._closing if fd not in places]
        pid = os.posix_spawn(
            self._shell,
            ["sh", "-c", script, *words],
            call.environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_SIGNALS,
        )
        return self._identify(pid)

    def _identify(self, pid: int) -> Spawned:
        """Our own child can not vanish before we wait for it, so this only fails for want of descriptors."""
        process = processes.find(pid)
        start = process.start if process is not None else 0
        try:
            return Spawned(pid, start, os.pidfd_open(pid))
        except OSError:
            return Spawned(pid, start, -1)


def spawn_words(error: OSError) -> str:
    """Why nothing was started, for people."""
    match error.errno:
        case errno.EAGAIN:
            why = "no more processes or threads are allowed (ulimit -u, pids.max)"
        case errno.ENOMEM:
            why = "there is no memory for another process"
        case errno.EMFILE | errno.ENFILE:
            why = "no more open files are allowed (ulimit -n)"
        case errno.ENOSPC | errno.EDQUOT:
            why = "the disk of the state directory is full"
        case errno.E2BIG:
            why = "arguments and environment together are longer than the system takes"
        case _:
            why = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
    return f"the command could not be started: {why}"


def _memory_file(text: bytes) -> int:
    """An unnamed file holding `text`, at its start: nothing to clean up, and it outlives us in the child."""
    fd = os.memfd_create("gnomon-stdin", os.MFD_CLOEXEC)
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _raise_descriptor_limit() -> str:
    """One descriptor is needed per running command. Gives the soft limit before, which the commands get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
