"""A node at work."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gnomon.core.alerts import SETTING
from gnomon.core.errors import GnomonError
from gnomon.core.health import Health, Level
from gnomon.core.keys import ID_BITS, time_ordered_id
from gnomon.core.ports import Transaction
from gnomon.core.records import NodeRecord, RunFilter
from gnomon.core.states import ACTIVE
from gnomon.core.version import __version__
from gnomon.engine.acts import Acts
from gnomon.engine.loop import Loop
from gnomon.engine.node import Node
from gnomon.jobfiles.directory import DirectoryWatcher
from gnomon.operations.context import Desk
from gnomon.operations.files import FileDesk, owned_paths, unwatched, watched_by_nobody
from gnomon.operations.nodes import join_nodes
from gnomon.operations.runs import cancel_run
from gnomon.operations.settings import database_file, state_directory
from gnomon.operations.zonedata import note_zone_data
from gnomon.schedules import tzdata_versions
from gnomon.system.filelock import HeldLock
from gnomon.system.host import boot_id, host_name
from gnomon.system.peers import Peers

from .courier import Post
from .executors import Embedding, make_executors
from .parts import Parts
from .tracing import Traces
from .unreported import Unreported
from .vitals import Vitals
from .watchdog import Watchdog

logger = logging.getLogger("gnomon")
_FIRST_LOOK_S = 0.02
_LOOKS_BEFORE_START_UP = 50
"""A node that does not lead within a second has its start-up jobs from the one that does."""


@dataclass(slots=True)
class Running:
    """A node at work: its loop in a thread of its own, the job files in another."""

    parts: Parts
    node: Node
    loop: Loop
    desk: Desk
    files: FileDesk | None
    lasting: bool
    vitals: Vitals
    watchdog: Watchdog
    daemon: bool = False
    post: Post | None = None
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self.watchdog.start()
        self.parts.store.write(self._declare)
        note_zone_data(self.desk, tzdata_versions()[0] or "unknown")
        self.node.open()
        self._threads.append(threading.Thread(target=self._guarded, args=(self.loop.run,), name="gnomon-engine"))
        if self.files is not None:
            self._threads.append(threading.Thread(target=self._guarded, args=(self._watch,), name="gnomon-files"))
        else:
            self.node.startup_pending = True
            if lost := watched_by_nobody(unwatched(self.desk)):
                logger.warning("%s", lost)
        for thread in self._threads:
            thread.daemon = self.daemon
            thread.start()

    def _declare(self, tx: Transaction) -> None:
        """What the settings say, for every process on this database. An application that says nothing of alerts
        leaves what others said."""
        settings = self.parts.settings
        tx.put_pools(settings.pools, "settings")
        if self.post is not None and (settings.alerts.given or not self.daemon):
            tx.put_setting(SETTING, json.dumps(settings.alerts.general.view()))

    def drain(self) -> None:
        """Claim nothing more; what runs may end."""
        self.node.draining = True
        self._stop.set()
        self.loop.wake()

    def idle(self) -> bool:
        """Nothing of this node runs."""
        return self.parts.store.read(lambda r: r.live_count(self.node.context.node_id)) == 0

    def cancel_all(self) -> None:
        """Ask every run that is not over to stop."""
        page = self.parts.store.read(lambda r: r.runs(RunFilter(states=tuple(ACTIVE)), limit=100_000))
        for run in page.items:
            with contextlib.suppress(GnomonError):
                cancel_run(self.desk, run.id)
        self.loop.wake()

    def stop(self) -> None:
        """End the threads and leave; running commands go on (unless the database does not outlive us)."""
        self._stop.set()
        self.loop.stop()
        for thread in self._threads:
            thread.join()
        self.watchdog.stop()
        if self.post is not None:
            self.post.close()
        self.node.leave()

    def _watch(self) -> None:
        """Look at the job files until stopped. A failure costs one look: the next one finds the same changes."""
        assert self.files is not None
        looks, started_up, failing, known = 0, False, False, False
        while not self._stop.is_set():
            leading = self.node.elector.leading
            try:
                applied = self.files.look(leading)
                failing = False
            except Exception as error:
                applied = False
                if not failing:
                    logger.error("looking at the job files failed, trying again: %s", error)
                failing = True
            looks += 1
            known = known or applied
            read = known and not self.files.watcher.settling
            if not started_up and (read or looks > _LOOKS_BEFORE_START_UP):
                self.node.startup_pending = started_up = True  # now its start-up jobs are known
                self.loop.wake()
            elif applied:
                self.loop.wake()
            soon = not started_up and not failing
            self._stop.wait(_FIRST_LOOK_S if soon else 1.0 if failing else self.files.watcher.next_wait())

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.failure = error
            self.loop.stop()
            self._stop.set()
            logger.critical("stopping: %s", error, exc_info=error)


@contextlib.contextmanager
def running(
    parts: Parts, *, jobs: Path | None, embedding: Embedding | None = None, alerts: bool = True
) -> Iterator[Running]:
    """A node on `parts`, registered and locked but not started. On leaving it is stopped.

    Args:
        jobs: the directory or file to watch, or None.
        embedding: what the application around it brings along, if there is one.
        alerts: people are told of what goes wrong.
    """
    now = parts.clock.now()
    lasting = parts.settings.placed and state_directory(parts.settings.db) == parts.directory
    host = host_name()
    node_id = f"{host}-{os.getpid()}-{time_ordered_id(now, parts.entropy.bits(ID_BITS))[-4:]}"
    desk = parts.desk("scheduler", node_id)
    if embedding is not None:
        desk.engine.own_queues = embedding.queues
        desk.engine.routes = embedding.routes
    with contextlib.ExitStack() as stack:
        peers: Peers | None = None
        lock: HeldLock | None = None
        if lasting:
            database = database_file(parts.settings.db)
            assert database is not None
            lock = join_nodes(database, node_id)
            stack.callback(lock.release)
            peers = Peers(node_id, host, boot_id())
        record = NodeRecord(
            node_id=node_id,
            host=host,
            pid=os.getpid(),
            boot_id=boot_id(),
            lock_path=None if lock is None else lock.path,
            started_at=now,
            lease_until=now + timedelta(seconds=desk.engine.settings.lease_s),
            concurrency=desk.engine.settings.concurrency,
            version=__version__,
        )
        executors = make_executors(parts, node_id, embedding or Embedding())
        node = Node(desk.engine, parts.store, parts.clock, parts.logs, executors, record)
        loop = Loop(node, parts.store, parts.clock)
        node.inbox.wake = loop.wake
        node.observe = _observer(parts, node_id, stack)
        if peers is not None:
            node.dead_nodes, loop.peers_changed = peers.dead, peers.changed
        files = None if jobs is None else FileDesk(desk, _watcher(parts, jobs))
        post = _post(parts, node) if alerts else None
        unreported = Unreported(parts.store, parts.clock, node_id)
        vitals = Vitals(
            node_id,
            (loop, node, parts.store, *executors.values(), files, unreported, *logger.handlers),
            parts.clock,
            lock,
        )
        watchdog = Watchdog(
            parts.desk("watchdog"), vitals, looks=unreported.look, tell=_teller(parts, node, vitals, post)
        )
        work = Running(parts, node, loop, desk, files, lasting, vitals, watchdog, embedding is not None, post)
        try:
            yield work
        finally:
            work.stop()


def _observer(parts: Parts, node_id: str, stack: contextlib.ExitStack) -> Callable[[Acts], None]:
    """Counts what each step did, and traces it if a collector is named."""
    endpoint = parts.settings.values["otlp_endpoint"].value
    if endpoint is None:
        return lambda acts: parts.tally.ended(acts.over, acts.skipped)
    traces = Traces(str(endpoint), parts.store, node_id)
    stack.callback(traces.close)

    def observe(acts: Acts) -> None:
        parts.tally.ended(acts.over, acts.skipped)
        traces.ended(acts.over)

    return observe


def _post(parts: Parts, node: Node) -> Post:
    """What carries alerts and pings, given to the node."""
    told = parts.settings.alerts
    post = Post(told.channels, parts.store, parts.logs)
    node.notifier.courier = post
    node.notifier.heartbeat, node.notifier.heartbeat_s = told.heartbeat, told.heartbeat_s
    return post


def _teller(parts: Parts, node: Node, vitals: Vitals, post: Post | None) -> Callable[[Health], None]:
    """Tells people how the scheduler is: of several, the one that plans; of itself, each."""

    def tell(verdict: Health) -> None:
        own = any(check.level is Level.FAILING for check in vitals.checks())
        if post is not None and (own or node.elector.leading):
            post.tell(verdict, parts.settings.alerts.general.channels)

    return tell


def _watcher(parts: Parts, jobs: Path) -> DirectoryWatcher:
    return DirectoryWatcher(
        jobs,
        parts.kinds,
        parts.task_types,
        monotonic=parts.clock.monotonic,
        wall=lambda: parts.clock.now().timestamp(),
        default_timezone=parts.settings.timezone,
        owned=parts.store.read(owned_paths),
    )
