"""What everything on one database is made of, and how it is opened."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gnomon.core.errors import GnomonError
from gnomon.core.ports import Clock, Entropy, Store, Transaction
from gnomon.core.tasks import TaskTypes
from gnomon.engine.context import Context
from gnomon.engine.settings import EngineSettings
from gnomon.executors.logs import Logs
from gnomon.operations.context import Desk
from gnomon.operations.nodes import refusal
from gnomon.operations.settings import Settings, database_file, state_directory
from gnomon.operations.sightings import Sightings
from gnomon.operations.tally import Tally
from gnomon.schedules import Kinds
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock, SystemEntropy
from gnomon.system.host import user_name
from gnomon.system.streams import hold_descriptors
from gnomon.tasks import TaskTypeCatalogue

logger = logging.getLogger("gnomon")
T = TypeVar("T")
MEMORY = "sqlite:///:memory:"


@dataclass(slots=True)
class Parts:
    """What everything on one database is made of."""

    store: Store
    clock: Clock
    entropy: Entropy
    kinds: Kinds
    task_types: TaskTypes
    logs: Logs
    directory: Path
    settings: Settings
    sightings: Sightings
    tally: Tally

    def desk(self, actor: str | None = None, node_id: str = "desk") -> Desk:
        """The operations, in the name of `actor` (default: the user of this process)."""
        s = self.settings
        engine = EngineSettings(
            concurrency=s.concurrency,
            drain_timeout_s=s.drain_timeout_s,
            retention_days=s.retention_days,
            retention_runs=s.retention_runs,
            retention_audit_days=s.retention_audit_days,
            log_limit=s.log_limit,
            traces=s.values["otlp_endpoint"].value is not None,
        )
        context = Context(node_id, engine, self.kinds, self.task_types, self.entropy)
        who, channels = actor or f"cli:{user_name()}", tuple(s.alerts.channels)
        return Desk(
            *(self.store, self.clock, self.logs, context, who, s.timezone, channels),
            directory=self.directory,
            sightings=self.sightings,
        )


def registries() -> tuple[Kinds, TaskTypes]:
    """Schedule kinds and task types; enough to read job files."""
    return Kinds(), TaskTypeCatalogue()


class _Stopwatch:
    """How long the disk takes to keep a commit. Commits of one store never overlap."""

    def __init__(self, clock: Clock, tally: Tally) -> None:
        self._clock, self._tally, self._begin = clock, tally, 0.0

    def at(self, point: str) -> None:
        """Told by the store before and after."""
        if point == "before_commit":
            self._begin = self._clock.monotonic()
        elif point == "after_commit":
            self._tally.committed(self._clock.monotonic() - self._begin)


class _Untouched:
    """A store of which everything is refused but reading."""

    def __init__(self, store: Store, refused: GnomonError) -> None:
        self._refused = refused
        self.read, self.data_version, self.close = store.read, store.data_version, store.close

    def write(self, work: Callable[[Transaction], T]) -> T:
        raise self._refused


def _open(url: str, clock: Clock, upgrade: bool, stopwatch: _Stopwatch) -> Store:
    """The store, as a whole, or for reading while a scheduler works on another file that had its name."""
    path, beside = database_file(url), state_directory(url)
    refused = None if path is None else refusal(path)
    if refused is None:
        if path is not None and beside is not None and not path.exists() and (beside / "attempts").is_dir():
            told = "there is no database at %s, though there was one: what its runs left is in %s. A new one is begun"
            logger.warning(f"{told}. If the old one was moved: stop, put it back, start again", path, beside)
        return open_store(url, clock, upgrade=upgrade, on_commit=stopwatch.at)
    if upgrade:
        raise refused
    try:
        return _Untouched(open_store(f"{url.partition('?')[0]}?mode=ro", clock), refused)
    except GnomonError:
        raise refused from None


@contextlib.contextmanager
def _temporary_directory() -> Iterator[Path]:
    """Removed at the end by the process that made it: a forked child that ends must leave it to its parent."""
    place, owner = tempfile.mkdtemp(prefix="gnomon-"), os.getpid()
    try:
        yield Path(place)
    finally:
        if os.getpid() == owner:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def open_parts(settings: Settings, *, db: str | None = None, upgrade: bool = False) -> Iterator[Parts]:
    """Open the database of `settings` (or `db`), and what lies beside it.

    Args:
        upgrade: bring an older schema up to date instead of refusing it.

    Raises:
        UsageError, Unavailable: the database cannot be used; says why and what to do.
    """
    url = db or settings.db
    hold_descriptors()
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        directory = state_directory(url)
        if directory is None:
            directory = stack.enter_context(_temporary_directory())
        tally = Tally()
        store = _open(url, clock, upgrade, _Stopwatch(clock, tally))
        stack.callback(store.close)
        sightings = Sightings(store)
        stack.callback(sightings.close)
        kinds, task_types = registries()
        logs = Logs(directory / "attempts")
        yield Parts(store, clock, SystemEntropy(), kinds, task_types, logs, directory, settings, sightings, tally)
