"""What a call may have changed in its worker and the next must not find. Runs in a worker."""

from __future__ import annotations

import builtins
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

_WATCHED = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT),
)
Handler = Callable[[int, Any], Any] | int | None


class Hygiene:
    """The worker as it was when it was new. For the main thread."""

    def __init__(self, on_term: Callable[[int, Any], None]) -> None:
        signal.signal(signal.SIGTERM, on_term)
        signal.signal(signal.SIGHUP, on_term)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._handlers: list[tuple[int, Handler]] = [(n, signal.getsignal(n)) for n in _WATCHED]
        self._directory = os.getcwd()
        self._raw: dict[bytes, bytes] = vars(os.environ)["_data"]  # the same object as long as os.environ lives
        self._environment = dict(self._raw)
        self._environ = os.environ
        self._builtins = dict(vars(builtins))
        self._recursion = sys.getrecursionlimit()
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    def enter(self, environment: Mapping[str, str]) -> None:
        """The variables of one attempt."""
        os.environ.update(environment)

    def leave(self) -> bool:
        """Put everything back. True: the handler of TERM had been taken from us."""
        if os.environ is not self._environ:
            os.environ = self._environ  # noqa: B003 - it is the mapping itself that was replaced
        if self._raw != self._environment:
            self._restore_environment()
        if vars(builtins).keys() < self._builtins.keys() or not self._builtins.items() <= vars(builtins).items():
            vars(builtins).update(self._builtins)
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        self._restore_directory()
        os.umask(self._umask)
        signal.setitimer(signal.ITIMER_REAL, 0)
        deaf = False
        for number, handler in self._handlers:
            if signal.getsignal(number) is not handler and signal.getsignal(number) != handler:
                deaf = deaf or number == signal.SIGTERM
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return deaf

    def _restore_environment(self) -> None:
        for name in [name for name in self._raw if name not in self._environment]:
            del os.environb[name]
        for name, value in self._environment.items():
            if self._raw.get(name) != value:
                os.environb[name] = value

    def _restore_directory(self) -> None:
        try:
            same = os.getcwd() == self._directory
        except OSError:
            same = False
        if not same:
            with contextlib.suppress(OSError):
                os.chdir(self._directory)


def rss_bytes() -> int:
    """Memory of this process (proc_pid_statm(5))."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def children() -> bool:
    """Whether a call has left processes: our own children, and orphans of theirs (we are their subreaper)."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except OSError:
        return True
    return True
