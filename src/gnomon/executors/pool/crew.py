"""The workers of this pool: who gets which attempt, and what they say of it.

Attempts are handed to busy workers ahead of time, so that short calls need no round trip. What a worker has not
taken 50 ms after it turned to something long is taken back and given to another, or to a new one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from functools import partial

from gnomon.core.attempts import Outcome
from gnomon.core.ports import Clock
from gnomon.executors.attempt import Key
from gnomon.executors.files import Reason
from gnomon.executors.loop import Loop, Timer

from .line import Line, Path
from .places import Places, read_journal, remove_worker
from .reports import Reports
from .staff import HOLD_S, Staff
from .stopping import Stopper
from .wire import BEHIND, Over, records
from .worker import Errand, PoolSettings, Worker

_TICK_S = 0.025
_CALM_S = 0.1
_TRIES = 3


class Crew:
    """Workers and the attempts they have or wait for. For the loop's thread only."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        places: Places,
        reports: Reports,
        stopper: Stopper,
        settings: PoolSettings,
        environment: Mapping[str, str],
    ) -> None:
        self._loop, self._clock, self._places = loop, clock, places
        self._reports, self._stopper, self._settings = reports, stopper, settings
        self.errands: dict[Key, Errand] = {}
        self._line = Line()
        self._staff = Staff(loop, clock, places, settings, environment, self._line)
        self._staff.on_word, self._staff.on_end = self._heard, self._gone
        self.workers = self._staff.workers
        self._untold: dict[Key, Worker] = {}
        self._short = False
        self._timer: Timer | None = None
        self._timer_at = 0.0

    # ---- what is asked of it --------------------------------------------------------------------

    def add(self, errand: Errand) -> None:
        """Have it done. Call `pump` after the last."""
        self.errands[errand.key] = errand
        self._line.push(errand)

    def cancel(self, key: Key) -> None:
        """Stop an attempt, wherever it is on its way. Unknown ones are ignored."""
        errand = self.errands.get(key)
        if errand is None:
            return
        errand.stop_wanted = True
        worker = next((w for w in self.workers if w.current is errand or key in w.ahead), None)
        if worker is not None and worker.current is errand:
            self._stop(worker, Reason.CANCELLED)
            return
        if worker is not None:
            self._line.push_front(worker.take_back())
        if self._line.remove(key) is not None:
            self._never(errand, Outcome.CANCELLED, "cancelled", "cancelled before it began")
        self.pump()

    def forget(self, key: Key) -> None:
        """Its end is durable."""
        self._reports.ended.discard(key)
        worker = self._untold.pop(key, None)
        if worker is not None:
            worker.unacknowledged.pop(key, None)
            if worker.dead and not worker.unacknowledged:
                remove_worker(worker.prefix)

    # ---- handing out ----------------------------------------------------------------------------

    def pump(self) -> None:
        """Give out what can be given, the oldest first. While that has no worker for its path nobody else gets more:
        one is to fall idle and make room.
        """
        self._short = False
        full: set[Path] = set()
        while not self._short and (path := next((p for p in self._line.paths() if p not in full), None)) is not None:
            worker = self._staff.taker(path)
            if worker is not None and self._hand(worker):
                continue
            if not self.workers and self._staff.trouble:
                self._refuse(path, self._staff.trouble)
            full.add(path)
            self._short = not self._staff.serves(path)
        self._arm()

    def _hand(self, worker: Worker) -> bool:
        errand = self._line.pop(worker.path)
        if errand is None:
            return False
        if worker.idle:
            worker.since = self._clock.monotonic()
        if worker.give(errand):
            return True
        self._line.push_front([errand])
        return False

    def _refill(self, worker: Worker) -> None:
        while worker.open and (worker.idle or len(worker.ahead) < self._staff.depth(worker)):
            if not self._hand(worker):
                return

    def _refuse(self, path: Path, why: str) -> None:
        errand = self._line.pop(path)
        if errand is not None:
            self._never(errand, Outcome.FAILED, "worker_failed", why)

    # ---- what they say --------------------------------------------------------------------------

    def _heard(self, worker: Worker) -> None:
        for packet in worker.receive():
            self._absorb(worker, read_journal(worker.prefix) if packet == BEHIND else packet)
        if self._short:
            self.pump()
        elif len(self._line):
            self._refill(worker)

    def _absorb(self, worker: Worker, data: bytes) -> None:
        """Take note of records; those known already change nothing."""
        for kind, record in records(data):
            key = (record.run, record.number)
            if isinstance(record, Over):
                errand = worker.current
                if errand is not None and errand.key == key:
                    worker.current = None
                    worker.ends += 1
                    worker.unacknowledged[key] = worker.ends
                    self._untold[key] = worker
                    worker.pace = 0.8 * worker.pace + 0.2 * record.seconds
                    errand.over = record
                    if errand is not worker.chased:
                        self._over(errand)
                    elif not worker.dead:
                        self._stopper.hurry(key)
            elif kind == "S":
                errand = worker.ahead.pop(key, None)
                if errand is not None:
                    self._began(worker, errand, record.at)
            elif worker.current is not None and worker.current.key == key:
                self._refused(worker, worker.current)
        worker.since = self._clock.monotonic()
        worker.ready = True

    def _began(self, worker: Worker, errand: Errand, at: float) -> None:
        worker.current, errand.began = errand, at
        if errand.spec.timeout_s is not None:
            errand.deadline = self._clock.monotonic() + errand.spec.timeout_s
            self._arm()
        self._reports.started(errand, worker.prefix, worker.pid, worker.start)
        if errand.stop_wanted:
            self._loop.submit(lambda: self._stop(worker, Reason.CANCELLED) if worker.current is errand else None)

    def _refused(self, worker: Worker, errand: Errand) -> None:
        """It was not begun: another node has revoked it, or the worker was on its way out."""
        worker.current = None
        if errand is worker.chased or errand.stop_wanted:
            self._never(errand, Outcome.CANCELLED, "cancelled", "cancelled before it began")
        elif os.path.exists(self._places.fence(*errand.key)):
            self._never(errand, Outcome.LOST, "lost", "another node has taken it over before it began")
        else:
            self._line.push_front([errand])

    def _over(self, errand: Errand) -> None:
        self.errands.pop(errand.key, None)
        self._reports.over(errand)

    def _never(self, errand: Errand, outcome: Outcome, code: str, message: str) -> None:
        self.errands.pop(errand.key, None)
        self._reports.never(errand, outcome, code, message)

    # ---- stopping, dying ------------------------------------------------------------------------

    def _stop(self, worker: Worker, reason: Reason) -> None:
        if worker.chased is not None or worker.dead:
            return
        errand = worker.current
        self._absorb(worker, read_journal(worker.prefix))
        if errand is None or worker.current is not errand:  # it has ended meanwhile
            return
        worker.chased, worker.retired = errand, True
        self._line.push_front(worker.take_back())

        def sync() -> None:
            self._absorb(worker, read_journal(worker.prefix))

        self._stopper.stop(worker, errand, reason, sync, lambda left, spared: self._stopped(worker, left, spared))
        self.pump()

    def _stopped(self, worker: Worker, survivors: str, spared: bool) -> None:
        errand, worker.chased = worker.chased, None
        assert errand is not None
        if spared and not worker.dead:
            self._over(errand)
            worker.retire()
            if worker.current is not None and worker.current.stop_wanted:  # said while the other one was being stopped
                self._stop(worker, Reason.CANCELLED)
            return
        worker.killed, worker.survivors = errand, survivors
        if worker.dead:
            self._clear(worker)

    def _gone(self, worker: Worker) -> None:
        """Its process has ended."""
        for fd in (worker.pidfd, worker.socket.fileno()):
            self._loop.unwatch(fd)
        worker.dead = True
        for packet in worker.receive():
            self._absorb(worker, packet)
        self._absorb(worker, read_journal(worker.prefix))
        back = worker.take_back() + list(worker.ahead.values())
        worker.ahead.clear()
        self._again(worker, back)
        if worker.chased is not None:
            self._stopper.hurry(worker.chased.key)
        else:
            self._clear(worker)
        self.pump()

    def _clear(self, worker: Worker) -> None:
        """What it was at when it died has left nothing behind, before that is told."""
        left = worker.current
        if left is not None and left.intent is None:
            self._stopper.sweep(worker, left, lambda survivors: self._bury(worker, survivors), session=True)
        else:
            self._bury(worker, worker.survivors)

    def _again(self, worker: Worker, errands: list[Errand]) -> None:
        """Others do what it has not begun, unless workers die of starting."""
        for errand in errands:
            errand.tries += not worker.ends and worker.current is None
            if errand.stop_wanted:
                self._never(errand, Outcome.CANCELLED, "cancelled", "cancelled before it began")
            elif errand.tries >= _TRIES:
                self._never(errand, Outcome.FAILED, "worker_failed", worker.last_words())
        self._line.push_front(errand for errand in errands if errand.key in self.errands)

    def _bury(self, worker: Worker, survivors: str) -> None:
        code, errand, killed = worker.reap(), worker.current, worker.killed
        if killed is not None and killed.over is not None:
            self._over(killed)
        if errand is not None:
            worker.ends += 1
            worker.unacknowledged[errand.key] = worker.ends
            self._untold[errand.key] = worker
            self.errands.pop(errand.key, None)
            self._reports.died(errand, worker.prefix, code, ours=True, survivors=survivors)
        self.workers.remove(worker)
        worker.close()
        if not worker.unacknowledged:
            remove_worker(worker.prefix)
        self.pump()

    # ---- time -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for worker in list(self.workers):
            self._loop.guarded(partial(self._look_after, worker, now), partial(_replace, worker))()
        self._staff.grow()
        self.pump()

    def _look_after(self, worker: Worker, now: float) -> None:
        errand = worker.current
        if errand is not None and errand.deadline is not None and errand.deadline <= now:
            self._stop(worker, Reason.TIMED_OUT)
        elif now - worker.since > HOLD_S and not worker.idle:
            if worker.ahead and worker.open:
                self._line.push_front(worker.take_back())
            if errand is not None:
                self._reports.watch(errand, worker.prefix)
        elif worker.idle and now - worker.since > self._settings.idle_s:
            worker.retire()

    def _arm(self) -> None:
        """The next look: soon while something waits, at the next timeout, or to let idle workers go."""
        now = self._clock.monotonic()
        wait_s = self._settings.idle_s + 1.0
        if len(self._line):
            wait_s = _TICK_S
        elif any(worker.current is not None or worker.ahead for worker in self.workers):
            hasty = any(worker.ahead for worker in self.workers)
            deadlines = [w.current.deadline - now for w in self.workers if w.current and w.current.deadline]
            wait_s = max(0.0, min([_TICK_S if hasty else _CALM_S, *deadlines]))
        elif not self.workers:
            return
        if self._timer is not None:
            if self._timer_at <= now + wait_s:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.after(wait_s, self._tick), now + wait_s


def _replace(worker: Worker, error: Exception) -> None:
    """One that cannot be looked after is killed: what it was at has an end then, and another does the rest."""
    worker.signal(signal.SIGKILL)
