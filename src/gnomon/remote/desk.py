"""A desk whose operations are done by a server: what the command line works at with `--server`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeVar, cast

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.errors import usage
from gnomon.core.records import Source, SourceKind
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskType, TaskTypes
from gnomon.core.values import parse_rfc3339
from gnomon.engine.context import Context
from gnomon.engine.settings import EngineSettings
from gnomon.operations.context import Desk
from gnomon.system.clock import SystemClock, SystemEntropy

from . import deleting as _deleting  # noqa: F401 (enters its own)
from . import table_access as _access  # noqa: F401 (the same)
from .client import Client
from .table import ANSWERS

T = TypeVar("T")


def remote_desk(client: Client, kinds: ScheduleKinds, task_types: TaskTypes, timezone: str) -> Desk:
    """A desk at which `client` is asked.

    Args:
        kinds, task_types: those of this machine: what is written in filters is read here.
        timezone: of times that name none.
    """
    nothing: Any = _Nothing()
    engine = Context("remote", EngineSettings(), kinds, FarTypes(task_types, client), SystemEntropy())
    return Desk(nothing, SystemClock(), nothing, engine, "", timezone=timezone, elsewhere=Server(client))


def configurations_of(client: Client) -> dict[str, ConfigurationRecord]:
    """The configurations of a server: what a job file here may use."""
    return {
        one["name"]: ConfigurationRecord(
            one["name"],
            one["version"],
            Source(SourceKind(one["source"]["kind"]), one["source"]["path"]),
            parse_rfc3339(one["created_at"]),
            parse_rfc3339(one["updated_at"]),
            one["type"],
            one["arguments"],
        )
        for one in client.list_configurations(limit=1000)
    }


@dataclass(frozen=True, slots=True)
class Server:
    """Does operations by asking a server."""

    client: Client

    def ask(self, operation: Callable[..., T], /, *args: object, **named: object) -> T:
        """See `operations.context.Elsewhere`."""
        answer = ANSWERS.get(f"{operation.__module__}.{operation.__name__}")
        if answer is None:
            _refuse()
        return cast(T, answer(self.client, *args, **named))


class FarTypes:
    """The task types of this machine, and those that only the server has."""

    def __init__(self, near: TaskTypes, client: Client) -> None:
        self._near, self._client = near, client

    def resolve(self, name: str) -> TaskType | None:
        """See `core.tasks.TaskTypes`."""
        return self._near.resolve(name) or self._far.get(name.strip().lower().replace("-", "_"))

    def names(self) -> Sequence[str]:
        """See `core.tasks.TaskTypes`."""
        return list(dict.fromkeys([*self._near.names(), *(kind.name for kind in self._far.values())]))

    @cached_property
    def _far(self) -> dict[str, TaskType]:
        found: dict[str, TaskType] = {}
        for said in self._client.list_task_types():
            kind: Any = _FarType(said["name"], tuple(said["aliases"]), said["executor"])
            found |= dict.fromkeys((kind.name, *kind.aliases), kind)
        return found


@dataclass(frozen=True, slots=True)
class _FarType:
    name: str
    aliases: Sequence[str]
    executor: str


class _Nothing:
    """Stands where the database would be."""

    def __getattr__(self, name: str) -> NoReturn:
        _refuse()


def _refuse() -> NoReturn:
    raise usage("not_remote", "a server cannot be asked for this", hint="say it on its machine, without --server")
