"""The task types of this process: built in, registered by the program, and of installed packages (`gnomon.tasks`).

[project.entry-points."gnomon.tasks"]
resize = "mypackage.images:resize"      # a function, or an object like those of this room
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from gnomon.core.errors import Problem, UsageError, usage
from gnomon.core.identity import is_job_id
from gnomon.core.tasks import TaskType, TaskTypeRegistry

from .callables import callable_task
from .command import COMMAND
from .email import EMAIL
from .file import FILE
from .http import HTTP
from .mongo import MONGO
from .python import PYTHON
from .sql import SQL

logger = logging.getLogger("gnomon")
BUILTIN: tuple[TaskType, ...] = (COMMAND, PYTHON, HTTP, EMAIL, SQL, FILE, MONGO)
GROUP = "gnomon.tasks"

_registered: dict[str, TaskType] = {}
_lock = threading.Lock()


def register(name: str, kind: TaskType | Callable[..., Any]) -> None:
    """Make `kind` the task type `name` in this process; the same name again replaces it.

    Raises:
        UsageError: the name is taken or no name; or a function that workers cannot import, or call by keywords.
    """
    if not is_job_id(name):
        raise usage("bad_name", f"{name!r} is no name for a task type", key="name", hint="letters, digits, . _ -")
    made = _made(name, kind)
    with _lock:
        others = TaskTypeRegistry((*BUILTIN, *(kind for kind in _registered.values() if kind.name != made.name)))
        for word in (made.name, *made.aliases):
            if others.resolve(word) is not None:
                raise usage("task_type_taken", f"there is a task type {word!r} already", key="name")
        _registered[made.name] = made


class TaskTypeCatalogue:
    """`gnomon.core.tasks.TaskTypes` of this process, as it is at each question."""

    def resolve(self, name: str) -> TaskType | None:
        """Built in, else registered, else of a package."""
        return _BUILT_IN.resolve(name) or TaskTypeRegistry(_registered.values()).resolve(name) or _plugins(name)

    def names(self) -> Sequence[str]:
        """Canonical names: built in, registered, of packages."""
        known = [*_BUILT_IN.names(), *_registered]
        return [*known, *(entry.name for entry in _entries() if entry.name not in known)]


_BUILT_IN = TaskTypeRegistry(BUILTIN)
_loaded: dict[str, TaskType | None] = {}


def _entries() -> Sequence[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _plugins(name: str) -> TaskType | None:
    """The type of an installed package; one that cannot be loaded is logged once and counts as missing."""
    if name not in _loaded:
        found = [e for e in _entries() if _same(e.name, name)]
        _loaded[name] = _load(found[0]) if found else _by_alias(name)
    return _loaded[name]


def _by_alias(name: str) -> TaskType | None:
    for entry in _entries():
        kind = _plugins(entry.name)
        if kind is not None and any(_same(word, name) for word in (kind.name, *kind.aliases)):
            return kind
    return None


def _load(entry: EntryPoint) -> TaskType | None:
    try:
        return _made(entry.name, entry.load(), entry.value)
    except Exception as error:
        logger.error("task type %s (%s) cannot be loaded: %r", entry.name, entry.value, error)
        return None


def _made(name: str, kind: Any, reference: str | None = None) -> TaskType:
    if hasattr(kind, "validate") and hasattr(kind, "executor"):
        return cast(TaskType, kind)
    if not callable(kind):  # an entry point may name anything
        text = f"a {type(kind).__name__} is neither a function nor a task type"
        raise UsageError(Problem("bad_callable", text, "func"))
    return callable_task(name, kind, reference or _reference(kind))


def _reference(func: Callable[..., Any]) -> str:
    module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", "")
    if module in (None, "__main__") or not name or "<" in name:
        hint = "move it to the top level of a module that can be imported"
        raise usage("not_importable", f"{func!r} cannot be imported by name", key="func", hint=hint)
    return f"{module}:{name}"


def _same(one: str, other: str) -> bool:
    return one.strip().lower().replace("-", "_") == other.strip().lower().replace("-", "_")
