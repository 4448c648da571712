"""The executor of Python callables: persistent worker processes, which finish what they do when the scheduler dies.

One thread serves all workers. Nothing of the callables is ever imported in this process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from gnomon.core.attempts import Adoption, AttemptSpec, Outcome, Sink
from gnomon.core.health import Check
from gnomon.core.ports import Clock
from gnomon.executors.attempt import Key
from gnomon.executors.invocation import for_workers, identity, scope_of
from gnomon.executors.loop import Loop

from .crew import Crew
from .keeping import Keeper, leave
from .places import Places
from .reports import Reports
from .stopping import Stopper
from .succession import Succession
from .wire import Order, pack
from .worker import Errand, PoolSettings, Worker


class Doers(Protocol):
    """Those who do what is asked of an executor: `Crew`, or one of the executor `shared`."""

    errands: dict[Key, Errand]

    @property
    def workers(self) -> Sequence[Worker]:
        """All of its processes."""

    def add(self, errand: Errand) -> None:
        """Have it done. Call `pump` after the last."""

    def pump(self) -> None:
        """Give out what can be given."""

    def cancel(self, key: Key) -> None:
        """Stop an attempt. Unknown ones are ignored."""

    def forget(self, key: Key) -> None:
        """Its end is durable."""


class Heirs(Protocol):
    """Those who look after attempts of another node."""

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Each gives one `Ended` sooner or later."""

    def cancel(self, key: Key) -> None:
        """Stop an adopted attempt. Unknown ones are ignored."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What those are made of."""

    loop: Loop
    clock: Clock
    places: Places
    sink: Sink
    node_id: str
    scope: str
    environment: Mapping[str, str]

    def adopted(self, one: Adoption) -> Errand:
        """The errand of an adopted attempt."""
        return Errand(one.spec, self.places.attempts.base(one.spec.run_id, one.spec.number))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What there is while the executor is open. For the loop's thread only."""

    loop: Loop
    places: Places
    reports: Reports
    crew: Doers
    succession: Heirs
    keeper: Keeper
    scope: str


