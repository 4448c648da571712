"""The machine of a simulation: processes that go on when the scheduler that started them dies."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Failure, Handle, Outcome, Sink, Started
from gnomon.core.ports import Clock

Key = tuple[str, int]


_GIVEN: tuple[object, ...] = (None, None, {"rows": 3}, math.inf, {"x": [-math.inf]}, "\ud800", {1}, 10**5000)


def given(key: Key) -> object:
    """What an attempt hands over as its result; some of it cannot be kept."""
    return _GIVEN[zlib.crc32(f"{key}".encode()) % len(_GIVEN)]


@dataclass(slots=True)
class Process:
    """What one attempt is on this machine. `claimed`: it began, or was revoked and never will."""

    spec: AttemptSpec
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    revoked: bool = False
    vanished: bool = False
    stopping: str | None = None

    @property
    def alive(self) -> bool:
        return self.started_at is not None and self.finished_at is None and not self.vanished


@dataclass(slots=True)
class World:
    """All processes, alive or not, how often each attempt began, and why it was stopped, whoever remembers that."""

    clock: Clock
    processes: dict[Key, Process] = field(default_factory=dict)
    begun: dict[Key, int] = field(default_factory=dict)
    stopped: dict[Key, str] = field(default_factory=dict)
    watchers: list[SimExecutor] = field(default_factory=list)

    def spawn(self, spec: AttemptSpec) -> bool:
        """Begin unless the attempt is claimed; what the claim file of a real command does."""
        key = spec.run_id, spec.number
        if key in self.processes:
            return False
        self.processes[key] = Process(spec, started_at=self.clock.now())
        self.begun[key] = self.begun.get(key, 0) + 1
        return True

    def alive(self) -> list[Key]:
        """Attempts whose process runs."""
        return [key for key, process in self.processes.items() if process.alive]

    def finish(self, key: Key, exit_code: int) -> None:
        """The process ends by itself (or because it was told to stop)."""
        process = self.processes[key]
        process.finished_at, process.exit_code = self.clock.now(), exit_code
        self._tell(key)

    def time_out(self, key: Key) -> None:
        """It took too long and was stopped."""
        self.stop(key, "timed_out")
        self.finish(key, -9)

    def stop(self, key: Key, why: str) -> None:
        """Somebody wrote down that it is to end, and why; the first word stands."""
        process = self.processes[key]
        process.stopping = process.stopping or why
        self.stopped.setdefault(key, why)

    def vanish(self, key: Key) -> None:
        """The process is gone without a trace (killed with its supervisor, or by a reboot)."""
        self.processes[key].vanished = True
        self._tell(key)

    def _tell(self, key: Key) -> None:
        for watcher in self.watchers:
            watcher.noticed(key)


class SimExecutor:
    """Performs attempts in a `World`. Implements `gnomon.core.attempts.Executor` for one simulated node.

    `start` only puts attempts on a list: the simulation decides when `spawn_one` begins them, so that a node can
    freeze or die between its commit and the beginning of its work.
    """

    name = "commands"

    def __init__(self, world: World) -> None:
        self.world = world
        self.pending: list[AttemptSpec] = []
        self.tokens: dict[Key, AttemptSpec] = {}
        self.reported: list[Ended] = []
        self._sink: Sink | None = None
        world.watchers.append(self)

    def open(self, sink: Sink) -> None:
        self._sink = sink

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        self.pending += specs

    def spawn_one(self) -> None:
        """Begin the oldest attempt that was handed over."""
        if not self.pending:
            return
        spec = self.pending.pop(0)
        key = spec.run_id, spec.number
        self.tokens[key] = spec
        if self.world.spawn(spec):
            self._started(key)
        else:
            self._never(key)

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        for orphan in orphans:
            key = orphan.spec.run_id, orphan.spec.number
            self.tokens[key] = orphan.spec
            process = self.world.processes.get(key)
            if process is None:
                self.world.processes[key] = Process(orphan.spec, revoked=True)
                self._never(key)
            elif process.revoked:
                self._never(key)
            elif process.alive:
                self._started(key)
            else:
                self.noticed(key)

    def cancel(self, run_id: str, number: int) -> None:
        process = self.world.processes.get((run_id, number))
        if process is not None and process.alive:
            self.world.stop((run_id, number), "cancelled")

    def forget(self, run_id: str, number: int) -> None:
        self.tokens.pop((run_id, number), None)

    def leftovers(self, before: datetime) -> Sequence[Key]:
        return ()

    def detach(self) -> None:
        """The node is gone: nothing is watched, nothing that was not begun will be."""
        self._sink = None
        self.pending.clear()
        if self in self.world.watchers:
            self.world.watchers.remove(self)

    def noticed(self, key: Key) -> None:
        """A process this executor watches has ended."""
        spec, process = self.tokens.get(key), self.world.processes.get(key)
        if spec is None or process is None or process.alive or process.revoked:
            return
        now = self.world.clock.now()
        if process.vanished:
            lost = Failure("lost", "the process vanished")
            self._end(Ended(*key, spec.token, Outcome.LOST, now, process.started_at, error=lost))
            return
        outcome = Outcome.SUCCEEDED if process.exit_code == 0 else Outcome.FAILED
        if process.stopping is not None:
            outcome = Outcome.TIMED_OUT if process.stopping == "timed_out" else Outcome.CANCELLED
        end = process.finished_at or now
        error = None if outcome is Outcome.SUCCEEDED else Failure("exit_code", f"exit code {process.exit_code}")
        more: dict[str, Any] = {"error": error, "result": given(key)}
        self._end(Ended(*key, spec.token, outcome, end, process.started_at, 0.0, process.exit_code, **more))

    def _started(self, key: Key) -> None:
        process, spec = self.world.processes[key], self.tokens[key]
        if self._sink is not None and process.started_at is not None:
            self._sink(Started(*key, spec.token, process.started_at, Handle("sim")))

    def _never(self, key: Key) -> None:
        now, token = self.world.clock.now(), self.tokens[key].token
        self._end(Ended(*key, token, Outcome.LOST, now, never_started=True))

    def _end(self, ended: Ended) -> None:
        self.reported.append(ended)
        if self._sink is not None:
            self._sink(ended)
