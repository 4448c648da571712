"""Finding a callable by its name and calling it. Runs in a worker."""

from __future__ import annotations

import contextvars
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .wire import MESSAGE_LIMIT, RESULT_LIMIT

_DEEPEST = 100
_TRACEBACK_LIMIT = 64 * 1024
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Outcome:
    """What became of a call. `result` is JSON text; `error` is what was raised, for its traceback."""

    ok: bool
    exit: int | None = None
    code: str = ""
    message: str = ""
    result: str = "null"
    error: BaseException | None = None


class CallableNotFound(Exception):
    """There is no such callable; the text says what was looked for and what is near."""


class Stopped(SystemExit):
    """Raised inside a call that is being stopped (timeout, cancel): `finally` and `with` blocks run."""


class Awaiter:
    """One event loop for all async calls of a worker. Made at the first."""

    def __init__(self) -> None:
        self.loop: Any = None
        self.task: Any = None

    def wait(self, awaitable: Any, context: contextvars.Context) -> Any:
        """The result of a coroutine; tasks it left behind are cancelled."""
        import asyncio  # 30 ms that only async callables cost

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        self.task = self.loop.create_task(_awaited(awaitable), context=context)
        try:
            return self.loop.run_until_complete(self.task)
        finally:
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.task = None

    def cancel(self) -> bool:
        """From a signal handler: stop the coroutine that runs, if one does."""
        task = self.task
        if task is None:
            return False
        self.loop.call_soon_threadsafe(task.cancel)
        return True


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def call(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], awaiter: Awaiter) -> Outcome:
    """Call it, wait for it if it is async, make JSON of what it gives. Raises nothing."""
    context = contextvars.Context()
    try:
        value = context.run(function, *args, **kwargs)
        if type(value) is types.CoroutineType or hasattr(value, "__await__"):
            value = awaiter.wait(value, context)
        return Outcome(True) if value is None else judged(value)
    except SystemExit as stop:
        return _exited(stop)
    except BaseException as error:
        if hasattr(error, "task_code"):  # gnomon.tasks.performing.TaskFailed: all is said in it
            kept = judged(getattr(error, "result", None))
            return Outcome(False, None, str(error.task_code), text_of(error), kept.result if kept.ok else "null")
        return Outcome(False, None, type(error).__name__, text_of(error), error=error)


def _exited(stop: SystemExit) -> Outcome:
    """As the interpreter does it: nothing is 0, a number is itself, anything else is printed and 1."""
    code = stop.code
    if code is None or (isinstance(code, int) and code & 0xFF == 0):
        return Outcome(True, 0)
    if not isinstance(code, int):
        return Outcome(False, 1, "SystemExit", text_of(stop), error=stop)
    return Outcome(False, code & 0xFF, "SystemExit", f"the callable ended with exit code {code & 0xFF}")


def judged(value: Any) -> Outcome:
    """A result that is not JSON, or too much of it, makes the call a failure."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    try:
        text = _dumps(value)
        size = len(text.encode())
        deep = text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST
    except (TypeError, ValueError, RecursionError) as error:
        why = text_of(error).replace("Object of type", "a value of type")
        return Outcome(False, None, "result_not_json", f"the result, of type {kind}, is not JSON: {why}")
    if deep:
        return Outcome(False, None, "result_not_json", f"the result, of type {kind}, is nested over {_DEEPEST} deep")
    if size > RESULT_LIMIT:
        text = f"the result, of type {kind}, is {size} bytes of JSON; at most {RESULT_LIMIT} are kept"
        return Outcome(False, None, "result_too_large", f"{text}: write it to a file and return its path")
    return Outcome(True, result=text)


def _depth(text: str) -> int:
    deepest = depth = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted, escaped = escaped or char != '"', not escaped and char == "\\"
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def text_of(error: BaseException) -> str:
    """What an exception says, as much of it as is kept."""
    try:
        text = str(error) or repr(error)
    except BaseException:
        text = f"{type(error).__name__} (its message can not be had)"
    return text.encode("utf-8", "replace").decode()[:MESSAGE_LIMIT]


def resolve(reference: str) -> Callable[..., Any]:
    """The callable called `package.module:qualified.name`. Imports its module.

    Raises:
        CallableNotFound: no such module, no such name, or it can not be called.
        BaseException: whatever else the module raises while it is imported.
    """
    module, _, name = reference.partition(":")
    if module == "local":
        text = f"{name!r} was registered by an application and can not be imported by name: it only runs there"
        raise CallableNotFound(f"{text}; give a function of a module instead")
    found, names = _import(module, name.split("."))
    for index, part in enumerate(names):
        try:
            found = getattr(found, part)
        except AttributeError:
            where = ".".join((module, *names[:index])) if index else f"module {module}"
            raise CallableNotFound(f"{where} has no {part!r}{_near(part, dir(found))}") from None
    if not callable(found):
        raise CallableNotFound(f"{reference} is no callable but of type {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _import(module: str, names: list[str]) -> tuple[Any, list[str]]:
    """The module; `a.b.Class:method` is tried as `a.b:Class.method` too, for references written with dots only."""
    try:
        return import_module(module), names
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != module and not module.startswith(missing + "."):
            raise CallableNotFound(f"module {module} can not be imported: {error}") from error
        head, _, last = module.rpartition(".")
        if head and missing == module:
            with_class = sys.modules.get(head)
            if with_class is not None and hasattr(with_class, last):
                return with_class, [last, *names]
            raise CallableNotFound(f"package {head} has no module {last!r}{_near(last, _siblings(head))}") from None
        hint = " on the workers' path; `path` adds directories to it"
        raise CallableNotFound(f"there is no module {missing!r}{hint}{_near(missing, _siblings(''))}") from None
    except ImportError as error:
        raise CallableNotFound(f"module {module} can not be imported: {error}") from error


def _siblings(package: str) -> list[str]:
    import pkgutil

    try:
        where = list(sys.modules[package].__path__) if package else [p for p in sys.path if "site-packages" not in p]
        return [found.name for found in pkgutil.iter_modules(where)]
    except Exception:
        return []


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def traceback_of(error: BaseException) -> str:
    """As the interpreter prints it, without our own frames."""
    import traceback

    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("gnomon.executors.pool"):
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        return f"{type(error).__name__} (its traceback can not be had)\n"
    return text if len(text) <= _TRACEBACK_LIMIT else f"{text[:_TRACEBACK_LIMIT]}\n[… cut …]\n"