class PoolExecutor:
    """Performs attempts of type `python` in worker processes. Implements `gnomon.core.attempts.Executor`.

    Args:
        directory: of attempts; the same as that of `CommandExecutor`, so that one `Logs` reads both. Local disk only.
        node_id: whose workers these are; a successor is told this name (`Adoption.owner`).
        clock: the machine's.
        settings: sizes and limits; see `PoolSettings`.
        environment: what workers inherit; gnomon's own variables are left out. None: that of this process.

    Workers start with the first attempt. Events come from one thread of its own.
    """

    name = "pool"

    def __init__(
        self,
        directory: Path,
        node_id: str,
        *,
        clock: Clock,
        settings: PoolSettings | None = None,
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        """`more`: single fields of `PoolSettings`, such as `size=4`."""
        self._directory, self._node_id, self._clock = directory, node_id, clock
        self._settings = replace(settings or PoolSettings(), **more)
        self._environment = environment
        self._parts: _Parts | None = None

    def open(self, sink: Sink) -> None:
        """Make ready: directories and the thread; no worker yet.

        Raises:
            OSError: the directories can not be made.
        """
        places = Places(self._directory.absolute(), self._node_id, self.name)
        places.open()
        parts: list[_Parts] = []
        loop = Loop(self._clock, f"gnomon-{self.name}", lambda: leave(parts[0].crew.workers, parts[0].places))
        scope = scope_of(self._directory)
        inherited = for_workers(os.environ if self._environment is None else self._environment)
        ground = Ground(loop, self._clock, places, sink, self._node_id, scope, inherited)
        reports, crew, succession = self._people(ground)
        keeper = Keeper(loop, self._clock, places, reports)
        self._parts = _Parts(loop, places, reports, crew, succession, keeper, scope)
        parts.append(self._parts)
        loop.submit(keeper.begin)
        loop.start()

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        """Have these done, in order. Their claim must be durable. Known attempts are ignored."""
        batch = list(specs)
        self._submit(lambda parts: self._start(parts, batch))

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Take over attempts of a dead node; what this pool itself has merely gets the new token."""
        batch = list(orphans)
        self._submit(lambda parts: self._adopt(parts, batch))

    def cancel(self, run_id: str, number: int) -> None:
        """Stop this attempt: TERM, grace, KILL; others are not harmed. Unknown attempts are ignored."""

        def call(parts: _Parts) -> None:
            parts.crew.cancel((run_id, number))
            parts.succession.cancel((run_id, number))

        self._submit(call)

    def forget(self, run_id: str, number: int) -> None:
        """Its end is durable: the journals need not keep it. The log stays. Idempotent."""
        self._submit(lambda parts: parts.crew.forget((run_id, number)))

    def leftovers(self, before: datetime) -> Sequence[tuple[str, int]]:
        """None: the pool clears its journals by itself."""
        return ()

    def detach(self) -> None:
        """Stop watching. Workers end what they are at, write it down, and go. No event comes afterwards. Idempotent."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.loop.stop()

    def checks(self) -> Iterable[Check]:
        """What is wrong with its thread."""
        parts = self._parts
        return () if parts is None else parts.loop.checks()

    def _submit(self, call: Callable[[_Parts], None]) -> None:
        parts = self._parts
        if parts is not None:
            parts.loop.submit(lambda: call(parts))

    def _start(self, parts: _Parts, specs: Sequence[AttemptSpec]) -> None:
        for spec in specs:
            key = (spec.run_id, spec.number)
            if key in parts.crew.errands or key in parts.reports.ended:
                continue
            parts.keeper.count()
            with contextlib.suppress(OSError):  # a call can do without: its folder is for what it prints
                parts.places.attempts.prepare(*key)
            errand = Errand(spec, parts.places.attempts.base(*key), order=parts.keeper.given)
            try:
                errand.body = self._packed(parts.places, parts.scope, errand)
            except Exception as error:
                parts.reports.never(errand, Outcome.FAILED, "bad_arguments", f"the task can not run: {error}")
                continue
            parts.crew.add(errand)
        parts.crew.pump()

    def _people(self, ground: Ground) -> tuple[Reports, Doers, Heirs]:
        """Who reports, who does, who looks after what others have left."""
        loop, clock, places = ground.loop, ground.clock, ground.places
        reports = Reports(loop, clock, ground.sink, ground.node_id)
        stopper = Stopper(loop, clock, ground.scope)
        crew = Crew(loop, clock, places, reports, stopper, self._settings, ground.environment)
        return reports, crew, Succession(loop, clock, places, reports, stopper, ground.adopted)

    def _packed(self, places: Places, scope: str, errand: Errand) -> bytes:
        """What a worker gets. Raises TypeError or ValueError for arguments of a wrong shape."""
        arguments = errand.spec.arguments
        name, args, kwargs = arguments.get("callable"), arguments.get("args") or [], arguments.get("kwargs") or {}
        own, path = arguments.get("path"), self._settings.path
        if not isinstance(name, str) or not isinstance(args, Sequence) or not isinstance(kwargs, Mapping):
            raise TypeError("callable must be a text, args a list, kwargs a map")
        if name.startswith("gnomon."):
            path = self._settings.packages
        elif isinstance(own, Sequence):
            path = (own,) if isinstance(own, str) else tuple(str(item) for item in own)
        errand.path = path
        return pack(order_of(errand, places, scope, name, list(args), dict(kwargs)))

    def _adopt(self, parts: _Parts, orphans: Sequence[Adoption]) -> None:
        others: list[Adoption] = []
        for orphan in orphans:
            errand = parts.crew.errands.get((orphan.spec.run_id, orphan.spec.number))
            if errand is None:
                others.append(orphan)
            else:
                errand.spec = orphan.spec
        parts.succession.adopt(others)


def order_of(
    errand: Errand, places: Places, scope: str, reference: str, args: list[Any], kwargs: dict[str, Any]
) -> Order:
    """The order for a worker to call `reference`."""
    spec = errand.spec
    fence = places.fence(spec.run_id, spec.number)
    who = (spec.run_id, spec.number, spec.token)
    return Order(*who, reference, args, kwargs, identity(spec, scope), errand.base, fence)
