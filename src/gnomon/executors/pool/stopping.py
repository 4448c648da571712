"""Stopping one call: TERM, grace, then freeze its worker and kill everything that belongs to the attempt.

TERM makes the call raise `Stopped` (a `SystemExit`) where it stands, so `finally` blocks run. When it has ended, or
the grace is over, its worker is frozen: a frozen worker begins nothing, so its journal says for certain what it is
at. If it has gone on to another attempt already it is spared, and only what carries our attempt's mark is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Protocol

from gnomon.core.ports import Clock
from gnomon.executors.attempt import Key
from gnomon.executors.files import Intent, Reason, record_intent
from gnomon.executors.invocation import identity
from gnomon.executors.killing import Killer, Tree
from gnomon.executors.loop import Loop, Timer
from gnomon.executors.processes import Target, mark_of

from .worker import Errand

_FROZEN = "TtXxZ"
_LOOK_S = 0.002
_PATIENCE = 1000  # looks at a worker that does not freeze (it hangs in the kernel)


class Body(Protocol):
    """A worker, ours or inherited."""

    pid: int
    start: int
    current: Errand | None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still itself."""

    def state(self) -> str:
        """As in proc_pid_stat(5); "X" when it is gone."""


class _Chase:
    """One attempt that is being stopped. `done` is called with the words about survivors, and whether it was spared."""

    def __init__(self, body: Body, errand: Errand, sync: Callable[[], None], done: Callable[[str, bool], None]) -> None:
        self.body, self.errand, self.sync, self.done = body, errand, sync, done
        self.grace: Timer | None = None
        self.looks = 0
        self.frozen = False


class Stopper:
    """All chases of one pool. For the loop's thread only."""

    def __init__(self, loop: Loop, clock: Clock, scope: str) -> None:
        self._loop, self._clock, self._scope = loop, clock, scope
        self._killer = Killer(loop, clock)
        self._chases: dict[Key, _Chase] = {}

    def stop(
        self,
        body: Body,
        errand: Errand,
        reason: Reason,
        sync: Callable[[], None],
        done: Callable[[str, bool], None],
    ) -> None:
        """Begin, unless it has begun. `sync` brings `body.current` up to date with the journal."""
        if errand.key in self._chases:
            return
        errand.intent = record_intent(errand.base, errand.intent or Intent(reason, self._clock.now()))
        chase = self._chases[errand.key] = _Chase(body, errand, sync, done)
        left_s = max(0.0, errand.spec.kill_grace_s - errand.intent.waited_s())
        sync()  # TERM goes to its children too: they must not be those of the next attempt
        if left_s > 0 and body.current is errand and not chase.frozen:
            self._term(body)
            chase.grace = self._loop.after(left_s, lambda: self._freeze(chase))
        else:
            self._freeze(chase)

    def hurry(self, key: Key) -> bool:
        """It has ended, or its worker has: no need to wait. False: it is not being stopped."""
        chase = self._chases.get(key)
        if chase is None:
            return False
        self._freeze(chase)
        return True

    def sweep(self, body: Body, errand: Errand, done: Callable[[str], None], *, session: bool) -> None:
        """Kill what is left of it; its worker is dead. `session`: the worker's pid is still its own."""
        target = self._target(body, errand, session=session)
        self._kill(target, done)

    def _term(self, body: Body) -> None:
        with contextlib.suppress(OSError):
            if body.state() not in "XZ" and os.getpgid(body.pid) == body.pid:
                os.killpg(body.pid, signal.SIGTERM)
                os.killpg(body.pid, signal.SIGCONT)

    def _freeze(self, chase: _Chase) -> None:
        if chase.frozen:
            return
        chase.frozen = True
        if chase.grace is not None:
            chase.grace.cancel()
        chase.body.signal(signal.SIGSTOP)
        self._look(chase)

    def _look(self, chase: _Chase) -> None:
        chase.looks += 1
        if chase.body.state() not in _FROZEN and chase.looks < _PATIENCE:
            self._loop.after(_LOOK_S if chase.looks > 3 else 0.0, lambda: self._look(chase))
            return
        chase.sync()
        spared = chase.body.current not in (None, chase.errand)
        self._kill(
            self._target(chase.body, chase.errand, session=not spared),
            lambda survivors: self._killed(chase, survivors, spared),
        )

    def _killed(self, chase: _Chase, survivors: str, spared: bool) -> None:
        chase.body.signal(signal.SIGCONT if spared else signal.SIGKILL)
        del self._chases[chase.errand.key]
        chase.done(survivors, spared)

    def _kill(self, target: Target, done: Callable[[str], None]) -> None:
        self._killer.add(Tree(lambda: target, self._clock.monotonic(), done, witness_gone=lambda: True))

    def _target(self, body: Body, errand: Errand, *, session: bool) -> Target:
        return Target(body.pid, body.start, mark_of(identity(errand.spec, self._scope)), session_is_ours=session)
