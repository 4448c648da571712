"""Giving attempts to the one worker, hearing of them, and killing it when it does not do what was asked of it.

There is one worker that takes attempts; another may be at the last ones of its own while it leaves. A worker that dies
takes with it what it had begun: those attempts are lost. What it had not begun goes to the next.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from gnomon.core.attempts import Outcome
from gnomon.core.ports import Clock
from gnomon.executors.attempt import Key
from gnomon.executors.files import Intent, Reason, record_intent
from gnomon.executors.killing import Killer, Tree
from gnomon.executors.loop import Loop, Timer
from gnomon.executors.pool.places import Places, read_journal, remove_worker
from gnomon.executors.pool.settling import how
from gnomon.executors.pool.wire import BEHIND, Over, records
from gnomon.executors.pool.worker import Errand

from .reports import HANGS, SharedReports
from .talk import BLAME, PING, unpack_blame
from .worker import SharedSettings, SharedWorker

_LOG = logging.getLogger("gnomon")
_TRIES = 3
_AGAIN_S = 0.05  # until the next look while something waits
_SLACK_S = 0.5  # for the worker to stop by itself what has run out of time
_LOOKS = 4  # without an answer, before silence is believed: it may be us who stood still
_BLAME_S = 0.3  # for a worker that hangs to say in what


class SharedCrew:
    """The worker, and attempts it has or that wait for it. For the loop's thread only."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        places: Places,
        reports: SharedReports,
        settings: SharedSettings,
        environment: Mapping[str, str],
        scope: str,
    ) -> None:
        self._loop, self._clock, self._places, self._reports = loop, clock, places, reports
        self._settings, self._environment, self._scope = settings, environment, scope
        self._killer = Killer(loop, clock)
        self.errands: dict[Key, Errand] = {}
        self.workers: list[SharedWorker] = []
        self._waiting: dict[Key, Errand] = {}
        self._untold: dict[Key, SharedWorker] = {}
        self._idle_since = 0.0
        self._timer: Timer | None = None
        self._timer_at = 0.0

    # ---- what is asked of it --------------------------------------------------------------------

    def add(self, errand: Errand) -> None:
        """Have it done. Call `pump` after the last."""
        self.errands[errand.key] = self._waiting[errand.key] = errand

    def cancel(self, key: Key) -> None:
        """Stop an attempt, wherever it is on its way. Unknown ones are ignored."""
        errand = self.errands.get(key)
        if errand is None:
            return
        errand.stop_wanted = True
        if self._waiting.pop(key, None) is not None:
            self._never(errand, Outcome.CANCELLED, "cancelled", "cancelled before it began")
        for worker in self.workers:
            if key in worker.running:
                self._stop(worker, errand)

    def forget(self, key: Key) -> None:
        """Its end is durable."""
        self._reports.ended.discard(key)
        worker = self._untold.pop(key, None)
        if worker is not None:
            worker.forget(key)
            if worker.dead and not worker.unacknowledged:
                remove_worker(worker.prefix)

    # ---- handing out ----------------------------------------------------------------------------

    def pump(self) -> None:
        """Give out what can be given."""
        while self._waiting:
            worker = next((one for one in self.workers if one.open), None) or self._spawn()
            if worker is None or sum(one.load for one in self.workers) >= self._settings.size:
                break
            key, errand = next(iter(self._waiting.items()))
            if not worker.give(errand):
                break
            del self._waiting[key]
        self._arm()

    def _spawn(self) -> SharedWorker | None:
        try:
            worker = SharedWorker(self._places.new_worker(), self._settings, self._environment, self._scope)
            self._loop.watch(worker.socket.fileno(), lambda: self._heard(worker))
            self._loop.watch(worker.pidfd, lambda: self._gone(worker))
        except OSError as error:
            waiting, self._waiting = list(self._waiting.values()), {}
            for errand in waiting:
                text = f"no worker process could be started: {error}"
                self._never(errand, Outcome.FAILED, "worker_failed", text)
            return None
        worker.since = self._clock.monotonic()
        self.workers.append(worker)
        return worker

    def _again(self, errands: list[Errand]) -> None:
        """Back to the head of the line, in their old order."""
        back = {errand.key: errand for errand in sorted(errands, key=lambda one: one.order)}
        self._waiting = {**back, **self._waiting}

    # ---- what it says ---------------------------------------------------------------------------

    def _heard(self, worker: SharedWorker) -> None:
        for packet in worker.receive():
            if packet == PING:
                worker.asked = None
            elif packet[:1] == BLAME:
                worker.blamed = unpack_blame(packet)
            else:
                self._absorb(worker, read_journal(worker.prefix) if packet == BEHIND else packet)
        if not worker.ready:
            worker.ready, worker.asked = True, None
        self._idle_since = self._clock.monotonic()
        self.pump()

    def _absorb(self, worker: SharedWorker, data: bytes) -> None:
        """Take note of records; those known already change nothing."""
        found = list(records(data))
        refused = {(record.run, record.number) for kind, record in found if kind == "R"}
        for kind, record in found:
            key = (record.run, record.number)
            if isinstance(record, Over):
                errand = worker.running.pop(key, None)
                if errand is not None:
                    errand.over = record
                    self._told(worker, key)
                    self._reports.over(errand)
            elif kind == "S" and key not in refused:
                errand = worker.ahead.pop(key, None)
                if errand is not None:
                    self._began(worker, errand, record.at)
            elif kind == "R":
                errand = worker.running.pop(key, None) or worker.ahead.pop(key, None)
                if errand is not None:
                    self._refused(worker, errand)

    def _began(self, worker: SharedWorker, errand: Errand, at: float) -> None:
        worker.running[errand.key], errand.began = errand, at
        if errand.spec.timeout_s is not None:
            whole_s = errand.spec.timeout_s + errand.spec.kill_grace_s + _SLACK_S
            errand.deadline = self._clock.monotonic() + whole_s
            self._wake(errand.deadline)
        self._reports.started(errand, worker.prefix, worker.pid, worker.start)
        if errand.stop_wanted:
            self._loop.submit(lambda: self._stop(worker, errand))

    def _refused(self, worker: SharedWorker, errand: Errand) -> None:
        """It was not begun: another node has revoked it, or the worker is leaving."""
        if errand.stop_wanted:
            self._never(errand, Outcome.CANCELLED, "cancelled", "cancelled before it began")
        elif os.path.exists(self._places.fence(*errand.key)):
            self._never(errand, Outcome.LOST, "lost", "another node has taken it over before it began")
        else:
            worker.retired = True
            errand.tries += not worker.ends and not worker.running
            if errand.tries >= _TRIES:
                self._never(
                    errand, Outcome.FAILED, "worker_failed", "worker processes begin nothing: is the disk full?"
                )
            else:
                self._again([errand])

    def _told(self, worker: SharedWorker, key: Key) -> None:
        """Its end is in that worker's journal, as long as it is not durable elsewhere."""
        self.errands.pop(key, None)
        worker.ends += 1
        worker.unacknowledged[key] = worker.ends
        self._untold[key] = worker

    def _never(self, errand: Errand, outcome: Outcome, code: str, message: str) -> None:
        self.errands.pop(errand.key, None)
        self._reports.never(errand, outcome, code, message)

    # ---- stopping -------------------------------------------------------------------------------

    def _stop(self, worker: SharedWorker, errand: Errand) -> None:
        """Have the worker cancel it; when that has not helped within its grace the worker is killed."""
        self._absorb(worker, read_journal(worker.prefix))
        if errand.key not in worker.running or errand.intent is not None:
            return
        errand.intent = record_intent(errand.base, Intent(Reason.CANCELLED, self._clock.now()))
        deadline = self._clock.monotonic() + errand.spec.kill_grace_s
        errand.deadline = deadline if errand.deadline is None else min(errand.deadline, deadline)
        worker.look()
        self._wake(errand.deadline)

    def _condemn(self, worker: SharedWorker, why: str) -> None:
        """Kill it. First it may say what it hangs in."""
        if worker.condemned or worker.dead:
            return
        worker.condemned, worker.retired = why, True
        worker.blame()
        self._loop.after(_BLAME_S, lambda: None if worker.dead else worker.kill())

    def _overdue(self, worker: SharedWorker, now: float) -> None:
        """What was to have ended long ago decides that its worker dies."""
        for errand in worker.running.values():
            if errand.deadline is not None and errand.deadline <= now:
                if errand.intent is None:
                    errand.intent = record_intent(errand.base, Intent(Reason.TIMED_OUT, self._clock.now()))
                whose = f"run {errand.spec.run_id} of job {errand.spec.job_id}"
                self._condemn(worker, f"{whose} did not end when it was stopped, so the shared worker was killed")

    def _listen(self, worker: SharedWorker, now: float) -> None:
        """Ping it; kill it when it has not answered for long."""
        if worker.asked is None:
            worker.ping(now)
            return
        worker.looks += 1
        patience_s = self._settings.patience_s * (1 if worker.ready else 3)
        if now - worker.asked > patience_s and worker.looks > _LOOKS:
            self._condemn(worker, HANGS.format(seconds=patience_s))

    # ---- dying ----------------------------------------------------------------------------------

    def _gone(self, worker: SharedWorker) -> None:
        """Its process has ended."""
        for fd in (worker.pidfd, worker.socket.fileno()):
            self._loop.unwatch(fd)
        worker.dead = True
        for packet in worker.receive():
            if packet[:1] == BLAME:
                worker.blamed = unpack_blame(packet)
            elif packet not in (PING, BEHIND):
                self._absorb(worker, packet)
        self._absorb(worker, read_journal(worker.prefix))
        tree = Tree(lambda: worker.target, self._clock.monotonic(), lambda left: self._bury(worker, left), lambda: True)
        self._killer.add(tree)

    def _bury(self, worker: SharedWorker, survivors: str) -> None:
        code = worker.reap()
        why = worker.condemned or "the shared worker has died in the midst of it"
        if worker.running:
            _LOG.error("%s: %s; lost with it: %d attempts", why, how(code), len(worker.running))
        culprit, at = worker.blamed or (None, "")
        for key, errand in list(worker.running.items()):
            self._told(worker, key)
            if key == culprit and errand.intent is None:
                self._reports.culprit(errand, at, code)
            else:
                if culprit is not None and errand.intent is not None and errand.intent.reason is Reason.TIMED_OUT:
                    errand.intent = errand.intent if key == culprit else None  # it was held up by another
                self._reports.died(errand, worker.prefix, code, ours=True, survivors=survivors, lost=why)
        worker.running.clear()
        back, worker.ahead = list(worker.ahead.values()), {}
        for errand in back:
            errand.tries += not worker.ready
            if errand.stop_wanted:
                self._never(errand, Outcome.CANCELLED, "cancelled", "cancelled before it began")
            elif errand.tries >= _TRIES:
                self._never(errand, Outcome.FAILED, "worker_failed", worker.last_words())
        self._again([errand for errand in back if errand.key in self.errands])
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
            if worker.condemned or worker.dead:
                continue
            self._overdue(worker, now)
            if worker.busy:
                self._listen(worker, now)
            elif worker.open and now - self._idle_since > self._settings.idle_s:
                worker.retire()
        self.pump()
        alive = (worker for worker in self.workers if not worker.condemned and not worker.dead)
        deadlines = [e.deadline for worker in alive for e in worker.running.values() if e.deadline is not None]
        if deadlines:
            self._wake(min(deadlines))

    def _arm(self) -> None:
        """The next look: soon while something waits, at the next deadline, for the next ping, or to let it go."""
        if not self.workers:
            return
        wait_s = self._settings.idle_s + 1.0
        if self._waiting:
            wait_s = _AGAIN_S
        elif any(worker.busy for worker in self.workers):
            wait_s = self._settings.patience_s / _LOOKS
        self._wake(self._clock.monotonic() + wait_s)

    def _wake(self, at: float) -> None:
        """Look no later than `at`."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.after(max(0.0, at - self._clock.monotonic()), self._tick), at
