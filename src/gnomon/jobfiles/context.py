"""What parsing needs from other rooms, and how the keys of one job stand together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gnomon.core.errors import UsageError
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import JsonObject

from .report import At
from .tree import Value


@dataclass(slots=True)
class Context:
    """The registries, the default zone (an IANA name), and the configurations of the file being read."""

    kinds: ScheduleKinds
    task_types: TaskTypes
    default_timezone: str = "UTC"
    configurations: Mapping[str, JsonObject] = field(default_factory=dict)
    zones: dict[str, UsageError | None] = field(default_factory=dict)

    def zone_error(self, timezone: str) -> UsageError | None:
        """What is wrong with the name of a zone, or None. Asked of the schedule kinds, once per name."""
        if timezone not in self.zones:
            try:
                self.kinds.parse("0 0 * * *", default_timezone=timezone, job_id="zone")
                self.zones[timezone] = None
            except UsageError as error:
                self.zones[timezone] = error
        return self.zones[timezone]


@dataclass(frozen=True, slots=True)
class Given:
    """The keys one job gives (or takes from `defaults:`), by canonical name; `at` is where the job stands."""

    at: At
    values: Mapping[str, tuple[Value, At]]

    def has(self, name: str) -> bool:
        """Whether the key is there and not null."""
        return name in self.values and self.values[name][0] is not None

    def value(self, name: str) -> Value:
        """The value of a key; None if it is not there."""
        return self.values[name][0] if name in self.values else None

    def place(self, name: str) -> At:
        """Where the key's value stands; the job's place if it is not there."""
        return self.values[name][1] if name in self.values else self.at
