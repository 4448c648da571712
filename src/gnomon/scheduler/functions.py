"""How a Python function is named in a definition that outlives the process, and where it may run."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from gnomon.core.errors import usage
from gnomon.core.model import Job
from gnomon.executors.inline_call import CURRENT

Function = Callable[..., Any]
LOCAL = "local:"


def reference_of(func: Function | str, job_id: str) -> str:
    """`module:name` if any process can import `func` so, else `local:JOB` (it runs only where it was registered).

    Functions of the main script, nested functions, lambdas, methods of objects and partials are local.
    """
    if isinstance(func, str):
        return func if ":" in func else ":".join(func.rpartition(".")[::2])
    module = getattr(func, "__module__", None)
    name = getattr(func, "__qualname__", "")
    if module is None or module == "__main__" or not name or "<" in name:
        return LOCAL + job_id
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    not_yet = found is None  # it is being decorated: the module gets the name when the decorator returns
    return f"{module}:{name}" if found is func or not_yet else LOCAL + job_id


def is_local(reference: str) -> bool:
    """Whether only the process that registered it can call it."""
    return reference.startswith(LOCAL)


def module_path() -> tuple[str, ...]:
    """Where this process finds modules: what it imports by name, its workers can."""
    return tuple(dict.fromkeys(os.path.abspath(entry) for entry in sys.path))


def check_place(job: Job, reference: str, func: Function | str | None, *, threads: bool) -> None:
    """Refuse what cannot be kept where functions of a scheduler run.

    Raises:
        UsageError: a worker process cannot import it; a thread cannot be stopped at a timeout.
    """
    if not threads and is_local(reference):
        hint = "move it to the top level of a module that can be imported"
        raise usage("not_importable", f"{func!r} cannot be imported by name in a worker process", key="func", hint=hint)
    sync = callable(func) and not inspect.iscoroutinefunction(inspect.unwrap(func))
    if threads and sync and job.timeout_s is not None:
        hint = 'a thread cannot be stopped; use Scheduler(executor="process"), or an async function'
        raise usage("thread_timeout", "a function in a thread cannot have a timeout", key="timeout", hint=hint)


def inside_a_call(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether this code is called by a job in this process, or on the event loop that jobs run on."""
    if CURRENT.get() is not None:
        return True
    try:
        return loop is not None and asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
