"""Taking over what another node left with its worker: from the journal of that worker.

The fence is made first, the journals are read then, as in the pool (`pool/succession.py` has the table). A worker that
lives goes on: it keeps timeouts by itself, and looks for intents when it gets USR1. One that does not listen is killed,
and what it had begun is lost with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial

from gnomon.core.attempts import Adoption, Outcome
from gnomon.core.ports import Clock
from gnomon.executors.attempt import Key
from gnomon.executors.files import Intent, Reason, read_intent, record_intent
from gnomon.executors.killing import Killer, Tree
from gnomon.executors.loop import Loop
from gnomon.executors.pool.places import Identity, Places, Story, identity, stories
from gnomon.executors.pool.reports import Reports
from gnomon.executors.pool.succession import Mortal, stray_of, told_of
from gnomon.executors.pool.worker import Errand
from gnomon.executors.processes import Target, mark_of

from .worker import marks_of

_LOOK_S = 0.05
_AGAIN_S = 1.0
_SLACK_S = 0.5
_DIED = "its scheduler died, then its worker process; nobody saw how it ended"


class Relic(Mortal):
    """A worker of another node, with attempts that are ours now."""

    def __init__(self, prefix: str, who: Identity) -> None:
        super().__init__(prefix, who)
        self.errands: dict[Key, Errand] = {}
        self.read: tuple[int, ...] = ()
        self.killed = ""

    def look(self) -> None:
        """Have it look for attempts to be stopped."""
        self.signal(signal.SIGUSR1)

    def kill(self) -> None:
        """At once, with its process group."""
        with contextlib.suppress(OSError):
            if self.state() not in "XZ" and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
        self.signal(signal.SIGKILL)

    def target(self, scope: str) -> Target:
        """What it may have started, for killing."""
        return Target(self.pid, self.start, mark_of(marks_of(self.prefix, scope)), session_is_ours=False)

    def changed(self) -> bool:
        """Whether its journal has grown since this was asked last."""
        now: list[int] = []
        for suffix in (".journal", ".journal2"):
            try:
                status = os.lstat(self.prefix + suffix)
            except OSError:
                continue
            now += [status.st_size, status.st_mtime_ns]
        before, self.read = self.read, tuple(now)
        return before != self.read


class SharedSuccession:
    """Adopted attempts. For the loop's thread only."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        places: Places,
        reports: Reports,
        errand: Callable[[Adoption], Errand],
        scope: str,
    ) -> None:
        self._loop, self._clock, self._places = loop, clock, places
        self._reports, self._errand, self._scope = reports, errand, scope
        self._killer = Killer(loop, clock)
        self._relics: dict[str, Relic] = {}
        self._of: dict[Key, Relic] = {}

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Each gives one `Ended` sooner or later."""
        fresh: dict[Key, Adoption] = {}
        for orphan in orphans:
            spec = orphan.spec
            key = (spec.run_id, spec.number)
            relic = self._of.get(key)
            if relic is not None:
                relic.errands[key].spec = spec
                continue
            try:
                self._places.revoke(spec.run_id, spec.number, spec.token)
            except OSError:  # while it can not be revoked nothing can be said
                self._loop.after(_AGAIN_S, lambda orphan=orphan: self.adopt([orphan]))  # type: ignore[misc]
                continue
            self._reports.ended.discard(key)
            fresh[key] = orphan
        told = told_of(self._places, fresh.keys()) if fresh else {}
        for key, orphan in fresh.items():
            settle, give_up = partial(self._settle, orphan, told.get(key)), partial(self._reports.unknown, orphan.spec)
            self._loop.guarded(settle, give_up)()

    def cancel(self, key: Key) -> None:
        """Stop an adopted attempt. Unknown ones are ignored."""
        relic = self._of.get(key)
        if relic is not None:
            self._stop(relic, relic.errands[key], Reason.CANCELLED)

    def _settle(self, orphan: Adoption, story: Story | None) -> None:
        errand = self._errand(orphan)
        if story is None and (stray := stray_of(orphan, self._reports)) is not None:
            stray.signal(signal.SIGKILL)
            self._reports.untold(errand)
            return
        if story is None or story.began is None:
            self._reports.not_begun(errand, orphan, self._places)
            return
        errand.began, errand.over, errand.intent = story.began.at, story.over, read_intent(errand.base)
        if errand.over is not None:
            self._reports.over(errand)
            return
        relic = self._relics.get(story.worker)
        if relic is None:
            who = identity(story.worker, self._reports.boot, self._reports.namespace)
            relic = self._relics[story.worker] = Relic(story.worker, who)
            self._loop.submit(lambda relic=relic: self._look(relic))  # type: ignore[misc]
        relic.errands[errand.key], self._of[errand.key] = errand, relic
        relic.read = ()
        self._watch(relic, errand, story.began.ago_s(self._clock), announce=orphan.handle is None)

    def _watch(self, relic: Relic, errand: Errand, ago_s: float, *, announce: bool) -> None:
        """Its timeout and a cancel that was begun are ours now."""
        if announce:
            self._reports.started(errand, relic.prefix, relic.pid, relic.start)
        if errand.spec.timeout_s is not None:
            errand.deadline = self._clock.monotonic() + errand.spec.timeout_s - ago_s
        intent, errand.intent = errand.intent, None
        if intent is not None:
            self._stop(relic, errand, intent.reason)

    def _stop(self, relic: Relic, errand: Errand, reason: Reason) -> None:
        if errand.intent is not None or not relic.near:
            return
        errand.intent = record_intent(errand.base, Intent(reason, self._clock.now()))
        left_s = max(0.0, errand.spec.kill_grace_s - errand.intent.waited_s())
        errand.deadline = self._clock.monotonic() + left_s + _SLACK_S
        relic.look()

    def _look(self, relic: Relic) -> None:
        """Ask the journal and the process, again and again: we are not its parent, nobody tells us."""
        lives = identity(relic.prefix, self._reports.boot, self._reports.namespace).lives
        if relic.changed():
            self._read(relic)
        if relic.errands and not lives:
            target = relic.target(self._scope)
            now = self._clock.monotonic()
            self._killer.add(Tree(lambda: target, now, lambda left: self._dead(relic, left), lambda: True))
            return
        for errand in list(relic.errands.values()):
            if errand.deadline is not None and errand.deadline <= self._clock.monotonic():
                self._late(relic, errand)
        if relic.errands:
            self._loop.after(_LOOK_S, lambda: self._look(relic))
        else:
            self._relics.pop(relic.prefix, None)

    def _dead(self, relic: Relic, survivors: str) -> None:
        """Nothing of it is left, but for `survivors`."""
        for errand in list(relic.errands.values()):
            self._forget(relic, errand)
            lost = relic.killed or _DIED
            self._reports.died(errand, relic.prefix, None, ours=False, survivors=survivors, lost=lost)
        self._relics.pop(relic.prefix, None)

    def _late(self, relic: Relic, errand: Errand) -> None:
        """First its worker is asked to stop it, then the worker is killed."""
        if errand.intent is None:
            self._stop(relic, errand, Reason.TIMED_OUT)
        elif relic.near:
            relic.killed = f"run {errand.spec.run_id} did not end when it was stopped, so the shared worker was killed"
            relic.kill()

    def _read(self, relic: Relic) -> None:
        """Learn from the journal what has ended."""
        told = stories(relic.prefix)
        for key, errand in list(relic.errands.items()):
            story = told.get(key)
            if story is not None and story.over is not None:
                errand.over = story.over
                self._forget(relic, errand)
                self._reports.over(errand)
            elif story is not None and story.refused:
                self._forget(relic, errand)
                self._reports.never(errand, Outcome.LOST, "lost", "its scheduler died before it began")

    def _forget(self, relic: Relic, errand: Errand) -> None:
        relic.errands.pop(errand.key, None)
        self._of.pop(errand.key, None)
