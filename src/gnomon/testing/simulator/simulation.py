"""One seeded history of a deployment."""

from __future__ import annotations

import contextlib
import random  # noqa: TID251 - the seed decides everything here
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from gnomon.core.errors import GnomonError, Problem, Unavailable
from gnomon.core.fanout import PARENTS
from gnomon.core.model import Job
from gnomon.core.ports import Reader, Store
from gnomon.core.records import NodeRecord, RunFilter, RunRecord
from gnomon.core.states import ACTIVE, State
from gnomon.core.tasks import TaskTypeRegistry
from gnomon.engine.context import Context
from gnomon.engine.node import Node
from gnomon.engine.settings import EngineSettings
from gnomon.operations.context import Desk
from gnomon.operations.jobs import pause_job, resume_job
from gnomon.operations.runs import cancel_run, retry_run, start_run
from gnomon.operations.schedules import pause_schedule, resume_schedule
from gnomon.schedules import Kinds
from gnomon.stores.memory import MemoryStore
from gnomon.system.clock import SeededEntropy, VirtualClock
from gnomon.tasks import BUILTIN

from .author import POOL, ROOTS, Author
from .bugs import BUGS, Bug
from .checks import Checks
from .clocks import Settings, Watched
from .oracle import Oracle
from .parts import Violation, demand
from .retention import nobody_misses, taken
from .telling import SimCourier, SimPost
from .world import SimExecutor, World

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
T = TypeVar("T")
PATIENCE = 200
"""Looks after which an attempt that still goes on, though nothing is at work, will never end."""

__all__ = ["Simulation", "Violation"]


class Crash(BaseException):
    """The node dies here. Not an `Exception`: nobody handles a power cut."""


@dataclass(slots=True)
class Actor:
    """A simulated scheduler process."""

    node: Node
    executor: SimExecutor
    courier: SimCourier
    frozen: bool = False


class NoLogs:
    """Nobody prints anything."""

    def read(self, run_id: str, number: int, offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, int]:
        return b"", offset

    def size(self, run_id: str, number: int) -> int:
        return 0

    def delete(self, run_id: str, number: int) -> None:
        pass

    def kept(self, part: int, before: datetime) -> Sequence[tuple[str, int]]:
        return ()


