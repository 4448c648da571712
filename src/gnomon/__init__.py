"""gnomon: a job scheduler. Jobs from files, run on time, every decision kept and explained.

The library: `Scheduler` runs jobs inside your application; `cron`, `every` and `at` say when; `next_fires` tells
what a schedule means; `register_task` makes a task type of a function; `Client` asks a server.
Everything is imported when first used.
"""

from __future__ import annotations

from gnomon.core.version import __version__

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from gnomon.core.errors import Conflict, GnomonError, NotFound, Problem, Unavailable, UsageError
    from gnomon.remote import AsyncClient, Client
    from gnomon.scheduler import Job, Run, Scheduler, at, cron, every, next_fires, register_task
    from gnomon.tasks.performing import TaskFailed, Work, pool_order, shared_order

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "GnomonError",
    "Job",
    "NotFound",
    "Problem",
    "Run",
    "Scheduler",
    "TaskFailed",
    "Unavailable",
    "UsageError",
    "Work",
    "__version__",
    "at",
    "cron",
    "every",
    "next_fires",
    "pool_order",
    "register_task",
    "shared_order",
]

_ERRORS = frozenset({"Conflict", "GnomonError", "NotFound", "Problem", "Unavailable", "UsageError"})
_ELSEWHERE = dict.fromkeys(("TaskFailed", "Work", "pool_order", "shared_order"), "gnomon.tasks.performing")
_ELSEWHERE |= dict.fromkeys(("AsyncClient", "Client"), "gnomon.remote")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gnomon' has no attribute {name!r}")
    from importlib import import_module

    room = "gnomon.core.errors" if name in _ERRORS else _ELSEWHERE.get(name, "gnomon.scheduler")
    return getattr(import_module(room), name)


def __dir__() -> list[str]:
    return sorted(__all__)
