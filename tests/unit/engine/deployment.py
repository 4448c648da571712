"""A deployment in one process and virtual time, stepped by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Failure, Handle, Outcome, Sink, Started
from gnomon.core.errors import Problem, Unavailable
from gnomon.core.model import Job, Task
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import NodeRecord, RunFilter, RunRecord, SkipRecord, Source, SourceKind
from gnomon.core.rules import ScheduleSpec
from gnomon.core.tasks import TaskTypeRegistry
from gnomon.engine.context import Context
from gnomon.engine.node import Node
from gnomon.engine.settings import EngineSettings
from gnomon.operations.context import Desk
from gnomon.operations.definitions import upsert
from gnomon.schedules import Kinds
from gnomon.stores.memory import MemoryStore
from gnomon.system.clock import SeededEntropy, VirtualClock
from gnomon.tasks import BUILTIN

T = TypeVar("T")
BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
PYTHON = Source(SourceKind.PYTHON)


class FakeExecutor:
    """Remembers what it was told; the test says what comes back."""

    name = "commands"

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.started: list[AttemptSpec] = []
        self.adopted: list[Adoption] = []
        self.cancelled: list[tuple[str, int]] = []
        self.forgotten: list[tuple[str, int]] = []
        self.raises: Exception | None = None

    def open(self, sink: Sink) -> None:
        self.sink = sink

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        if self.raises is not None:
            raise self.raises
        self.started += specs

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        self.adopted += orphans

    def cancel(self, run_id: str, number: int) -> None:
        self.cancelled.append((run_id, number))

    def forget(self, run_id: str, number: int) -> None:
        self.forgotten.append((run_id, number))

    def detach(self) -> None:
        self.sink = None

    def leftovers(self, before: datetime) -> Sequence[tuple[str, int]]:
        return ()


class KeptLogs:
    """Logs that remember what was deleted."""

    def __init__(self) -> None:
        self.deleted: list[tuple[str, int]] = []
        self.orphans: list[tuple[str, int]] = []
        self.raises: Exception | None = None

    def read(self, run_id: str, number: int, offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, int]:
        return b"", offset

    def size(self, run_id: str, number: int) -> int:
        return 0

    def delete(self, run_id: str, number: int) -> None:
        if self.raises is not None:
            raise self.raises
        self.deleted.append((run_id, number))
        self.orphans = [one for one in self.orphans if one != (run_id, number)]

    def kept(self, part: int, before: datetime) -> Sequence[tuple[str, int]]:
        return self.orphans if part == 7 else ()


class Flaky:
    """A store that can fail before a commit, in it, or after it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.fails: str | None = None
        self.afterwards: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, work: Callable[[Transaction], T]) -> T:
        if self.fails == "before":
            raise Unavailable(Problem("disk_full", "no space left"))
        if self.fails == "rolled back":
            return self._store.write(lambda tx: self._refused(work, tx))
        answer = self._store.write(work)
        if self.afterwards is not None:
            self.afterwards()
        if self.fails == "after":
            raise Unavailable(Problem("io_error", "was it written?"))
        return answer

    @staticmethod
    def _refused(work: Callable[[Transaction], T], tx: Transaction) -> T:
        work(tx)
        raise Unavailable(Problem("disk_full", "no space left"))


@dataclass
class Deployment:
    """One store, one clock, any number of nodes."""

    settings: EngineSettings = field(default_factory=EngineSettings)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(BEGIN))
    dead: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.store = Flaky(MemoryStore(self.clock))
        self.kinds, self.types = Kinds(), TaskTypeRegistry(BUILTIN)
        self.logs = KeptLogs()
        self.entropy = SeededEntropy(1)
        self.desk = Desk(self.store, self.clock, self.logs, self.context("desk"), "alice")

    def context(self, node_id: str) -> Context:
        return Context(node_id, self.settings, self.kinds, self.types, self.entropy)

    def node(self, node_id: str = "n1", host: str = "host") -> tuple[Node, FakeExecutor]:
        now, executor = self.clock.now(), FakeExecutor()
        lease = now + timedelta(seconds=self.settings.lease_s)
        record = NodeRecord(node_id, host, 1, "boot", None, now, lease, self.settings.concurrency, "0")
        node = Node(
            self.context(node_id),
            self.store,
            self.clock,
            self.logs,
            {"commands": executor},
            record,
            lambda nodes: set(self.dead),
        )
        node.open()
        return node, executor

    # ---- definitions ---------------------------------------------------------------------------

    def spec(self, value: object) -> ScheduleSpec:
        return self.kinds.parse(value, default_timezone="UTC", job_id="j")

    def job(self, job_id: str, *schedules: object, command: str = "true", **fields: Any) -> Job:
        task = fields.pop("task", Task("command", {"command": [command]}))
        return Job(job_id, task, schedules=tuple(self.spec(s) for s in schedules), **fields)

    def save(self, job: Job, source: Source = PYTHON) -> None:
        now = self.clock.now()
        self.store.write(lambda tx: upsert(tx, self.desk.planner, job, source, now))

    def add(self, job_id: str, *schedules: object, **fields: Any) -> None:
        self.save(self.job(job_id, *schedules, **fields))

    # ---- facts ---------------------------------------------------------------------------------

    def read(self, work: Callable[[Reader], T]) -> T:
        return self.store.read(work)

    def runs(self, job_id: str | None = None) -> list[RunRecord]:
        page = self.read(lambda r: r.runs(RunFilter(job_id=job_id), limit=1000))
        return sorted(page.items, key=lambda run: (run.due_at, run.created_at, run.id))

    def run(self, job_id: str) -> RunRecord:
        """The newest run of a job."""
        return max(self.runs(job_id), key=lambda run: (run.created_at, run.id))

    def states(self) -> dict[str, str]:
        return {run.job_id: str(run.state) for run in self.runs()}

    def skips(self, job_id: str = "a") -> list[SkipRecord]:
        return list(reversed(self.read(lambda r: r.skips(job_id, limit=1000))))

    def entry(self, schedule_id: str) -> Any:
        found = self.read(lambda r: r.schedule(schedule_id))
        assert found is not None
        return found

    def seconds(self, instant: datetime | None) -> float | None:
        return None if instant is None else (instant - BEGIN).total_seconds()


def begun(spec: AttemptSpec, at: datetime) -> Started:
    return Started(spec.run_id, spec.number, spec.token, at, Handle("w", {"pid": 7}))


def over(spec: AttemptSpec, at: datetime, outcome: Outcome = Outcome.SUCCEEDED, **fields: Any) -> Ended:
    if outcome is Outcome.FAILED:
        fields = {"exit_code": 1, "error": Failure("exit_code", "exit code 1")} | fields
    return Ended(spec.run_id, spec.number, spec.token, outcome, at, **({"started_at": at} | fields))


def finish(deployment: Deployment, node: Node, executor: FakeExecutor, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    """Everything that was started ends."""
    while executor.started:
        spec = executor.started.pop(0)
        report(node, over(spec, deployment.clock.now(), outcome))
    node.step()


def report(node: Node, *events: Event) -> None:
    for event in events:
        node.inbox.put(event)
