"""How a worker performs an attempt of a task type that is more than a callable: secrets in, nothing secret out.

A task type of this room has `validate` (pure, where files are read) and a function `run(work)`, which only workers
call, by its reference `module:function`. It gives JSON, or raises `TaskFailed`. What it needs from outside (httpx, a
driver) it imports inside the function, so that reading job files stays cheap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, cast

from gnomon.core.handover import Unkept, code_of, error_name, kept, said_by, words
from gnomon.core.values import Json, JsonObject

from .muffling import muffled
from .secrets import Vault

_HEARD = 100_000  # of a message, before secrets are struck out of it: half a secret would not be found
PERFORM = "gnomon.tasks.performing:perform"


class TaskFailed(Exception):
    """The attempt failed as such things fail; nothing is wrong with gnomon, so no traceback is kept.

    Attributes:
        task_code: stable code (`docs/errors.md`); `message`: for people, `result`: what is worth keeping all the same.
    """

    def __init__(self, code: str, message: str, result: Json = None) -> None:
        super().__init__(message)
        self.task_code, self.message, self.result = code, message, result


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt as its task type sees it.

    Attributes:
        arguments: canonical, references filled, secrets looked up.
        log: writes a line to the output of the attempt; secrets are struck out.
        environment: GNOMON_RUN_ID and the like.
        timeout_s: seconds until it will be stopped from outside; None: no limit.
        loop_state: what functions of the executor `shared` keep for each other as long as its event loop lives, such as
            a client with open connections. Choose keys nobody else will: `"gnomon.tasks.http:client"`.
    """

    arguments: JsonObject
    log: Callable[[str], None]
    environment: Mapping[str, str]
    timeout_s: float | None = None
    loop_state: dict[str, Any] = field(default_factory=dict)


Perform = Callable[[Work], Json]
PerformAsync = Callable[[Work], Awaitable[Json]]


def pool_order(reference: str, arguments: JsonObject, secrets: Sequence[str]) -> dict[str, Json]:
    """What the pool is given to call `reference` (a `Perform`) with these arguments in a process of its own."""
    return {"callable": PERFORM, "args": [reference, dict(arguments), list(secrets)]}


def shared_order(reference: str, arguments: JsonObject, secrets: Sequence[str]) -> dict[str, Json]:
    """What the executor `shared` is given to await `reference` (a `PerformAsync`), with many others in one process."""
    return {"callable": reference, "arguments": dict(arguments), "secrets": list(secrets)}


def perform(reference: str, arguments: dict[str, Json], secrets: list[str]) -> Json | Unkept:
    """In a worker of the pool: one attempt from its order to its result."""
    import os

    vault = Vault()
    limit = os.environ.get("GNOMON_TIMEOUT")
    timeout_s = float(limit) if limit else None
    work = prepare(vault, arguments, secrets, lambda text: print(text, flush=True), os.environ, timeout_s)
    with muffled(vault.redactor):
        try:
            value = function_of(reference)(work)
        except Exception as error:
            raise outward(vault, error) from None
    return given(vault, value)


async def attend(
    reference: str,
    arguments: dict[str, Json],
    secrets: list[str],
    *,
    write: Callable[[str], None],
    environment: Mapping[str, str],
    timeout_s: float | None,
    loop_state: dict[str, Any],
) -> Json | Unkept:
    """In the worker of the executor `shared`: one attempt from its order to its result, many at once."""
    import asyncio

    vault = Vault()
    asked = vault, arguments, secrets, write, environment, timeout_s
    work = await asyncio.to_thread(prepare, *asked) if secrets else prepare(*asked)  # files and providers take time
    work = replace(work, loop_state=loop_state)
    guard: Callable[[Callable[[str], str]], None] | None = getattr(write, "guard", None)
    if guard is not None:  # what libraries print goes there too
        guard(vault.redactor.text)
    try:
        value = await function_of(reference)(work)
    except Exception as error:
        raise outward(vault, error) from None
    return given(vault, value)


def prepare(
    vault: Vault,
    arguments: JsonObject,
    secrets: Sequence[str],
    write: Callable[[str], None],
    environment: Mapping[str, str],
    timeout_s: float | None = None,
) -> Work:
    """The work with its secrets.

    Raises:
        TaskFailed: `secret_not_found`, naming the key and the reference.
    """
    try:
        filled = vault.fill(arguments, secrets)
    except LookupError as error:
        raise TaskFailed("secret_not_found", str(error.args[0])) from None
    return Work(filled, lambda text: write(str(vault.strike(text))), environment, timeout_s)


def function_of(reference: str) -> Callable[[Work], Any]:
    """The function called `module:name`."""
    module, _, name = reference.partition(":")
    function: Callable[[Work], Any] = getattr(import_module(module), name)
    return function


def given(vault: Vault, value: object) -> Json | Unkept:
    """What a function has given, without secrets; or, not raised, why it cannot be kept."""
    try:
        return vault.strike(kept(value))
    except Unkept as why:
        return why


def outward(vault: Vault, error: Exception) -> TaskFailed:
    """What may leave the worker of an exception: no secret, and no traceback (it shows arguments)."""
    if isinstance(error, TaskFailed):
        code, message = (str(vault.strike(text)) for text in (code_of(error.task_code), words(error.message, _HEARD)))
        return TaskFailed(code, message, cast(Json, given(vault, error.result)))
    return TaskFailed(error_name(error), str(vault.strike(said_by(error, _HEARD))))
