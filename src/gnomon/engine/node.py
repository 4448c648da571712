"""One step of a scheduler node: decide, commit, act."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gnomon.core import lifecycle
from gnomon.core.attempts import Event, Executor
from gnomon.core.errors import Unavailable
from gnomon.core.handover import type_name
from gnomon.core.health import Check, Level
from gnomon.core.ports import Clock, Logs, Store, Transaction
from gnomon.core.records import NodeRecord, RunFilter, RunRecord
from gnomon.core.reports import received, unwritable
from gnomon.core.states import FINAL, State
from gnomon.core.timekeeping import SETTING, Memory, Timekeeper, clock_text
from gnomon.core.values import rfc3339

from .acts import Acts
from .alerting import Lookout
from .context import Context
from .correcting import correct
from .dispatcher import Dispatcher
from .elector import Elector
from .intake import Intake
from .janitor import PERIOD, Janitor
from .notifier import Notifier
from .performer import Performer
from .planner import Planner
from .progress import Progress
from .reaper import Reaper
from .standing import Standing

logger = logging.getLogger("gnomon")


class Inbox:
    """Where executors leave their reports, from any thread."""

    def __init__(self, wake: Callable[[], None], clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self.wake = wake

    def put(self, event: Event) -> None:
        """Take a report, through the gate."""
        judged = received(event, self._clock.now())
        if judged is None:
            logger.error("an executor reported what is no report about an attempt: a %s", type_name(event))
            return
        with self._lock:
            self._events.append(judged)
        self.wake()

    def take(self) -> list[Event]:
        with self._lock:
            events, self._events = self._events, []
            return events

    def put_back(self, events: list[Event]) -> None:
        """Events whose transaction failed: they come first next time."""
        with self._lock:
            self._events = events + self._events

    def peek(self) -> list[Event]:
        """What is there, left where it is."""
        with self._lock:
            return list(self._events)

    def __bool__(self) -> bool:
        return bool(self._events)


@dataclass(slots=True)
class Node:
    """The services of one scheduler process and the order in which they are asked.

    `dead_nodes` tells which registered nodes are known to be gone (their lock file is free). `observe` is told what
    each step did, once it is durable.
    """

    context: Context
    store: Store
    clock: Clock
    logs: Logs
    executors: Mapping[str, Executor]
    record: NodeRecord
    dead_nodes: Callable[[Collection[NodeRecord]], Collection[str]] = lambda nodes: ()
    wake: Callable[[], None] = lambda: None
    observe: Callable[[Acts], None] = lambda acts: None
    inbox: Inbox = field(init=False)
    time: Timekeeper = field(init=False)
    elector: Elector = field(init=False)
    planner: Planner = field(init=False)
    intake: Intake = field(init=False)
    progress: Progress = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    reaper: Reaper = field(init=False)
    janitor: Janitor = field(init=False)
    standing: Standing = field(init=False)
    performer: Performer = field(init=False)
    lookout: Lookout = field(init=False)
    notifier: Notifier = field(init=False)
    draining: bool = False
    startup_pending: bool = False
    _trusted: bool = True
    _set_by_s: float | None = 0.0

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.wake, self.clock)
        self.time = Timekeeper(self.record.boot_id)
        self.elector = Elector(self.context, self.record, self.time)
        self.planner = Planner(self.context)
        self.intake = Intake(self.context)
        self.progress = Progress(self.context)
        self.dispatcher = Dispatcher(self.context)
        self.reaper = Reaper(self.context, self.record.host, self.time)
        self.janitor = Janitor(self.context.settings)
        self.standing = Standing(self.context)
        self.performer = Performer(self.executors, self.clock, self.inbox.put)
        self.lookout = Lookout(self.context)
        self.notifier = Notifier(self.ring)

    def open(self) -> None:
        """Register, so that others know this node; executors may report from now on."""

        now, steady_s = self.clock.now(), self.clock.steady()

        def first(tx: Transaction) -> None:
            newest = tx.runs(RunFilter(), limit=1).items
            tx.put_node(self.record)
            memory = Memory.of(tx.setting(SETTING))
            self.time.begin(now, steady_s, memory, newest[0].created_at if newest else None)
            self._remember(tx)

        self.store.write(first)
        if not self.time.trusted:
            self._tell_of_clock()
        for executor in self.executors.values():
            executor.open(self.inbox.put)

    def ring(self) -> None:
        """A step is wanted soon. From any thread."""
        self.inbox.wake()

    def step(self) -> datetime | None:
        """Do everything that is due now; returns when the next step is needed at the latest.

        Raises:
            Unavailable: the store cannot be written; nothing was done and no report is lost.
        """
        now = self.clock.now()
        jump_s = self.time.look(now, self.clock.steady())
        if jump_s is not None or self.time.trusted != self._trusted:
            self._tell_of_clock()
        if jump_s is not None:
            self._set_by_s = (self._set_by_s or 0.0) + jump_s
        dead = set(self.dead_nodes(self.store.read(lambda r: list(r.nodes()))))
        events = self.inbox.take()
        try:
            acts = self.store.write(lambda tx: self._decide(tx, events, now, dead))
        except BaseException as error:
            self.inbox.put_back(events)
            self.elector.doubt()
            self.planner.doubt()
            self.performer.in_doubt = True
            if isinstance(error, Unavailable) or not (isinstance(error, Exception) and self._one_by_one(now)):
                raise
            return now
        self.performer.in_doubt = False
        if self.elector.leading:
            self._set_by_s = None
        if acts.started_up:
            self.startup_pending = False
        self.performer.perform(acts)
        self._observed(acts)
        self.notifier.act(now, self.elector.leading, acts)
        if self.elector.leading and self.context.settings.housekeeping:
            self._clean(now, acts)
            acts.wake(self.janitor.next_at)
        if self.inbox:
            acts.wake(now)
        return acts.wake_at

    def _decide(self, tx: Transaction, events: list[Event], now: datetime, dead: Collection[str]) -> Acts:
        """All decisions of a step, in one transaction. May be called again after a rollback."""
        acts = Acts()
        leads = self.elector.step(tx, now, dead, acts)
        if leads:
            self._remember(tx)
        ended = self.intake.step(tx, events, now, acts)
        self.reaper.step(tx, now, dead, acts)
        self.reaper.reclaim(tx, self.record, self.performer.missing(tx, self.context.node_id), now, acts)
        if self.startup_pending:
            self.planner.startup(tx, now)
            acts.started_up = True
        if leads and self._set_by_s is not None:
            correct(tx, self.context, now, self._set_by_s)
        if leads:
            ended += _expire(tx, now, acts)  # first: a run that gave up must not count as an overlap
            ended += self.planner.step(tx, now, acts)
        self.progress.step(tx, ended, now, acts)
        _arrive(tx, now, acts)
        if not self.draining:
            while over := self.progress.fanout.step(tx, now, acts):
                self.progress.step(tx, over, now, acts)
            self.dispatcher.step(tx, now, acts)
        if leads:
            self.lookout.step(tx, now, acts)
        self.notifier.step(tx, now, leads, acts)
        self._collect_cancels(tx, acts)
        return acts

    def _one_by_one(self, now: datetime) -> bool:
        """Each report in a transaction of its own, so that one that cannot be written spoils nothing else: of its
        attempt only is kept that it has ended. Whether there was one: else the reports are not why the step failed.
        """
        events, found = self.inbox.take(), False
        while events:
            try:
                found = not self._taken(events[0], now) or found
            except Unavailable:
                self.inbox.put_back(events)
                raise
            del events[0]
        return found

    def _taken(self, event: Event, now: datetime) -> bool:
        """Write one report, or what is left of it. Whether it could be written as it is."""
        rest: Event | None = event
        while rest is not None:
            try:
                acts = self.store.write(lambda tx, e=rest: self._take_in(tx, [e], now))  # type: ignore[misc]
            except Unavailable:
                raise
            except Exception as error:
                logger.exception("a report about attempt %d of run %s cannot be written", event.number, event.run_id)
                rest = unwritable(event, error, now) if rest is event else None
            else:
                self.performer.perform(acts)
                self._observed(acts)
                return rest is event
        return False

    def _take_in(self, tx: Transaction, events: list[Event], now: datetime) -> Acts:
        """Reports and what follows from them, and nothing else of a step."""
        acts = Acts()
        self.progress.step(tx, self.intake.step(tx, events, now, acts), now, acts)
        return acts

    def _observed(self, acts: Acts) -> None:
        """Whoever counts along must not keep jobs from running."""
        try:
            self.observe(acts)
        except Exception:
            logger.exception("what was done could not be counted")

    def checks(self) -> Iterable[Check]:
        """What is wrong with the clock, and with what was decided by it."""
        if not self.time.trusted:
            text = clock_text(self.time.set_at, self.time.set_by_s)
            yield Check("clock", Level.DEGRADED, text, self.time.set_at)
        yield from self.standing.checks()

    def _clean(self, now: datetime, acts: Acts) -> None:
        """Housekeeping; it may fail (a log that cannot be removed) without keeping jobs from running."""
        try:
            self.janitor.step(self.store, self.logs, now, self.time, self.clock.monotonic)
            self.janitor.sweep(self.store, self.executors.values(), now, self.time.steady_s)
            if self.standing.step(self.store, now, self.time.steady_s):
                acts.wake(now)
        except Exception as error:
            logger.warning("housekeeping failed, trying again in a minute: %s", error)
            self.janitor.next_at = now + PERIOD

    def _collect_cancels(self, tx: Transaction, acts: Acts) -> None:
        running = {run.id: run for run in tx.cancelling(1000) if run.state is State.RUNNING}
        for attempts in tx.attempts(running.keys()).values() if running else ():
            for a in attempts:
                if a.outcome is None and a.node_id == self.context.node_id:
                    acts.cancel.append((a.executor, a.run_id, a.number))

    def _remember(self, tx: Transaction) -> None:
        """For the next process on this database, and for whoever asks how we are: how the clock stands. The one that
        plans does it: each notices a moment of its own, and two would correct each other for ever."""
        kept = Memory.of(tx.setting(SETTING))
        if kept is None or kept.stale(self.time):
            tx.put_setting(SETTING, self.time.memory().text())

    def _tell_of_clock(self) -> None:
        """Once for each time it was set, and when it is believed again."""
        self.standing.again()
        self._trusted = self.time.trusted
        if self._trusted:
            logger.info("the clock is believed again: what is too old is removed again")
        else:
            logger.error("%s", clock_text(self.time.set_at, self.time.set_by_s))

    def leave(self) -> None:
        """Stop owning anything: what still runs goes on and waits for a successor."""
        for executor in self.executors.values():
            executor.detach()
        now, leading = self.clock.now(), self.elector.leading
        self._one_by_one(now)

        def last(tx: Transaction) -> Acts:
            acts = Acts()
            self.notifier.step(tx, now, False, acts)
            if leading:
                self._remember(tx)
            self.elector.leave(tx, now)
            return acts

        for line in self.store.write(last).log:
            logger.log(line.level, "%s", line.text, extra={"about": line.about})


def _expire(tx: Transaction, now: datetime, acts: Acts) -> list[RunRecord]:
    """Skip what has not started by its deadline; what waited in vain for upstreams has failed."""
    late = tx.expiring(now, 1000)
    changes = [(_expired(run, now), run.state) for run in late]
    refused = set(tx.update_runs(changes)) if changes else set()
    acts.wake(tx.next_deadline_at())
    return [run for run, _ in changes if run.state in FINAL and run.id not in refused]


def _expired(run: RunRecord, now: datetime) -> RunRecord:
    if run.state is State.WAITING and run.schedule_id is not None:
        text = f"waited until {rfc3339(run.deadline_at)} for {run.waiting_for or 'its upstreams'}"
        return lifecycle.fail(run, now, "dependencies_not_met", text)
    return lifecycle.skip(run, now, "deadline", f"not started by its start_deadline, {rfc3339(run.deadline_at)}")


def _arrive(tx: Transaction, now: datetime, acts: Acts) -> None:
    """Bring to the queue what waited for its time."""
    arriving = tx.arriving(now, 1000)
    if arriving:
        tx.update_runs([(lifecycle.arrive(run, now), run.state) for run in arriving])
    acts.wake(tx.next_available_at())
