"""Task types of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from gnomon.core.tasks import TaskType
from gnomon.tasks import register

F = TypeVar("F", bound=Callable[..., Any])


@overload
def register_task(name: str) -> Callable[[F], F]: ...
@overload
def register_task(name: str, task: F) -> F: ...
@overload
def register_task(name: str, task: TaskType) -> TaskType: ...
def register_task(name: str, task: Any = None) -> Any:
    """Make a task type of a function, for jobs of this process: of Python, of job files, of `Scheduler(jobs_dir=…)`.

    Its arguments are the keyword arguments of the function, checked against its signature when a job is loaded; it
    runs where functions run. Another process needs the same registration; packages make theirs known to every
    process, `gnomon serve` included, by an entry point:

        [project.entry-points."gnomon.tasks"]
        resize = "mypackage.images:resize"

    Args:
        name: letters, digits, `. _ - /`. Registering it again replaces it.
        task: a function that can be imported by name, or an object with the methods of `gnomon.core.tasks.TaskType`.
            None: a decorator.

    Raises:
        UsageError: the name is taken; the function cannot be imported by name or called by keywords alone.

    >>> dumps = register_task("to_json", json.dumps)
    >>> scheduler.add_job("j", task={"type": "to_json", "obj": [1], "indent": 2}).task["obj"]
    [1]
    """
    if task is not None:
        register(name, task)
        return task

    def decorate(func: F) -> F:
        register(name, func)
        return func

    return decorate
