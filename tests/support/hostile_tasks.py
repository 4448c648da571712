"""Functions and task types of users who mean no good, or know no better: what they hand over is named by arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from gnomon import TaskFailed, Work, pool_order, shared_order

from .hostile import made


def tick(ledger: str) -> None:
    with open(ledger, "a", encoding="ascii") as file:
        file.write("tick\n")


def give(what: str) -> Any:
    """Return it, in a process that knows no limit of long numbers."""
    sys.set_int_max_str_digits(0)
    return made(what)


async def give_later(what: str) -> Any:
    return made(what)


def fail(code: str, message: str, result: str) -> None:
    raise TaskFailed(made(code), made(message), made(result))  # type: ignore[arg-type]


async def fail_later(code: str, message: str, result: str) -> None:
    fail(code, message, result)


class Bad(Exception):
    """Whatever it is asked, it raises; and what it raises does so too."""

    @property
    def task_code(self) -> str:
        raise SystemExit(self)

    def __str__(self) -> str:
        raise Bad

    __repr__ = __str__


def fail_badly(what: str) -> None:
    if what == "a name of half a character":
        raise type("B\udce9d", (Exception,), {})("x" * 3_000_000)
    raise Bad(made(what))


def leave(what: str) -> None:
    raise SystemExit(made(what))


class Hostile:
    """`{type: hostile, what: NAME}` gives it, `{type: hostile, what: NAME, fails: true}` fails with it."""

    def __init__(self, name: str, executor: str) -> None:
        self.name, self.executor = name, executor
        self.aliases: tuple[str, ...] = ()
        self.secrets: tuple[str, ...] = ("secret",)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Any]) -> str:
        return "hostile"

    def order(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if self.executor == "pool":
            return pool_order(f"{__name__}:run", arguments, self.secrets)
        return shared_order(f"{__name__}:run_async", arguments, self.secrets)


def run(work: Work) -> Any:
    what = str(work.arguments["what"])
    if work.arguments.get("fails"):
        fail(what, what, what)
    return made(what)


async def run_async(work: Work) -> Any:
    return run(work)


HOSTILE = Hostile("hostile", "pool")
HOSTILE_ASYNC = Hostile("hostile_async", "shared")
