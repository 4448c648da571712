"""What belongs to the whole process, so that one call may change it for the next: how to read it, and to put it back.

Reading all of it costs some 15 µs; it is done after every call.
"""

from __future__ import annotations

import _locale
import _signal  # type: ignore[import-not-found]  # `signal` makes an enum of all it says
import _socket
import _thread
import gc
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from gnomon.system.clock import local_zone, read_zone

Get = Callable[[], Any]
Put = Callable[[Any], object]

_SIGNALS = tuple(sorted(int(n) for n in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
_LIMITS = tuple(sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}))
_HOOKS = ("excepthook", "unraisablehook", "displayhook", "breakpointhook", "stdin", "dont_write_bytecode")


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _limits() -> tuple[tuple[int, int], ...]:
    return tuple([resource.getrlimit(limit) for limit in _LIMITS])


def _put_limits(kept: tuple[tuple[int, int], ...]) -> None:
    for limit, value in zip(_LIMITS, kept, strict=True):
        if resource.getrlimit(limit) != value:
            resource.setrlimit(limit, value)


def _handlers() -> tuple[Any, ...]:
    return tuple([_signal.getsignal(number) for number in _SIGNALS])


def _put_handlers(kept: tuple[Any, ...]) -> None:
    for number, handler in zip(_SIGNALS, kept, strict=True):
        if handler is not None and _signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _identity() -> tuple[Any, ...]:
    return os.getresuid(), os.getresgid(), os.getgroups()


def _put_identity(kept: Any) -> None:
    raise PermissionError("who it was once, a process does not become again for certain")


def _collector() -> tuple[Any, ...]:
    return gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks[:]


def _put_collector(kept: tuple[Any, ...]) -> None:
    enabled, threshold, debug, gc.callbacks[:] = kept
    gc.set_threshold(*threshold)
    gc.set_debug(debug)
    (gc.enable if enabled else gc.disable)()


def _warnings() -> tuple[Any, ...]:
    return warnings.filters[:], warnings.showwarning, warnings.formatwarning


def _put_warnings(kept: tuple[Any, ...]) -> None:
    warnings.resetwarnings()  # tells the C side that they have changed
    warnings.filters[:], warnings.showwarning, warnings.formatwarning = kept  # type: ignore[index]


def _paths() -> tuple[list[Any], ...]:
    return sys.path[:], sys.meta_path[:], sys.path_hooks[:], sys.argv[:]


def _put_paths(kept: tuple[list[Any], ...]) -> None:
    sys.path, sys.meta_path, sys.path_hooks, sys.argv = ([*one] for one in kept)


def _hooks() -> tuple[Any, ...]:
    return tuple([getattr(sys, name, None) for name in _HOOKS])


def _put_hooks(kept: tuple[Any, ...]) -> None:
    for name, value in zip(_HOOKS, kept, strict=True):
        setattr(sys, name, value)


def _interpreter() -> tuple[Any, ...]:
    numbers = sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval(), _thread.stack_size()
    return *numbers, sys.gettrace(), sys.getprofile()


def _put_interpreter(kept: tuple[Any, ...]) -> None:
    recursion, digits, interval, stack, trace, profile = kept
    sys.setrecursionlimit(recursion)
    sys.set_int_max_str_digits(digits)
    sys.setswitchinterval(interval)
    _thread.stack_size(stack)
    sys.settrace(trace)
    sys.setprofile(profile)


def _logging() -> tuple[Any, ...] | None:
    logging = sys.modules.get("logging")
    root = getattr(logging, "root", None)
    return None if root is None else (root.handlers[:], root.level, root.filters[:], root.manager.disable)


def _put_logging(kept: tuple[Any, ...] | None) -> None:
    logging = sys.modules.get("logging")
    if logging is not None and kept is not None:
        root = logging.root
        root.handlers[:], level, root.filters[:], root.manager.disable = kept
        root.setLevel(level)


def _put_policy(kept: int) -> None:
    os.sched_setscheduler(0, kept, os.sched_param(os.sched_get_priority_min(kept)))


TRAITS: dict[str, tuple[Get, Put]] = {
    "handlers": (_handlers, _put_handlers),
    "interpreter": (_interpreter, _put_interpreter),
    "directory": (_directory, os.chdir),
    "umask": (_umask, os.umask),
    "limits": (_limits, _put_limits),
    "niceness": (lambda: os.getpriority(os.PRIO_PROCESS, 0), lambda kept: os.setpriority(os.PRIO_PROCESS, 0, kept)),
    "processors": (lambda: os.sched_getaffinity(0), lambda kept: os.sched_setaffinity(0, kept)),
    "policy": (lambda: os.sched_getscheduler(0), _put_policy),
    "identity": (_identity, _put_identity),
    "zone": (local_zone, lambda kept: read_zone()),
    "locale": (lambda: _locale.setlocale(_locale.LC_ALL), lambda kept: _locale.setlocale(_locale.LC_ALL, kept)),
    "sockets": (_socket.getdefaulttimeout, _socket.setdefaulttimeout),
    "collector": (_collector, _put_collector),
    "warnings": (_warnings, _put_warnings),
    "paths": (_paths, _put_paths),
    "hooks": (_hooks, _put_hooks),
    "logging": (_logging, _put_logging),
}
"""In the order in which they are put back; the environment is before them."""


def guarded(kept: tuple[Any, ...], ours: tuple[Any, ...], *numbers: signal.Signals) -> tuple[Any, ...]:
    """The handlers of `kept`, but for these signals those of `ours`."""
    return tuple([ours[i] if n in numbers else kept[i] for i, n in enumerate(_SIGNALS)])
