"""The executor of Python callables: persistent worker processes, which finish what they do when the scheduler dies.

One thread serves all workers. Nothing of the callables is ever imported in this process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gnomon.core.attempts import Adoption, AttemptSpec, Outcome, Sink
from gnomon.core.ports import Clock
from gnomon.executors.invocation import identity, scope_of, without_own
from gnomon.executors.loop import Loop

from .crew import Crew
from .keeping import Keeper, leave
from .places import Places
from .reports import Reports
from .stopping import Stopper
from .succession import Succession
from .wire import Order, pack
from .worker import Errand, PoolSettings


@dataclass(frozen=True, slots=True)
class _Parts:
    """What there is while the executor is open. For the loop's thread only."""

    loop: Loop
    places: Places
    reports: Reports
    crew: Crew
    succession: Succession
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
        places = Places(self._directory.absolute(), self._node_id)
        places.open()
        parts: list[_Parts] = []
        loop = Loop(self._clock, "gnomon-pool", lambda: leave(parts[0].crew.workers, parts[0].places))
        reports = Reports(loop, self._clock, sink, self._node_id)
        scope = scope_of(self._directory)
        stopper = Stopper(loop, self._clock, scope)
        inherited = without_own(os.environ if self._environment is None else self._environment)
        crew = Crew(loop, self._clock, places, reports, stopper, self._settings, inherited)
        succession = Succession(loop, self._clock, places, reports, stopper, lambda one: _adopted(places, one))
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
            errand = Errand(spec, parts.places.attempts.prepare(*key), order=parts.keeper.given)
            try:
                order, errand.path = _order(parts, errand, self._settings.path)
                errand.body = pack(order)
            except (TypeError, ValueError) as error:
                parts.reports.never(errand, Outcome.FAILED, "bad_arguments", f"the task can not run: {error}")
                continue
            parts.crew.add(errand)
        parts.crew.pump()

    def _adopt(self, parts: _Parts, orphans: Sequence[Adoption]) -> None:
        others: list[Adoption] = []
        for orphan in orphans:
            errand = parts.crew.errands.get((orphan.spec.run_id, orphan.spec.number))
            if errand is None:
                others.append(orphan)
            else:
                errand.spec = orphan.spec
        parts.succession.adopt(others)


def _adopted(places: Places, orphan: Adoption) -> Errand:
    return Errand(orphan.spec, places.attempts.prepare(orphan.spec.run_id, orphan.spec.number))


def _order(parts: _Parts, errand: Errand, path: Sequence[str]) -> tuple[Order, tuple[str, ...]]:
    """What the worker gets, and the path its worker must have. Raises TypeError for arguments of a wrong shape."""
    spec, arguments = errand.spec, errand.spec.arguments
    name, args, kwargs = arguments.get("callable"), arguments.get("args") or [], arguments.get("kwargs") or {}
    own = arguments.get("path")
    if not isinstance(name, str) or not isinstance(args, Sequence) or not isinstance(kwargs, Mapping):
        raise TypeError("callable must be a text, args a list, kwargs a map")
    if isinstance(own, Sequence):
        path = [own] if isinstance(own, str) else [str(item) for item in own]
    fence = parts.places.fence(spec.run_id, spec.number)
    environment = identity(spec, parts.scope)
    order = Order(
        spec.run_id,
        spec.number,
        spec.token,
        name,
        list(args),
        dict(kwargs),
        environment,
        errand.base,
        fence,
    )
    return order, tuple(path)
