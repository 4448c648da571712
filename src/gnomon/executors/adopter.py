"""Taking attempts over: from a finding (`adoption.py`) to an end, a watch, or another look."""

from __future__ import annotations

from collections.abc import Sequence

from gnomon.core.attempts import Adoption, AttemptSpec, Outcome

from .adoption import Fate, Finding, look, settle
from .attempt import Attempt, Key, Trace, elapsed_since, trace_of
from .ending import unknown
from .files import Intent, Reason, read_intent
from .launcher import Launcher
from .loop import Call
from .processes import pidfd
from .supervisor import Supervisor

_AGAIN_S = 0.02
_UNCLEAR_S = 5.0


class Adopter:
    """Works on the supervisor's attempts, in the loop's thread."""

    def __init__(self, supervisor: Supervisor, launcher: Launcher) -> None:
        self._supervisor, self._launcher = supervisor, launcher
        self._unclear: dict[Key, Adoption] = {}
        self._cancelled: set[Key] = set()
        supervisor.on_contested(lambda spec: self._take(Adoption(spec, None)))

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Each gives one `Ended` sooner or later."""
        for orphan in orphans:
            self._take(orphan)

    def cancel(self, key: Key) -> None:
        """Stop an attempt, wherever it is on its way."""
        if key in self._unclear:
            self._cancelled.add(key)
        else:
            self._launcher.withdraw(key)
            self._supervisor.stop(key, Reason.CANCELLED)

    def _take(self, orphan: Adoption) -> None:
        key = (orphan.spec.run_id, orphan.spec.number)
        if key in self._unclear:
            self._unclear[key] = orphan
        elif not self._launcher.renew(key, orphan.spec) and not self._supervisor.renew(key, orphan.spec):
            self._unclear[key] = orphan
            self._guarded(key, self._supervisor.clock.monotonic())()

    def _guarded(self, key: Key, since: float) -> Call:
        """A look at what became of an attempt; if it raises, nobody will ever know."""
        spec = self._unclear[key].spec

        def rescue(error: Exception) -> None:
            self._unclear.pop(key, None)
            self._cancelled.discard(key)
            if key not in self._supervisor.live:
                self._supervisor.emit(unknown(spec, self._supervisor.clock.now(), error))

        return self._supervisor.loop.guarded(lambda: self._look(key, since), rescue)

    def _look(self, key: Key, since: float) -> None:
        supervisor, orphan = self._supervisor, self._unclear[key]
        trace = trace_of(orphan.handle)
        try:
            base = supervisor.files.prepare(*key)
            finding = look(base, trace, supervisor.spawner.boot, supervisor.spawner.namespace)
        except OSError:  # the directory can not be written just now: nothing can be decided
            supervisor.loop.after(1.0, self._guarded(key, supervisor.clock.monotonic() + 1.0))
            return
        if finding.fate is Fate.UNCLEAR:
            if supervisor.clock.monotonic() - since <= _UNCLEAR_S:
                supervisor.loop.after(_AGAIN_S, self._guarded(key, since))
                return
            finding = settle(base, finding)
        del self._unclear[key]
        self._settle(orphan, base, trace, finding)
        if key in self._cancelled:
            self._cancelled.discard(key)
            supervisor.stop(key, Reason.CANCELLED)

    def _settle(self, orphan: Adoption, base: str, trace: Trace, finding: Finding) -> None:
        supervisor, spec = self._supervisor, orphan.spec
        match finding.fate:
            case Fate.NEVER_BEGAN:
                supervisor.never_began(spec, Outcome.LOST, "lost", "its scheduler died before it began")
            case Fate.ALIVE:
                self._watch(orphan, base, finding)
            case Fate.ELSEWHERE:
                attempt = self._found(spec, base, trace, finding)
                attempt.elsewhere, attempt.intent = True, read_intent(base)
                supervisor.watch(attempt)
            case Fate.ENDED:
                self._end(spec, base, trace, finding)
            case Fate.GONE:
                attempt = self._found(spec, base, trace, finding)
                attempt.gone = True
                supervisor.live[attempt.key] = attempt
                supervisor.pursue(attempt, read_intent(base) or Intent(Reason.LOST, supervisor.clock.now()))
            case Fate.REBOOTED:
                attempt = self._found(spec, base, Trace(), finding)
                attempt.intent, attempt.pid = read_intent(base), 0
                supervisor.finish(attempt)
            case Fate.UNCLEAR:  # settled by the caller
                raise AssertionError

    def _watch(self, orphan: Adoption, base: str, finding: Finding) -> None:
        supervisor, spec, shim = self._supervisor, orphan.spec, finding.shim
        assert shim is not None
        began = supervisor.clock.monotonic() - elapsed_since(shim.start)
        attempt = supervisor.attempt(spec, base, shim.pid, shim.start, began)
        attempt.pidfd = pidfd(shim)
        if orphan.handle is None:
            at = finding.claim.at if finding.claim is not None else supervisor.clock.now()
            supervisor.started(attempt, at)
        supervisor.watch(attempt)
        intent = read_intent(base)
        if intent is not None:
            supervisor.pursue(attempt, intent)

    def _end(self, spec: AttemptSpec, base: str, trace: Trace, finding: Finding) -> None:
        """It ended by itself, or its predecessor was stopping it when it died: an intent that stands decides.

        Which was first can not be told by their times, and need not be: none is made of what has ended.
        """
        attempt = self._found(spec, base, trace, finding)
        attempt.gone = True
        intent = read_intent(base)
        if intent is None:
            self._supervisor.finish(attempt)
        else:
            self._supervisor.live[attempt.key] = attempt
            self._supervisor.pursue(attempt, intent)

    def _found(self, spec: AttemptSpec, base: str, trace: Trace, finding: Finding) -> Attempt:
        """A record of an attempt whose shim we can not hold: members are recognised by their mark alone."""
        supervisor, claim = self._supervisor, finding.claim
        pid = claim.pid if claim is not None else trace.pid
        attempt = supervisor.attempt(spec, base, pid, trace.start, supervisor.clock.monotonic())
        attempt.measured = False
        return attempt
