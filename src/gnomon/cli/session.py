"""What a command works with: settings, the database, the zone times are shown in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from gnomon.core.errors import NotFound, Problem, usage

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from gnomon.core.configurations import ConfigurationRecord
    from gnomon.operations.context import Desk
    from gnomon.operations.moments import Moment
    from gnomon.operations.settings import Settings
    from gnomon.remote import Client


@dataclass
class Session:
    """One invocation.

    Attributes:
        flags: settings said on the command line, by name.
        asked: the address of `--server`. token_file: its token is there.
        here: the command works on this machine, whatever server the environment names.
    """

    db: str | None = None
    config: str | None = None
    json: bool = False
    flags: Mapping[str, object | None] = field(default_factory=dict)
    asked: str | None = None
    token_file: str | None = None
    here: bool = False

    def judge(self, command: str) -> None:
        """Whether what was said goes together.

        Raises:
            UsageError: `--server` with `--db`, or with a command that needs the machine.
        """
        if self.asked is None:
            return
        if self.here:
            self.stay(f"`{command}` works on the machine it is said on")
        if self.db is not None:
            raise usage("database_or_server", "both --db and --server are there", hint="say one of them")

    def stay(self, why: str) -> None:
        """This is for this machine, whatever server the environment names.

        Raises:
            UsageError: `--server` was said.
        """
        if self.asked is not None:
            raise usage("not_remote", f"{why}: it does not go with --server", hint="say it on the server's machine")
        self.here = True
        self.__dict__.pop("server", None)

    @cached_property
    def settings(self) -> Settings:
        """From flags, environment, settings file and defaults; the zone of a server, unless one is given here.

        Raises:
            UsageError: all that is wrong with them.
        """
        settings = self.own
        if self.server is None or settings.given("timezone"):
            return settings
        from gnomon.operations.settings import Value

        zone = Value(self.client.get_about()["timezone"], self.server)
        return replace(settings, values={**settings.values, "timezone": zone})

    @cached_property
    def own(self) -> Settings:
        """Those of this machine, whatever server is asked."""
        from gnomon.operations.settings import load_settings

        return load_settings({"db": self.db, "server": self.asked, **self.flags}, os.environ, config=self.config)

    @cached_property
    def server(self) -> str | None:
        """The address of the scheduler that is asked instead of a database."""
        if self.here and self.asked is None:
            return None
        if self.asked is not None or self.db is not None:
            return self.asked
        value = self.own.values["server"].value
        return None if value is None else str(value)

    def close(self) -> None:
        """Close what was opened for the invocation."""
        if "client" in self.__dict__:
            self.client.close()

    @cached_property
    def client(self) -> Client:
        """Asks the server.

        Raises:
            UsageError: its address is none, or the token cannot be read.
        """
        from gnomon.remote import Client

        if self.server is None:
            raise usage("server_invalid", "no server is named", hint="say --server URL")
        token = None if self.token_file is None else _read_token(self.token_file)
        return Client(self.server, token)

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
    def exists(self) -> bool:
        """The file of the database is there, as far as one may look."""
        try:
            return self.database is None or self.database.exists()
        except PermissionError:
            return True

    @property
    def missing(self) -> bool:
        """There is no database yet: no file of it, and no scheduler at work on one that was moved away."""
        if self.server is not None or self.database is None or self.exists:
            return False
        from gnomon.operations.nodes import refusal

        return refusal(self.database) is None

    @property
    def missing_text(self) -> str:
        return f"there is no database at {self.database} yet: `gnomon serve` makes it (or name one with --db)"

    def configurations(self) -> dict[str, ConfigurationRecord]:
        """Those of the database, if there is one: what a job file here may use."""
        from gnomon.operations.files import stored_configurations

        if self.server is not None:
            from gnomon.remote.desk import configurations_of

            return configurations_of(self.client)
        if not self.settings.placed or self.missing or self.database is None:
            return {}
        with self.desk() as desk:
            return desk.store.read(stored_configurations)

    @contextmanager
    def desk(self, *, new: bool = False) -> Iterator[Desk]:
        """The operations on the database, or at the server.

        Args:
            new: make the database if there is none.

        Raises:
            NotFound: there is no database yet; commands that only ask must not make one.
        """
        from gnomon.app import open_parts, registries

        self.check()
        if self.server is not None:
            from gnomon.remote.desk import remote_desk

            yield remote_desk(self.client, *registries(), self.settings.timezone)
            return
        if self.missing and not new:
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

    @property
    def place(self) -> str:
        """What is asked, in words: the database's file or address, or the server's."""
        return self.server or str(self.database or self.settings.db)

    def tell(self, text: str) -> None:
        """A line for people, beside the answer: on stderr."""
        print(text, file=sys.stderr, flush=True)


def _read_token(path: str) -> str:
    from pathlib import Path

    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise usage("token_file_unreadable", f"{path} cannot be read: {error}", key="--token-file") from None
    if not text:
        raise usage("token_file_unreadable", f"{path} is empty", key="--token-file", hint="write the token into it")
    return text
