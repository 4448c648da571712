"""What a command works with: settings, the database, the zone times are shown in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gnomon.core.errors import NotFound, Problem

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from gnomon.core.configurations import ConfigurationRecord
    from gnomon.operations.context import Desk
    from gnomon.operations.moments import Moment
    from gnomon.operations.settings import Settings


@dataclass
class Session:
    """One invocation. `flags`: settings said on the command line, by name."""

    db: str | None = None
    config: str | None = None
    json: bool = False
    flags: Mapping[str, object | None] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """From flags, environment, settings file and defaults.

        Raises:
            UsageError: all that is wrong with them.
        """
        from gnomon.operations.settings import load_settings

        return load_settings({"db": self.db, **self.flags}, os.environ, config=self.config)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone of the settings."""
        from gnomon.app import load_zone

        return load_zone(self.settings.timezone)

    def check(self) -> Settings:
        """The settings, once their zone is known to exist."""
        _ = self.zone
        return self.settings

    @cached_property
    def database(self) -> Path | None:
        """The file of the database; None: it is no file."""
        from gnomon.operations.settings import database_file

        return database_file(self.settings.db)

    @property
    def missing(self) -> bool:
        """There is no database yet, as far as one may look."""
        try:
            return self.database is not None and not self.database.exists()
        except PermissionError:
            return False

    @property
    def missing_text(self) -> str:
        return f"there is no database at {self.database} yet: `gnomon serve` makes it (or name one with --db)"

    def configurations(self) -> dict[str, ConfigurationRecord]:
        """Those of the database, if there is one: what a job file here may use."""
        from gnomon.operations.files import stored_configurations

        if self.missing or self.database is None:
            return {}
        with self.desk() as desk:
            return desk.store.read(stored_configurations)

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """The operations on the database.

        Raises:
            NotFound: there is no database yet; commands that only ask must not make one.
        """
        from gnomon.app import open_parts

        self.check()
        if self.missing:
            hint = "`gnomon serve` makes it; or name one with --db"
            raise NotFound(Problem("database_missing", f"there is no database at {self.database} yet", hint=hint))
        with open_parts(self.settings) as parts:
            yield parts.desk()

    @contextmanager
    def listing(self) -> Iterator[Desk]:
        """The operations for a mere list: while there is no database, on an empty one, so that mistakes still show."""
        if not self.missing:
            with self.desk() as desk:
                yield desk
            return
        from gnomon.app import open_parts

        self.check()
        with open_parts(self.settings, db=":memory:") as parts:
            yield parts.desk()

    @cached_property
    def now(self) -> datetime:
        """The time of the invocation."""
        from gnomon.system.clock import SystemClock

        return SystemClock().now()

    def moment(self, text: str, now: datetime, zone: ZoneInfo | None = None) -> Moment:
        """A time as people write it; local times are those of `zone` (default: the settings')."""
        from gnomon.operations.moments import parse_when

        return parse_when(text, now, zone or self.zone)

    def tell(self, text: str) -> None:
        """A line for people, beside the answer: on stderr."""
        print(text, file=sys.stderr, flush=True)
