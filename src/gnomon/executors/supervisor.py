"""The life of attempts inside the loop's thread: watch, stop, end. They come from `launcher.py` and `adopter.py`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gnomon.core.attempts import AttemptSpec, Ended, Event, Outcome, Sink, Started
from gnomon.core.ports import Clock

from . import processes
from .attempt import Attempt, Key, handle_of, log_limit
from .capping import CappedLog, held
from .ending import NO_FILE, Facts, could_not_fork, ended, exit_code, never, unknown
from .files import AttemptFiles, Intent, Reason, read_claim, read_exit, read_intent, record_intent
from .invocation import identity, scope_of
from .killing import Killer, Tree
from .logwatch import LogWatch
from .loop import Call, Loop
from .processes import mark_of
from .shim import Spawner

_GLANCE_S = 0.25  # between looks at an attempt that can not be waited for


class Supervisor:
    """All attempts of one executor. For the loop's thread only."""

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        sink: Sink,
        worker: str,
    ) -> None:
        self.files = AttemptFiles(directory)
        self.files.open()
        self.clock, self.worker = clock, worker
        self.spawner = Spawner()
        self.loop = Loop(clock, "gnomon-commands", self._close)
        self._sink = sink
        self.scope = scope_of(directory)
        self.live: dict[Key, Attempt] = {}
        self.ended: set[Key] = set()
        self._killer = Killer(self.loop, clock)
        self._logs = LogWatch(self.loop, clock)
        self._contested: Callable[[AttemptSpec], None] = lambda spec: None

    def on_contested(self, call: Callable[[AttemptSpec], None]) -> None:
        """Whom to ask when our shim found its attempt claimed already."""
        self._contested = call

    def attempt(self, spec: AttemptSpec, base: str, pid: int, start: int, began: float) -> Attempt:
        """A record of an attempt, not watched yet."""
        mark = mark_of(identity(spec, self.scope))
        log = CappedLog(base + ".log", log_limit(spec))
        return Attempt(spec, base, log, mark, pid, start, -1, own=False, began=began)

    def started(self, attempt: Attempt, at: datetime) -> None:
        """Tell that it runs, and where."""
        spec, spawner = attempt.spec, self.spawner
        handle = handle_of(self.worker, attempt.pid, attempt.start, spawner.boot, spawner.namespace, attempt.base)
        self.emit(Started(spec.run_id, spec.number, spec.token, at, handle))

    # ---- watching -------------------------------------------------------------------------------

    def watch(self, attempt: Attempt) -> None:
        """Wait for the end of an attempt, guard its time and its log."""
        self.live[attempt.key] = attempt
        if attempt.pidfd >= 0:
            try:
                self.loop.watch(attempt.pidfd, self.guarded(attempt, lambda: self._exited(attempt)))
            except OSError:
                self._let_go(attempt)
        if attempt.pidfd < 0:
            attempt.glance = self.loop.after(_GLANCE_S, self.guarded(attempt, lambda: self._glance(attempt)))
        if attempt.spec.timeout_s is not None:
            left_s = attempt.began + attempt.spec.timeout_s - self.clock.monotonic()
            stop = self.guarded(attempt, lambda: self.stop(attempt.key, Reason.TIMED_OUT))
            attempt.deadline = self.loop.after(left_s, stop)
        self._logs.add(attempt.log)

    def _exited(self, attempt: Attempt) -> None:
        self._let_go(attempt)
        attempt.gone = True
        if attempt.tree is not None:
            self._killer.hurry(attempt.tree)
        else:
            self.conclude(attempt)

    def _glance(self, attempt: Attempt) -> None:
        """Look at an attempt for which there is no pidfd: in another namespace, or for want of descriptors."""
        if attempt.elsewhere:
            found = read_exit(attempt.base)
            gone = (found is not None and found.code is not None) or not held(attempt.base + ".log")
        else:
            shim = processes.find(attempt.pid)
            gone = shim is None or shim.start != attempt.start or shim.state in "ZX"
        if gone:
            self._exited(attempt)
        else:
            attempt.glance = self.loop.after(_GLANCE_S, self.guarded(attempt, lambda: self._glance(attempt)))

    def guarded(self, attempt: Attempt, call: Call) -> Call:
        """`call`, made for this attempt: if it raises, the attempt is stopped and ends as one whose end nobody saw."""
        return self.loop.guarded(call, lambda error: self._rescue(attempt, error))

    def _rescue(self, attempt: Attempt, error: Exception) -> None:
        if attempt.key not in self.live or attempt.elsewhere:
            self._give_up(attempt, error)
        elif attempt.tree is None:
            self.loop.guarded(
                lambda: self.pursue(attempt, Intent(Reason.LOST, self.clock.now())),
                lambda again: self._give_up(attempt, again),
            )()

    def _give_up(self, attempt: Attempt, error: Exception) -> None:
        for part in (self._reap, self._release):
            with contextlib.suppress(Exception):
                part(attempt)
        self.emit(unknown(attempt.spec, self.clock.now(), error))

    def _let_go(self, attempt: Attempt) -> None:
        if attempt.pidfd >= 0:
            self.loop.unwatch(attempt.pidfd)
            os.close(attempt.pidfd)
            attempt.pidfd = -1

    # ---- stopping -------------------------------------------------------------------------------

    def stop(self, key: Key, reason: Reason, *, again: bool = False) -> None:
        """Stop an attempt for this reason, unless it is being stopped or has ended by itself already.

        An exit that is written down is that of the shim, which is about to go, or of a command that wrote it itself.
        """
        attempt = self.live.get(key)
        if attempt is None or attempt.intent is not None or attempt.gone:
            return
        found = read_exit(attempt.base)
        if again or found is None or found.code is None:
            self.pursue(attempt, record_intent(attempt.base, Intent(reason, self.clock.now())))
            self._document(key, attempt)
        else:
            self.loop.after(_GLANCE_S, lambda: self.stop(key, reason, again=True))

    def _document(self, key: Key, attempt: Attempt) -> None:
        """An intent that the state directory has not taken is written as soon as it does: a successor goes by it."""
        if self.live.get(key) is attempt and attempt.intent is not None and read_intent(attempt.base) is None:
            record_intent(attempt.base, attempt.intent)
            self.loop.after(_GLANCE_S, lambda: self._document(key, attempt))

    def pursue(self, attempt: Attempt, intent: Intent) -> None:
        """Kill its tree; then it ends. The grace counts from the intent."""
        attempt.intent = intent
        if attempt.elsewhere:  # nothing of it is within reach; it ends when it ends
            return
        grace_s = max(0.0, attempt.spec.kill_grace_s - intent.waited_s())
        attempt.tree = Tree(
            attempt.target,
            self.clock.monotonic() + grace_s,
            done=lambda survivors: self.loop.guarded(
                lambda: self.finish(attempt, survivors), lambda error: self._give_up(attempt, error)
            )(),
            witness_gone=lambda: attempt.gone,
        )
        self._killer.add(attempt.tree)

    # ---- ending ---------------------------------------------------------------------------------

    def conclude(self, attempt: Attempt) -> None:
        """Its shim is gone: it has ended, or it must be made sure that nothing of it is left."""
        claim = read_claim(attempt.base)
        if attempt.own and (claim is None or claim.pid != attempt.pid):
            self._reap(attempt)
            if (claim is None or not claim.whole) and self._was_barren(attempt):
                self._release(attempt)
                text = "the command could not be started: no file can be made in the state directory"
                self.never_began(attempt.spec, Outcome.FAILED, "spawn_failed", text)
                return
            if claim is not None and claim.whole and attempt.wait_code in (NO_FILE, None):
                self._release(attempt)
                self._contested(attempt.spec)  # somebody else claimed or revoked first
                return
        facts = self._facts(attempt, "")
        known = exit_code(facts) is not None or (facts.exit is not None and facts.exit.bad_cwd)
        if known or could_not_fork(facts) or attempt.elsewhere:
            self.finish(attempt)
        else:
            self.pursue(attempt, Intent(Reason.LOST, self.clock.now()))

    def _was_barren(self, attempt: Attempt) -> bool:
        """Whether a shim without a whole claim has proved that nothing began: it would have made an exit, and the log,
        which we made, is still there, so that nobody has emptied the folder.
        """
        whole = read_exit(attempt.base) is None and os.path.lexists(attempt.base + ".log")
        return whole and (attempt.wait_code == NO_FILE or (attempt.wait_code or 0) < 0)

    def _facts(self, attempt: Attempt, survivors: str) -> Facts:
        if attempt.gone and attempt.own and not attempt.tree:
            self._reap(attempt)
        claim = read_claim(attempt.base)
        return Facts(
            claim,
            read_exit(attempt.base),
            attempt.intent,
            self.clock.now(),
            wait_code=attempt.wait_code,
            measured_s=self.clock.monotonic() - attempt.began if attempt.measured else None,
            survivors=survivors,
        )

    def finish(self, attempt: Attempt, survivors: str = "") -> None:
        """It is over and nothing of it is left, but for `survivors`."""
        self._reap(attempt)
        self._release(attempt)
        kept = self._logs.finish(attempt.log)
        self.emit(ended(attempt.spec, attempt.base, replace(self._facts(attempt, survivors), log_bytes=kept)))

    def _reap(self, attempt: Attempt) -> None:
        """Wait for the shim if it is a child of this process, ours or a predecessor's in the same process."""
        if attempt.reaped or not attempt.gone:
            return
        attempt.reaped = True
        if not attempt.own:
            shim = processes.find(attempt.pid)
            if shim is None or shim.start != attempt.start or shim.parent != os.getpid():
                return
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(attempt.pid, os.WNOHANG)
            if pid:
                attempt.wait_code = os.waitstatus_to_exitcode(status)

    def _release(self, attempt: Attempt) -> None:
        self.live.pop(attempt.key, None)
        self._let_go(attempt)
        for timer in (attempt.deadline, attempt.glance):
            if timer is not None:
                timer.cancel()
        self._logs.remove(attempt.log)

    def never_began(self, spec: AttemptSpec, outcome: Outcome, code: str, message: str) -> None:
        """It is over without having begun."""
        CappedLog(self.files.base(spec.run_id, spec.number) + ".log", log_limit(spec)).finish()
        self.emit(never(spec, self.clock.now(), outcome, code, message))

    def renew(self, key: Key, spec: AttemptSpec) -> bool:
        """The attempt goes on under a new token if it is in our hands; else False, and it may end once more."""
        if key in self.live:
            self.live[key].spec = spec
        else:
            self.ended.discard(key)
            return False
        return True

    def emit(self, event: Event) -> None:
        """Hand an event on. One `Ended` per attempt until it is forgotten."""
        if isinstance(event, Ended):
            key = (event.run_id, event.number)
            if key in self.ended:
                return
            self.ended.add(key)
        self._sink(event)

    def forget(self, key: Key) -> None:
        """Remove the protocol files of an ended attempt."""
        self.ended.discard(key)
        if key not in self.live:
            self.files.forget(*key)

    def _close(self) -> None:
        for attempt in self.live.values():
            self._let_go(attempt)
        self.spawner.close()
