"""At start-up: once each time the scheduler starts. An event, not a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gnomon.core.errors import usage
from gnomon.core.rules import Fire, Rule
from gnomon.schedules.kinds import Canonical, Context, shown


@dataclass(frozen=True, slots=True)
class Never:
    """A `Rule` without fire times."""

    def next(self, after: datetime) -> Fire | None:
        """None."""
        return None

    def latest(self, until: datetime) -> Fire | None:
        """None."""
        return None

    def count(self, after: datetime, until: datetime) -> int:
        """0."""
        return 0


class StartupKind:
    """`startup: true`, or `@reboot`."""

    name = "startup"
    keys = ("startup",)

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """`@reboot`."""
        return {"startup": True} if text.strip().lower() in ("@reboot", "@startup") else None

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """Only `true` makes sense."""
        if value["startup"] is not True:
            message = f"startup must be true, not {shown(value['startup'])}"
            raise usage("value_invalid", message, key="startup", hint="leave the entry out, or set enabled: false")
        return {"startup": True}

    def describe(self, rule: Mapping[str, object]) -> str:
        """`@reboot`."""
        return "@reboot"

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """No fire times: the engine starts these runs itself."""
        return Never()


STARTUP = StartupKind()
