"""Taking over what another node left: from the journals of its workers.

The fence is made first, the journals are read then (`child.py` says why that is enough):

no S, or S and R             it never began and never will
S and X                      it ended, so
S, and the worker lives      wait for X, R or the worker's death; its timeout and cancels are ours now
S, and the worker is dead    lost
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from gnomon.core.attempts import Adoption, Outcome
from gnomon.core.ports import Clock
from gnomon.executors import processes
from gnomon.executors.attempt import Key, trace_of
from gnomon.executors.files import Intent, Reason, read_intent
from gnomon.executors.loop import Loop, Timer

from .places import Identity, Places, Story, identity, stories
from .reports import Reports
from .settling import instant
from .stopping import Stopper
from .worker import Errand

_LOOK_S = 0.05
_AGAIN_S = 1.0
_LOOKS = 1000


class Mortal:
    """A worker of another node."""

    def __init__(self, prefix: str, who: Identity) -> None:
        self.prefix, self.pid, self.start, self.near = prefix, who.pid, who.start, who.near

    def signal(self, number: signal.Signals) -> None:
        """Through a pidfd, as it may end and its pid be given away at any time."""
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(self.pid)
            try:
                if self.near and self.state() != "X":
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def state(self) -> str:
        """As in proc_pid_stat(5); "X" when it is gone."""
        found = processes.find(self.pid)
        return found.state if found is not None and found.start == self.start else "X"


class Stray(Mortal):
    """One whose files are gone."""

    current: Errand | None = None


class Relic(Mortal):
    """One at work on an attempt that is ours now."""

    def __init__(self, prefix: str, who: Identity, errand: Errand) -> None:
        super().__init__(prefix, who)
        self.errand = errand
        self.current: Errand | None = errand
        self.timer: Timer | None = None
        self.chased = False


def told_of(places: Places, keys: Collection[Key]) -> dict[Key, Story]:
    """The most that any journal says of each attempt."""
    found: dict[Key, Story] = {}
    for prefix in places.workers():
        for key, story in stories(prefix).items():
            if key in keys and (story.began is not None or key not in found):
                found[key] = story
    return found


def stray_of(orphan: Adoption, reports: Reports) -> Stray | None:
    """The worker of an attempt whose start was told, of which no journal tells any more: its files were removed."""
    trace = trace_of(orphan.handle)
    if not trace.pid or (trace.boot, trace.namespace) != (reports.boot, reports.namespace):
        return None
    return Stray("", Identity(trace.pid, trace.start, True, True))


def _next(told: dict[Key, Story], errand: Errand) -> Errand | None:
    """What the worker of `errand`, which is over there, is at now."""
    for (run, number), story in reversed(told.items()):
        if story.began is not None and story.over is None and (run, number) != errand.key:
            return Errand(replace(errand.spec, run_id=run, number=number), "")
    return None


class Succession:
    """Adopted attempts. For the loop's thread only."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        places: Places,
        reports: Reports,
        stopper: Stopper,
        errand: Callable[[Adoption], Errand],
    ) -> None:
        self._loop, self._clock, self._places = loop, clock, places
        self._reports, self._stopper, self._errand = reports, stopper, errand
        self._relics: dict[Key, Relic] = {}

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Each gives one `Ended` sooner or later."""
        fresh: list[Adoption] = []
        for orphan in orphans:
            spec = orphan.spec
            relic = self._relics.get((spec.run_id, spec.number))
            if relic is not None and relic.current is relic.errand:
                relic.errand.spec = spec
                continue
            try:
                self._places.revoke(spec.run_id, spec.number, spec.token)
            except OSError:  # while it can not be revoked nothing can be said
                self._loop.after(_AGAIN_S, lambda orphan=orphan: self.adopt([orphan]))  # type: ignore[misc]
                continue
            self._reports.ended.discard((spec.run_id, spec.number))
            fresh.append(orphan)
        if fresh:
            told = told_of(self._places, {(orphan.spec.run_id, orphan.spec.number) for orphan in fresh})
            for orphan in fresh:
                story = told.get((orphan.spec.run_id, orphan.spec.number))
                settle, give_up = partial(self._settle, orphan, story), partial(self._reports.unknown, orphan.spec)
                self._loop.guarded(settle, give_up)()

    def cancel(self, key: Key) -> None:
        """Stop an adopted attempt. Unknown ones are ignored."""
        relic = self._relics.get(key)
        if relic is not None:
            self._stop(relic, Reason.CANCELLED)

    def _settle(self, orphan: Adoption, story: Story | None) -> None:
        errand = self._errand(orphan)
        if story is None and (stray := stray_of(orphan, self._reports)) is not None:
            stray.signal(signal.SIGKILL)
            self._stopper.sweep(stray, errand, lambda survivors: self._reports.untold(errand), session=False)
            return
        if story is None or story.began is None:
            self._reports.not_begun(errand, orphan, self._places)
            return
        errand.began, errand.over = story.began.at, story.over
        errand.intent = read_intent(errand.base)
        who = identity(story.worker, self._reports.boot, self._reports.namespace)
        relic = Relic(story.worker, who, errand)
        if not any(other.prefix == relic.prefix and other.chased for other in self._relics.values()):
            relic.signal(signal.SIGCONT)  # its scheduler may have frozen it, to look what it was at
        self._relics[errand.key] = relic
        if errand.over is not None:
            self._ended(relic)
        elif not who.lives:
            self._read(relic)
            if errand.key in self._relics:
                self._dead(relic)
        else:
            self._watch(relic, orphan, story.began.ago_s(self._clock))

    def _watch(self, relic: Relic, orphan: Adoption, ago_s: float) -> None:
        errand = relic.current
        assert errand is not None
        if orphan.handle is None:
            self._reports.started(errand, relic.prefix, relic.pid, relic.start)
        if errand.spec.timeout_s is not None:
            errand.deadline = self._clock.monotonic() + errand.spec.timeout_s - ago_s
        if errand.intent is not None:
            self._stop(relic, errand.intent.reason)
        self._look(relic)

    def _look(self, relic: Relic) -> None:
        """Ask the journal and the process, again and again: we are not its parent, nobody tells us."""
        errand = relic.current
        if errand is None or errand.key not in self._relics or relic.chased:
            return
        lives = identity(relic.prefix, self._reports.boot, self._reports.namespace).lives
        self._read(relic)
        if errand.key not in self._relics:
            return
        if not lives:
            self._dead(relic)
            return
        self._reports.watch(errand, relic.prefix)
        if errand.deadline is not None and errand.deadline <= self._clock.monotonic():
            self._stop(relic, Reason.TIMED_OUT)
        relic.timer = self._loop.after(_LOOK_S, lambda: self._look(relic))

    def _read(self, relic: Relic) -> None:
        """Learn from the journal whether it has ended, and what else its worker is at: its node may live."""
        errand, told = relic.errand, stories(relic.prefix)
        story = told.get(errand.key)
        if story is None or not (story.over or story.refused):
            return
        errand.over = story.over
        if relic.chased:
            relic.current = _next(told, errand)
        elif errand.over is not None:
            self._ended(relic)
        if errand.over is None and self._relics.pop(errand.key, None) is not None:
            self._reports.never(errand, Outcome.LOST, "lost", "its scheduler died before it began")

    def _ended(self, relic: Relic) -> None:
        """By itself; or its predecessor was still killing what is left of it: an intent that stands decides."""
        errand = relic.current
        assert errand is not None
        if errand.intent is None:
            del self._relics[errand.key]
            self._reports.over(errand)
            return
        self._stopper.sweep(relic, errand, lambda survivors: self._conclude(relic, errand, survivors), session=False)

    def _dead(self, relic: Relic) -> None:
        errand = relic.current
        assert errand is not None
        errand.intent = errand.intent or Intent(Reason.LOST, instant(errand.began))
        self._stopper.sweep(relic, errand, lambda survivors: self._conclude(relic, errand, survivors), session=False)

    def _stop(self, relic: Relic, reason: Reason) -> None:
        errand = relic.current
        if errand is None or relic.chased or not relic.near:
            return
        self._read(relic)
        if errand.over is not None or errand.key not in self._relics:
            return
        relic.chased = True
        self._stopper.stop(
            relic,
            errand,
            reason,
            lambda: self._read(relic),
            lambda survivors, spared: self._conclude(relic, errand, survivors),
        )
        self._await(relic, errand)

    def _await(self, relic: Relic, errand: Errand) -> None:
        """It may end, or its worker die, before the grace is over."""
        if errand.key not in self._relics:
            return
        self._read(relic)
        if errand.over is not None or relic.state() in "XZ":
            self._stopper.hurry(errand.key)
        else:
            relic.timer = self._loop.after(_LOOK_S, lambda: self._await(relic, errand))

    def _conclude(self, relic: Relic, errand: Errand, survivors: str, looks: int = 0) -> None:
        """Nothing of it is left, as soon as its worker has died of what was sent to it."""
        if relic.chased and relic.current in (None, errand) and relic.state() not in "XZ" and looks < _LOOKS:
            self._loop.after(0.005, lambda: self._conclude(relic, errand, survivors, looks + 1))
            return
        if self._relics.pop(errand.key, None) is None:
            return
        if errand.over is not None:
            self._reports.over(errand)
        else:
            self._reports.died(errand, relic.prefix, None, ours=False, survivors=survivors)
