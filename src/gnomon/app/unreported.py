"""Finds attempts that are over as processes while the store still has them running: nobody is going to end them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from gnomon.core.attempts import Handle
from gnomon.core.health import Check, Level
from gnomon.core.ports import Clock, Store
from gnomon.executors import processes
from gnomon.executors.attempt import trace_of

PATIENCE_S = 30.0
"""Reports of what has ended take that long only if something is wrong. By a clock that nobody sets."""


class Unreported:
    """The attempts of one node. `look` now and then; `checks` tells what two looks have found."""

    def __init__(self, store: Store, clock: Clock, node_id: str) -> None:
        self._store, self._clock, self._node_id = store, clock, node_id
        self._gone: Mapping[tuple[str, int], tuple[float, datetime]] = {}

    def look(self) -> None:
        """Compare what the store has with the processes there are.

        Raises:
            Unavailable: the store cannot be read.
        """
        seen, before = (self._clock.monotonic(), self._clock.now()), self._gone
        live = self._store.read(lambda reader: reader.live_attempts(self._node_id))
        gone = [(a.run_id, a.number) for a in live if a.handle is not None and not _lives(a.handle)]
        self._gone = {key: before.get(key, seen) for key in gone}

    def checks(self) -> Iterator[Check]:
        """For health."""
        now = self._clock.monotonic()
        late = sorted((at, run_id) for (run_id, _), (since, at) in self._gone.items() if now - since >= PATIENCE_S)
        if late:
            word = "attempt is" if len(late) == 1 else "attempts are"
            text = f"{len(late)} {word} over as a process and still running in the database, as of run {late[0][1]}"
            yield Check("attempts_over", Level.DEGRADED, text, late[0][0])


def _lives(handle: Handle) -> bool:
    """Whether its process is there, as far as that can be seen from here."""
    trace = trace_of(handle)
    if not trace.start or (trace.boot, trace.namespace) != (processes.boot_id(), processes.namespace()):
        return True
    found = processes.find(trace.pid)
    return found is not None and found.start == trace.start and found.state not in "ZX"