class Simulation:
    """A deployment of up to three nodes on one store, driven by `seed` alone.

    Args:
        seed: the same seed plays the same history.
        bug: name of a guard to take out (`BUGS`), or None.
        wide: whether the parts add their work (`parts`); None: for every even seed.
        clocks: whether somebody sets the clock ahead too, and nodes leave in order; None: if the bug is one of that.
        retention: whether it is asked after steps what retention would remove; None: if the bug is one of that.
    """

    def __init__(
        self,
        seed: int,
        bug: str | None = None,
        *,
        wide: bool | None = None,
        clocks: bool | None = None,
        retention: bool | None = None,
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.clock = VirtualClock(BEGIN)
        self.entropy = SeededEntropy(seed)
        self.crashing = False
        self.crash_ratio = self.random.choice([0.0, 0.03, 0.15])
        self.power_ratio = self.random.choice([0.0, 0.5, 1.0])
        store: Store = MemoryStore(self.clock, on_commit=self._failpoint)
        self.bug = Bug() if bug is None else BUGS[bug]
        self.clocks = self.bug.clocks if clocks is None else clocks
        self.retention = self.bug.retention if retention is None else retention
        self.set = Settings(self.clock)
        self.store = self.bug.store(Watched(store, self.set) if self.clocks else store)
        self.kinds, self.task_types = Kinds(), TaskTypeRegistry(BUILTIN)
        self.world, self.oracle = World(self.clock), Oracle()
        self.settings = EngineSettings(concurrency=self.random.choice([1, 2, 5]), lease_s=30.0)
        self.desk = Desk(self.store, self.clock, NoLogs(), self._context("desk"), "person")
        self.actors: list[Actor] = []
        self.post = SimPost(seed)
        self.dead: set[str] = set()
        self.names = 0
        self.wide = seed % 2 == 0 if wide is None else wide
        self.author = Author(self.random, self.desk, self.oracle, BEGIN, wide=self.wide)
        self.definitions: dict[tuple[str, int], Job] = {}
        self.checks = Checks(self.world, self.oracle, self.settings.concurrency, POOL, self._definition)
        self.history: list[str] = []

    def run(self, steps: int = 120) -> None:
        """Play; raise `Violation` at the first thing that must not be.

        Raises:
            Violation: an invariant does not hold.
        """
        with self.bug.patch():
            self._play(steps)

    def _play(self, steps: int) -> None:
        self.author.begin()
        for part in self.checks.parts if self.wide else ():
            part.begin(self.author)
        self._start_node()
        weights = [self.random.randint(1, 10) for _ in self._moves()]
        for _ in range(steps):
            move = self.random.choices(self._moves(), weights)[0]
            self.history.append(move.__name__)
            move()
        self._heal()

    # ---- moves ---------------------------------------------------------------------------------

    def _moves(self) -> list[Callable[[], None]]:
        return [
            self._tick,
            self._tick,
            self._alternate,
            self._spawn,
            self._finish,
            self._pass_time,
            self._kill_node,
            self._start_node,
            self._freeze,
            self._thaw,
            self._vanish,
            self._jump_back,
            self._person,
            self._redeliver,
            *([self._jump_ahead, self._jump_home, self._leave] if self.clocks else []),
        ]

    def _tick(self) -> None:
        actor = self._one_of([a for a in self.actors if not a.frozen])
        if actor is not None:
            self._step(actor)

    def _alternate(self) -> None:
        """All nodes in turn, for a while."""
        for _ in range(3):
            for actor in list(self.actors):
                if not actor.frozen:
                    self._step(actor)

    def _step(self, actor: Actor) -> None:
        self.crashing = True
        try:
            actor.node.step()
        except Crash:
            self._bury(actor)
        except Unavailable:
            pass
        except Exception as error:
            raise Violation(f"a step of {actor.node.context.node_id} raised {error!r}") from error
        finally:
            self.crashing = False
        demand(not self.set.broken, self.set.broken)
        actor.courier.carry()
        self.store.read(lambda r: self.checks.after_step(r, actor.executor.reported))
        if self.retention:
            self._ask_retention()

    def _ask_retention(self) -> None:
        runs = self.checks.runs
        edges = {run.job_id: [needed.job for needed in self._definition(run).depends_on] for run in runs.values()}
        nobody_misses(taken(self.store, self.clock.now(), runs), runs, edges)

    def _spawn(self) -> None:
        actor = self._one_of([a for a in self.actors if not a.frozen and a.executor.pending])
        if actor is not None:
            actor.executor.spawn_one()

    def _finish(self) -> None:
        key = self._one_of(self.world.alive())
        if key is not None:
            if self.random.random() < 0.1:
                self.world.time_out(key)
            else:
                self.world.finish(key, self.random.choice([0, 0, 1]))

    def _pass_time(self) -> None:
        self.clock.advance(self.random.choice([0.001, 1.0, 7.0, 20.0, 31.0, 60.0, 900.0]))
        self.author.latest = max(self.author.latest, self.clock.now())

    def _kill_node(self) -> None:
        actor = self._one_of(self.actors)
        if actor is not None:
            self._bury(actor)

    def _start_node(self) -> None:
        if len(self.actors) >= 3:
            return
        self.names += 1
        context = self._context(f"node{self.names}")
        now = self.clock.now()
        record = NodeRecord(
            context.node_id,
            "host",
            self.names,
            "boot",
            None,
            now,
            now + timedelta(seconds=30),
            self.settings.concurrency,
            "0",
        )
        executor = SimExecutor(self.world)
        node = Node(
            context, self.store, self.clock, NoLogs(), {"commands": executor}, record, lambda nodes: set(self.dead)
        )
        node.open()
        node.notifier.courier = courier = SimCourier(self.post)
        self.actors.append(Actor(node, executor, courier))

    def _freeze(self) -> None:
        actor = self._one_of(self.actors)
        if actor is not None:
            actor.frozen = True

    def _thaw(self) -> None:
        actor = self._one_of([a for a in self.actors if a.frozen])
        if actor is not None:
            actor.frozen = False

    def _vanish(self) -> None:
        key = self._one_of(self.world.alive())
        if key is not None and self.random.random() < 0.3:
            self.world.vanish(key)

    def _jump_back(self) -> None:
        if self.random.random() < 0.2:
            self.set.jump(-self.random.choice([0.5, 30.0, 3600.0]))

    def _jump_ahead(self) -> None:
        if self.random.random() < 0.3 and self.set.ahead_s < 60:
            self.set.jump(self.random.choice([30.0, 600.0, 1800.0]))
            self.author.latest = max(self.author.latest, self.clock.now())

    def _jump_home(self) -> None:
        """The clock is set right."""
        if self.random.random() < 0.5:
            self.set.jump(-self.set.ahead_s)

    def _leave(self) -> None:
        """A node stops in order."""
        actor = self._one_of([a for a in self.actors if not a.frozen])
        if actor is not None and self.random.random() < 0.3:
            actor.node.leave()
            name = actor.node.context.node_id
            self._bury(actor)
            if any(n.node_id == name and n.stopped_at for n in self.store.read(lambda r: list(r.nodes()))):
                self.dead.discard(name)  # nobody asks for the lock of a node that has stopped

    def _redeliver(self) -> None:
        """An old report arrives once more, perhaps at a node that has lost the attempt."""
        actor = self._one_of([a for a in self.actors if a.executor.reported])
        if actor is not None:
            actor.node.inbox.put(self.random.choice(actor.executor.reported))

    def _person(self) -> None:
        """Somebody asks for something; refusals are fine."""
        runs = self.store.read(lambda r: r.runs(RunFilter(), limit=20)).items
        job_id = self.random.choice(ROOTS)
        schedule_id = f"{job_id}:{self.random.choice('xy')}"
        run = self.random.choice(runs).id if runs else "none"
        wishes: list[Callable[[], object]] = [
            lambda: pause_job(self.desk, job_id),
            lambda: resume_job(self.desk, job_id),
            lambda: start_run(self.desk, job_id),
            lambda: cancel_run(self.desk, run),
            lambda: retry_run(self.desk, run),
            lambda: self.author.define(job_id),
            lambda: self.author.retire(job_id),
            lambda: self.author.bring_back(job_id),
            lambda: pause_schedule(self.desk, schedule_id),
            lambda: resume_schedule(self.desk, schedule_id),
            lambda: pause_job(self.desk, self.random.choice(["below", "always"])),
            lambda: resume_job(self.desk, self.random.choice(["below", "always"])),
        ]
        with contextlib.suppress(GnomonError):
            self.random.choice(wishes)()
        self.store.read(lambda r: self.checks.after_step(r, ()))

    # ---- the end -------------------------------------------------------------------------------

    def _heal(self) -> None:
        """No more faults: one node (new, or one that lived through it all), everything resumed; all work must end."""
        self.crash_ratio, self.post.well = 0.0, True
        survivor = self._one_of(self.actors) if self.random.random() < 0.5 else None
        for actor in list(self.actors):
            if actor is not survivor:
                self._bury(actor)
            actor.frozen = False
        if self.clocks:
            survivor = self._somebody_leads(survivor)
        self.clock.jump((max(self.author.latest, self.clock.now()) - self.clock.now()).total_seconds())
        self.clock.advance(61)
        with contextlib.suppress(GnomonError):
            for job_id in self.author.known:
                self.author.bring_back(job_id)
        for job_id in self.author.known:
            resume_job(self.desk, job_id)
        for schedule_id in self.oracle.segments:
            if self.store.read(lambda r, s=schedule_id: r.schedule(s)) is not None:  # type: ignore[misc]
                resume_schedule(self.desk, schedule_id)
        if survivor is None:
            self._start_node()
        begun: dict[tuple[str, int], int] = {}
        for number in range(2000):
            self._settle()
            cursors = self.store.read(lambda r: [e for s in self.oracle.segments if (e := r.schedule(s))])
            behind = [e for e in cursors if e.cursor is not None and e.cursor <= self.clock.now()]
            if not behind and self._all_over() and not self.store.read(lambda r: r.pending_deliveries(1)):
                break
            if self._stuck(begun, number):
                break
            self.clock.advance(5.0 if self.wide else 0.5)  # rates drain slowly
        now = self.clock.now()
        self.store.read(lambda r: self.checks.at_end(r, now))
        for part in self.checks.parts:
            self.store.read(lambda r, part=part: part.at_end(r, now, self.post))  # type: ignore[misc]

    def _somebody_leads(self, survivor: Actor | None) -> Actor:
        """Two leases later whoever lives plans, wherever the clock stands."""
        if survivor is None:
            self._start_node()
        (actor,) = self.actors
        for _ in range(3):
            self._step(actor)
            self.clock.advance(31)
        leader = self.store.read(lambda r: r.leader())
        lives = leader is not None and leader.node_id == actor.node.context.node_id
        demand(lives, f"nobody plans: the lead is still that of {leader}")
        return actor

    def _settle(self) -> None:
        """Let everything that can happen without time passing happen."""
        for _ in range(50):
            actor = self.actors[0]
            before = (self.store.data_version(), len(actor.node.inbox.peek()))
            self._tick()
            while actor.executor.pending:
                actor.executor.spawn_one()
            for key in self.world.alive():
                self.world.finish(key, 0)
            if before == (self.store.data_version(), len(actor.node.inbox.peek())):
                return

    def _all_over(self) -> bool:
        page = self.store.read(lambda r: r.runs(RunFilter(states=tuple(ACTIVE)), limit=100))
        return all(self.checks.may_wait(run, self.clock.now()) for run in page.items)

    def _stuck(self, begun: dict[tuple[str, int], int], number: int) -> bool:
        """Whether an attempt goes on though all that was at work has ended. `begun`: when each was first seen."""
        page = self.store.read(lambda r: r.runs(RunFilter(states=(State.RUNNING,)), limit=100))
        attempts = [(run.id, run.attempts) for run in page.items if run.queue != PARENTS]
        return any(number - begun.setdefault(attempt, number) > PATIENCE for attempt in attempts)

    # ---- parts ---------------------------------------------------------------------------------

    def _context(self, node_id: str) -> Context:
        return Context(node_id, self.settings, self.kinds, self.task_types, self.entropy)

    def _definition(self, run: RunRecord) -> Job:
        key = run.job_id, run.version
        if key not in self.definitions:

            def ask(reader: Reader) -> Job | None:
                return reader.definition(*key)

            found = self.store.read(ask)
            if found is None:
                raise Violation(f"I2: run {run.id} has no definition {key}")
            self.definitions[key] = found
        return self.definitions[key]

    def _bury(self, actor: Actor) -> None:
        actor.executor.detach()
        self.actors.remove(actor)
        self.dead.add(actor.node.context.node_id)

    def _failpoint(self, where: str) -> None:
        """Around a commit the power fails, or the disk does (then the node lives on, and may not know if it counts)."""
        if self.crashing and self.random.random() < self.crash_ratio:
            if self.random.random() >= self.power_ratio:
                self.history.append(f"unavailable {where}")
                raise Unavailable(Problem("simulated", f"the disk failed {where}"))
            self.history.append(f"crash {where}")
            raise Crash

    def _one_of(self, items: Sequence[T]) -> T | None:
        return self.random.choice(items) if items else None
