"""What must hold while somebody sets the clock: who may lead, and when what is old may be removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from gnomon.core.ports import Reader, Store, Transaction
from gnomon.core.records import Pruned
from gnomon.core.timekeeping import AGREEMENT_S, STEP_S, to_seconds
from gnomon.system.clock import VirtualClock

T = TypeVar("T")


class Settings:
    """Every setting of the clock. The difference it began with is right."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.broken = ""
        self._stood: list[tuple[float, float]] = [(self._offset(), -AGREEMENT_S)]

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.clock.jump(seconds)
        since = self._stood.pop()[1] if abs(seconds) <= STEP_S else self.clock.steady()  # a step is no jump
        self._stood.append((self._offset(), since))

    @property
    def ahead_s(self) -> float:
        """By how much it is wrong."""
        return self._offset() - self._stood[0][0]

    def removes(self, before: datetime) -> None:
        """History is removed on the word of the clock: it must stand where it has stood for an hour at one time."""
        ends = [since for _, since in self._stood[1:]] + [self.clock.steady()]
        believed = [at for (at, since), end in zip(self._stood, ends, strict=True) if end - since >= AGREEMENT_S - 1]
        near = any(abs(self._offset() - at) <= STEP_S * len(self._stood) for at in believed)
        if not near:  # housekeeping survives what is raised here: it is asked for later
            self.broken = f"history before {before} is removed by a clock that was set a moment ago"

    def _offset(self) -> float:
        return to_seconds(self.clock.now()) - self.clock.steady()


class Watched:
    """A store whose removals are looked at."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, work: Callable[[Reader], T]) -> T:
        return self._store.read(work)

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self._store.write(lambda tx: work(_Removing(tx, self._settings)))


class _Removing:
    def __init__(self, tx: Transaction, settings: Settings) -> None:
        self._tx, self._settings = tx, settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def prune(self, *, runs_before: datetime, **more: Any) -> Pruned:
        self._settings.removes(runs_before)
        return self._tx.prune(runs_before=runs_before, **more)
