"""What a task type is to the rest of the house: a name, aliases, and a judgement of arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from .errors import InvariantViolated, Problem
from .secrets import shielded
from .values import Json, JsonObject


class TaskType(Protocol):
    """One kind of task, as job files, operations and the engine see it. Stateless."""

    @property
    def name(self) -> str:
        """Canonical name: `command`, `python`, …"""

    @property
    def aliases(self) -> Sequence[str]:
        """Other accepted names."""

    @property
    def executor(self) -> str:
        """Name of the executor that performs attempts of this type."""

    def validate(self, arguments: JsonObject) -> JsonObject:
        """The arguments in canonical form. Imports no user code, opens nothing.

        Raises:
            UsageError: one problem per mistake; `key` is relative to the arguments.
        """

    def describe(self, arguments: JsonObject) -> str:
        """What a task with these (canonical) arguments does, in one line."""


class Ordering(Protocol):
    """A task type may also have this, if its executor wants the arguments in another shape than people write them."""

    def order(self, arguments: JsonObject) -> JsonObject:
        """What the executor is given for these arguments (canonical, references filled)."""


def order_of(kind: TaskType, arguments: JsonObject) -> JsonObject:
    """What the executor of `kind` is given."""
    order: Callable[[JsonObject], JsonObject] | None = getattr(kind, "order", None)
    return arguments if order is None else order(arguments)


class Receiving(Protocol):
    """A task type may also have this, if it matters to it which of its arguments came from outside."""

    def received(self, key: str, value: Json) -> Json:
        """What the argument at the dotted place `key` is to be, which references filled with `value`."""


def received_by(kind: TaskType, prefix: str) -> Callable[[str, Json], Json]:
    """How `kind` takes what references fill in, for `substitute`: never as a reference to a secret.

    Args:
        prefix: what places begin with that is no argument.
    """
    keys: Sequence[str] = getattr(kind, "secrets", ())
    own: Callable[[str, Json], Json] | None = getattr(kind, "received", None)

    def received(place: str, value: Json) -> Json:
        key = place.removeprefix(f"{prefix}.")
        if re.split(r"[.\[]", key, maxsplit=1)[0] in keys:
            value = shielded(value)
        return value if own is None else own(key, value)

    return received


class Isolated(Protocol):
    """A task type may also have this: its attempts are never moved into the application that embeds gnomon."""

    isolated: bool


def executor_of(kind: TaskType, routes: Mapping[str, str]) -> str:
    """Who performs attempts of `kind` where `routes` move the work of some executors to others."""
    return kind.executor if getattr(kind, "isolated", False) else routes.get(kind.executor, kind.executor)


class TaskTypes(Protocol):
    """The task types there are."""

    def resolve(self, name: str) -> TaskType | None:
        """The type of this name or alias, in any case, with `-` or `_`; None if there is none."""

    def names(self) -> Sequence[str]:
        """Canonical names, in order of registration."""


class TaskTypeRegistry:
    """`TaskTypes` made of a fixed set of types."""

    def __init__(self, types: Iterable[TaskType]) -> None:
        self._types = tuple(types)
        self._by_name: dict[str, TaskType] = {}
        for kind in self._types:
            for name in (kind.name, *kind.aliases):
                if self._by_name.setdefault(_folded(name), kind) is not kind:
                    raise InvariantViolated(Problem("task_type_twice", f"two task types are called {name!r}"))

    def resolve(self, name: str) -> TaskType | None:
        """The type of this name or alias, in any case, with `-` or `_`; None if there is none."""
        return self._by_name.get(_folded(name))

    def names(self) -> Sequence[str]:
        """Canonical names, in order of registration."""
        return [kind.name for kind in self._types]


def _folded(name: str) -> str:
    return name.strip().lower().replace("-", "_")
