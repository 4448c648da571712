"""What a call may have changed in its worker and the next must not find. Runs in a worker.

What a module does to its process while it is imported stays: it is not imported a second time, so later calls could not
do without. It counts as the worker's own state, for all its calls.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes an enum of all it says
import _thread
import faulthandler
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

from .library import Library
from .traits import TRAITS, guarded

_PROBES = tuple(TRAITS.values())
_HANDLERS = list(TRAITS).index("handlers")
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Hygiene:
    """The worker as it was when it was new, and its modules had been imported. For the main thread.

    Attributes:
        deaf: the call has taken the handler of TERM from us.
    """

    def __init__(self, on_term: Callable[[int, Any], None]) -> None:
        signal.signal(signal.SIGTERM, on_term)
        signal.signal(signal.SIGHUP, on_term)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._on_term, self.deaf = on_term, False
        self._environ = os.environ
        self._raw: dict[bytes, bytes] = vars(os.environ)["_data"]  # the same object as long as os.environ lives
        self._environment = self._raw.copy()
        self._given: Mapping[str, str] = {}
        self._library = Library()
        self._kept = self._read()
        self._ours: tuple[Any, ...] = self._kept[_HANDLERS]
        self._thread, self._deep = _thread.get_ident(), False
        self._heed_imports()

    def enter(self, environment: Mapping[str, str]) -> None:
        """The variables of one attempt."""
        self._given = environment
        os.environ.update(environment)

    def repair(self) -> bool:
        """Put back what the worker's own code needs, before all else. False: this worker should not go on."""
        return self._library.put_back()

    def leave(self) -> bool:
        """Put everything back. False: that was not possible, so this worker should not go on."""
        if os.environ is not self._environ:
            os.environ = self._environ  # noqa: B003 - it is the mapping itself that was replaced
        if self._raw != self._environment:
            self._restore_environment()
        for timer in _TIMERS:
            _signal.setitimer(timer, 0)
        faulthandler.cancel_dump_traceback_later()
        _signal.set_wakeup_fd(-1)
        self.deaf = _signal.getsignal(_signal.SIGTERM) != self._on_term
        stuck = [index for index in range(len(_PROBES)) if not self._restore(index)]
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        return not stuck

    def _restore(self, index: int) -> bool:
        (get, put), kept = _PROBES[index], self._kept[index]
        try:
            if get() == kept:
                return True
            put(kept)
            return bool(get() == kept)
        except Exception:
            return False

    def _restore_environment(self) -> None:
        for name in [name for name in self._raw if name not in self._environment]:
            del os.environb[name]
        for name, value in self._environment.items():
            if self._raw.get(name) != value:
                os.environb[name] = value

    # ---- imports --------------------------------------------------------------------------------

    @contextmanager
    def importing(self) -> Iterator[None]:
        """What changes meanwhile, stays. The outermost of several counts, and only one of the call's own thread."""
        if self._deep or _thread.get_ident() != self._thread:
            yield
            return
        before, environment, library = self._read(), self._raw.copy(), self._library.changes()
        self._deep = True
        try:
            yield
        finally:
            self._deep = False
            self._keep(before, environment)
            self._library.keep(library)

    def _keep(self, before: list[Any], environment: dict[bytes, bytes]) -> None:
        for index, value in enumerate(self._read()):
            if value != before[index]:
                self._kept[index] = value
        self._kept[_HANDLERS] = guarded(self._kept[_HANDLERS], self._ours, signal.SIGTERM, signal.SIGHUP)
        given = {os.fsencode(name) for name in self._given}
        for name in (environment.keys() | self._raw.keys()) - given:
            value = self._raw.get(name)
            if value is None:
                self._environment.pop(name, None)
            elif value != environment.get(name):
                self._environment[name] = value

    def _heed_imports(self) -> None:
        """Hear of every module that is executed, those that a call imports itself too."""
        execute, importing = SourceFileLoader.exec_module, self.importing

        def exec_module(loader: SourceFileLoader, module: ModuleType) -> None:
            with importing():
                execute(loader, module)

        # As a frame of the import system, which leaves those out of tracebacks.
        exec_module.__code__ = exec_module.__code__.replace(co_filename="<frozen importlib._bootstrap_external>")
        SourceFileLoader.exec_module = exec_module  # type: ignore[assignment,method-assign]

    @staticmethod
    def _read() -> list[Any]:
        return [get() for get, _ in _PROBES]


def rss_bytes() -> int:
    """Memory of this process (proc_pid_statm(5))."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
