"""Attempts that take virtual time and end as a test says."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Failure, Handle, Outcome, Sink, Started
from gnomon.core.ports import Clock
from gnomon.core.values import Json

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ending:
    """How attempts of a job go.

    Attributes:
        duration_s: virtual seconds an attempt takes.
        failures: this many attempts fail first (None: all of them), the others succeed.
        error: code of the failure (an exception's name, `exit_code`, …).
        exit_code: of failing attempts.
        result: what succeeding attempts give.
        effect: called (really) at the start of each attempt, with its specification; what it returns, unless
            None, is the result; what it raises is the failure.
    """

    duration_s: float = 0.0
    failures: int | None = 0
    error: str = "exit_code"
    exit_code: int | None = 1
    result: Json = None
    effect: Callable[[AttemptSpec], Json] | None = None


@dataclass(slots=True)
class VirtualExecutor:
    """Implements `gnomon.core.attempts.Executor` on a clock that only tests move."""

    name: str
    clock: Clock
    endings: Mapping[str, Ending]
    specs: list[AttemptSpec] = field(default_factory=list)
    _tried: dict[str, int] = field(default_factory=dict)
    _due: list[tuple[datetime, int, Event]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _sink: Sink | None = None
    _live: dict[Key, tuple[AttemptSpec, datetime, Ended]] = field(default_factory=dict)

    def open(self, sink: Sink) -> None:
        self._sink = sink

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        now = self.clock.now()
        for spec in specs:
            self.specs.append(spec)
            self._tell(Started(spec.run_id, spec.number, spec.token, now, Handle("virtual")))
            self._await(spec, now, self._end_of(spec, now))

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """The work went on while no scheduler ran."""
        for orphan in orphans:
            spec = orphan.spec
            _, began, ended = self._live[spec.run_id, spec.number]
            self._await(spec, began, replace(ended, token=spec.token))

    def cancel(self, run_id: str, number: int) -> None:
        live = self._live.get((run_id, number))
        if live is not None:
            self._report(self._ended(live[0], Outcome.CANCELLED, live[1], self.clock.now()))

    def forget(self, run_id: str, number: int) -> None:
        """Nothing is kept."""

    def leftovers(self, before: datetime) -> Sequence[Key]:
        return ()

    def detach(self) -> None:
        self._sink = None
        self._due.clear()

    def next_end(self) -> datetime | None:
        """When the next attempt ends."""
        return self._due[0][0] if self._due else None

    def deliver(self) -> None:
        """Report what has ended by now."""
        while self._due and self._due[0][0] <= self.clock.now():
            event = heapq.heappop(self._due)[2]
            assert isinstance(event, Ended)
            self._report(event)

    def _await(self, spec: AttemptSpec, began: datetime, ended: Ended) -> None:
        self._live[spec.run_id, spec.number] = spec, began, ended
        heapq.heappush(self._due, (ended.finished_at, next(self._order), ended))

    def _report(self, ended: Ended) -> None:
        if self._live.pop((ended.run_id, ended.number), None) is not None:
            self._tell(ended)

    def _tell(self, event: Event) -> None:
        if self._sink is not None:
            self._sink(event)

    def _end_of(self, spec: AttemptSpec, began: datetime) -> Ended:
        ending = self.endings.get(spec.job_id, Ending())
        tried = self._tried.get(spec.run_id, 0) + 1
        self._tried[spec.run_id] = tried
        end = began + timedelta(seconds=ending.duration_s)
        if spec.timeout_s is not None and ending.duration_s > spec.timeout_s:
            end = began + timedelta(seconds=spec.timeout_s)
            why = Failure("timed_out", f"it ran longer than {spec.timeout_s:g} s")
            return self._ended(spec, Outcome.TIMED_OUT, began, end, error=why)
        result = ending.result
        if ending.effect is not None:
            try:
                given = ending.effect(spec)
            except Exception as error:
                why = Failure(type(error).__name__, str(error))
                return self._ended(spec, Outcome.FAILED, began, end, error=why)
            result = result if given is None else given
        if ending.failures is None or tried <= ending.failures:
            why = Failure(ending.error, "as the test says")
            return self._ended(spec, Outcome.FAILED, began, end, exit_code=ending.exit_code, error=why)
        return self._ended(spec, Outcome.SUCCEEDED, began, end, exit_code=0, result=result)

    def _ended(
        self,
        spec: AttemptSpec,
        outcome: Outcome,
        began: datetime,
        end: datetime,
        exit_code: int | None = None,
        error: Failure | None = None,
        result: Json = None,
    ) -> Ended:
        took = (end - began).total_seconds()
        return Ended(
            spec.run_id, spec.number, spec.token, outcome, end, began, took, exit_code, error=error, result=result
        )
