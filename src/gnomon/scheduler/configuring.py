"""The part of `Scheduler` that keeps configurations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.records import Source, SourceKind
from gnomon.core.values import Json
from gnomon.operations import configurations as operations
from gnomon.operations.building import plain
from gnomon.operations.context import Desk
from gnomon.operations.files import stored_configurations

from .session import Session

PYTHON = Source(SourceKind.PYTHON)
Contents = dict[str, tuple[str | None, dict[str, Json]]]


@dataclass(frozen=True, slots=True)
class Configuration:
    """Arguments that tasks share. `used_by`: ids of the jobs whose task says `use` and this name."""

    name: str
    version: int
    type: str | None
    arguments: dict[str, Json] = field(default_factory=dict)
    source: str = "python"
    source_path: str | None = None
    used_by: tuple[str, ...] = ()


class Configuring:
    """Configurations of a scheduler, started or not."""

    _session: Session
    _own_configurations: Contents

    def add_configuration(self, name: str, type: str | None = None, /, **arguments: Any) -> Configuration:
        """Save arguments under a name; tasks take them with `use`. The same again changes nothing, else a new version.

        Args:
            name: letters, digits, `. _ - /`.
            type: the task type it is for.
            arguments: any of that type's; JSON values. Secrets are references (`"env:NAME"`).

        Raises:
            UsageError: a name, type or argument that cannot be; or jobs that use it would no longer be valid.
            Conflict: a job file has a configuration of this name.

        >>> scheduler.add_configuration("shop", "command", env={"REGION": "eu"}, cwd="/").version
        1
        """
        given = {key: plain(value, key) for key, value in arguments.items()}
        operations.save_configuration(self._session.desk, name, type, given, PYTHON)
        self._own_configurations[name] = (type, given)
        return next(found for found in self.configurations() if found.name == name)

    def configurations(self) -> list[Configuration]:
        """All configurations, by name; those of job files and of other processes on the database included.

        >>> _ = scheduler.add_configuration("shop", "command", cwd="/")
        >>> [configuration.name for configuration in scheduler.configurations()]
        ['shop']
        """

        def work(reader: Any) -> list[Configuration]:
            found = stored_configurations(reader)
            users = reader.configuration_users(list(found))
            return [_view(record, users.get(name, ())) for name, record in sorted(found.items())]

        return self._session.desk.store.read(work)

    def remove_configuration(self, name: str) -> None:
        """Delete a configuration; what runs used stays known.

        Args:
            name: of a configuration.

        Raises:
            NotFound: there is none; names the nearest. Conflict: jobs use it (names them), or a job file owns it.

        >>> _ = scheduler.add_configuration("shop", "command", cwd="/")
        >>> scheduler.remove_configuration("shop")
        """
        operations.delete_configuration(self._session.desk, name)
        self._own_configurations.pop(name, None)


def save_all(desk: Desk, own: Contents) -> None:
    """Save these: a memory that is opened anew begins with them."""
    for name, (kind, arguments) in own.items():
        operations.save_configuration(desk, name, kind, arguments, PYTHON)


def _view(record: ConfigurationRecord, used_by: tuple[str, ...]) -> Configuration:
    source = record.source
    return Configuration(
        record.name, record.version, record.type, dict(record.arguments), str(source.kind), source.path, used_by
    )
