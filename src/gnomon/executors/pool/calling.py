"""Finding a callable by its name and calling it. Runs in a worker."""

from __future__ import annotations

import contextvars
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gnomon.core.handover import Unkept, code_of, error_name, kept_text, only_holds, said_by, words
from gnomon.core.reports import BAD_RESULT

_STANDARD = sys.path[:]  # before callables' directories are added to it
_CHAIN = 100
_SHORT = (str, bytes, int, float, bool, type(None))
_TRACEBACK_LIMIT = 64 * 1024


@dataclass(slots=True)
class Outcome:
    """What became of a call. `result` is JSON text; `error` is what was raised, for its traceback. One that is `ok`
    and has a `code` has given what cannot be kept."""

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
        asyncio = ours("asyncio")  # 30 ms that only async callables cost
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


def ours(name: str) -> Any:
    """A module of the library, whatever file of that name lies beside the callables: what we import late."""
    found = sys.modules.get(name)
    if found is None:
        path = sys.path[:]
        sys.path[:] = _STANDARD
        try:
            found = import_module(name)
        finally:
            sys.path[:] = path
    return found


def call(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], awaiter: Awaiter) -> Outcome:
    """Call it, wait for it if it is async, make JSON of what it gives. Raises nothing."""
    context = contextvars.Context()
    try:
        value = context.run(function, *args, **kwargs)
        if awaits(value):
            value = awaiter.wait(value, context)
        return judged(value)
    except SystemExit as stop:
        return exited(stop)
    except BaseException as error:
        return raised(error)


def exited(stop: SystemExit) -> Outcome:
    """As the interpreter does it: nothing is 0, a number is itself, anything else is printed and 1."""
    try:
        said: Any = stop.code
    except BaseException:
        said = ""
    if said is None:
        return Outcome(True, 0)
    if not issubclass(type(said), int):
        return Outcome(False, 1, "SystemExit", said_by(stop), error=stop)
    code = int.__and__(said, 0xFF)
    text = f"the callable ended with exit code {code}"
    return Outcome(True, 0) if code == 0 else Outcome(False, code, "SystemExit", text)


def judged(value: Any) -> Outcome:
    """A call that has returned this. It has succeeded, whatever it is: what was done must not be done again because
    of a value. One that cannot be kept is null, with a code that says so.
    """
    try:
        return Outcome(True, result=kept_text(value)[1])
    except Unkept as why:
        return Outcome(True, None, BAD_RESULT, words(str(why)))


def raised(error: BaseException) -> Outcome:
    """A call that has raised this. Nothing of the exception may raise again."""
    code, message = code_of(error_name(error)), said_by(error)
    try:
        told = error.task_code  # type: ignore[attr-defined]  # gnomon.tasks.performing.TaskFailed: all is said in it
        given = getattr(error, "result", None)
    except BaseException:
        return Outcome(False, None, code, message, error=error)
    kept = judged(given)
    if kept.code:
        message = words(f"{message} ({kept.message})")
    return Outcome(False, None, code_of(told), message, kept.result)


def awaits(value: Any) -> bool:
    """Whether it is a coroutine, or another awaitable. Its type is asked, not the value."""
    try:
        return type(value) is types.CoroutineType or hasattr(type(value), "__await__")
    except BaseException:
        return False


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
    try:
        pkgutil = ours("pkgutil")
        where = list(sys.modules[package].__path__) if package else [p for p in sys.path if "site-packages" not in p]
        return [found.name for found in pkgutil.iter_modules(where)]
    except Exception:
        return []


def _near(name: str, known: list[str]) -> str:
    near = ours("difflib").get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def printable(error: BaseException) -> bool:
    """Whether the interpreter may spell it out: some hold a value that has no end."""
    for _ in range(_CHAIN):
        if only_holds(error) and not all(type(held) in _SHORT for held in error.args):
            return False
        before = error.__cause__ or error.__context__
        if before is None:
            return True
        error = before
    return False


def traceback_of(error: BaseException) -> str:
    """As the interpreter prints it, without our own frames."""
    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("gnomon.executors.pool"):
            trace = trace.tb_next
        text = "".join(ours("traceback").format_exception(type(error), error, trace))
    except BaseException:
        return f"{error_name(error)} (its traceback can not be had)\n"
    return text if len(text) <= _TRACEBACK_LIMIT else f"{text[:_TRACEBACK_LIMIT]}\n[… cut …]\n"
