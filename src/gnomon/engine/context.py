"""What every service of a node is given."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from gnomon.core.errors import GnomonError
from gnomon.core.keys import ID_BITS, time_ordered_id
from gnomon.core.model import Job
from gnomon.core.ports import Entropy, Reader
from gnomon.core.records import RunRecord, ScheduleRecord
from gnomon.core.rules import Rule, ScheduleKinds
from gnomon.core.tasks import TaskType, TaskTypes, executor_of
from gnomon.core.values import canonical_json

from .pace import Pace
from .settings import EngineSettings

_RULES_KEPT = 20_000


@dataclass(slots=True)
class Definitions:
    """Definitions by (job id, version). They never change, so each is read once."""

    _kept: dict[tuple[str, int], Job] = field(default_factory=dict)
    limit: int = 50_000

    def of(self, reader: Reader, runs: list[RunRecord]) -> Mapping[tuple[str, int], Job]:
        """The definitions that `runs` were made with. One that is gone from the store is left out."""
        wanted = {(r.job_id, r.version) for r in runs}
        missing = wanted - self._kept.keys()
        if missing:
            if len(self._kept) + len(missing) > self.limit:
                self._kept.clear()
                missing = wanted
            self._kept.update(reader.definitions(missing))
        return {key: self._kept[key] for key in wanted if key in self._kept}


class Rules:
    """Evaluators of schedule entries, built once per content."""

    def __init__(self, kinds: ScheduleKinds) -> None:
        self._kinds = kinds
        self._build = lru_cache(_RULES_KEPT)(self._built)

    def of(self, entry: ScheduleRecord) -> Rule | None:
        """The evaluator, or None if what is stored cannot be evaluated now (a zone or a calendar file is gone)."""
        try:
            return self._build(self._key(entry))
        except GnomonError:
            return None

    def fault(self, entry: ScheduleRecord) -> str:
        """Why the evaluator of an entry that stands still cannot be made."""
        try:
            self._build(self._key(entry))
        except GnomonError as error:
            return "; ".join(problem.message for problem in error.problems[:3])
        return "its rule failed when it was evaluated last (the log of the scheduler says how); it is tried each minute"

    def _key(self, entry: ScheduleRecord) -> _Key:
        return _Key(entry, self._kinds.stamp(entry.spec))

    def _built(self, key: _Key) -> Rule:
        entry = key.entry
        return self._kinds.build(entry.spec, schedule_id=entry.schedule_id, job_id=entry.job_id, anchor=entry.anchor)


class _Key:
    """Two entries with the same id, anchor and rule have the same evaluator, as long as its calendars do not change."""

    __slots__ = ("entry", "identity")

    def __init__(self, entry: ScheduleRecord, stamp: Hashable) -> None:
        self.entry = entry
        spec = entry.spec
        window = (spec.start, spec.end, spec.jitter_s, spec.exclude, spec.roll)
        self.identity = (
            entry.schedule_id,
            entry.anchor,
            spec.kind,
            spec.timezone,
            canonical_json(dict(spec.rule)),
            window,
            stamp,
        )

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.identity == other.identity


@dataclass(slots=True)
class Context:
    """A node's identity, settings and registries.

    `routes`: where this node performs what a task type asks an executor for, if elsewhere.
    `own_queues`: lines that only this process can serve, beside those of the settings.
    """

    node_id: str
    settings: EngineSettings
    kinds: ScheduleKinds
    task_types: TaskTypes
    entropy: Entropy
    routes: Mapping[str, str] = field(default_factory=dict)
    own_queues: Collection[str] = ()
    rules: Rules = field(init=False)
    definitions: Definitions = field(default_factory=Definitions)
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.rules = Rules(self.kinds)

    def executor_of(self, kind: TaskType) -> str:
        """The executor that performs attempts of this task type on this node."""
        return executor_of(kind, self.routes)

    @property
    def queues(self) -> tuple[str, ...]:
        """The lines this node serves."""
        return (*self.settings.queues, *self.own_queues)

    def new_id(self, now: datetime) -> str:
        """A fresh id for a run or flow created `now`."""
        return time_ordered_id(now, self.entropy.bits(ID_BITS))
