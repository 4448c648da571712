"""Beginning attempts: in order, in batches, patient when the machine is short of something."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from gnomon.core.attempts import AttemptSpec, Outcome

from .attempt import Key, log_limit
from .capping import CappedLog
from .ending import unknown
from .invocation import Invocation, Refused, Source, invocation
from .shim import RETRY, spawn_words
from .supervisor import Supervisor

_LOG = logging.getLogger(__name__)
_BATCH_S = 0.02  # of spawning, before looking at what has ended
_SHORTAGE_S = 5.0  # how long a lack of processes, memory, descriptors or disk is waited out


class Launcher:
    """The queue of attempts that wait to be spawned. For the loop's thread only."""

    def __init__(self, supervisor: Supervisor, environment: Mapping[str, str], source: Source) -> None:
        self._supervisor, self._clock = supervisor, supervisor.clock
        self._inherited, self._source = environment, source
        self._waiting: dict[Key, AttemptSpec] = {}
        self._pumping = False
        self._short_since: float | None = None

    def renew(self, key: Key, spec: AttemptSpec) -> bool:
        """A waiting attempt goes on under a new token; False if it does not wait."""
        if key not in self._waiting:
            return False
        self._waiting[key] = spec
        return True

    def withdraw(self, key: Key) -> None:
        """Cancel an attempt that still waits."""
        spec = self._waiting.pop(key, None)
        if spec is not None:
            text = "cancelled before it began"
            self._supervisor.never_began(spec, Outcome.CANCELLED, "cancelled", text)

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        """Queue attempts for spawning, in order; known ones are ignored."""
        for spec in specs:
            key = (spec.run_id, spec.number)
            if key not in self._supervisor.live and key not in self._supervisor.ended:
                self._waiting.setdefault(key, spec)
        if not self._pumping:
            self._pump()

    def _pump(self) -> None:
        self._pumping = False
        if not self._waiting:
            return
        try:
            self._supervisor.spawner.survey()
        except OSError:  # no descriptor for that just now
            self._later()
            return
        until = self._clock.monotonic() + _BATCH_S
        while self._waiting:
            key, spec = next(iter(self._waiting.items()))
            if not self._launch(spec):
                self._later()
                return
            self._waiting.pop(key, None)
            if self._clock.monotonic() > until:
                self._pumping = True
                self._supervisor.loop.submit(self._pump)
                return

    def _later(self) -> None:
        self._pumping = True
        self._supervisor.loop.after(0.1, self._pump)

    def _launch(self, spec: AttemptSpec) -> bool:
        """False: not now, for want of processes, memory, descriptors or disk."""
        try:
            base = self._supervisor.files.prepare(spec.run_id, spec.number)
            call = invocation(spec, base, self._supervisor.scope, self._inherited, self._source)
            self._spawn(spec, base, call)
        except Refused as refused:
            self._supervisor.never_began(spec, Outcome.FAILED, refused.code, str(refused))
        except OSError as error:
            if error.errno in RETRY and not self._overdue():
                return False
            self._supervisor.never_began(spec, Outcome.FAILED, "spawn_failed", spawn_words(error))
        except ValueError as error:  # what no process can take: a NUL byte, half a character
            self._supervisor.never_began(spec, Outcome.FAILED, "bad_arguments", f"the task can not run: {error}")
        except Exception as error:  # its own, and not that of those behind it
            _LOG.exception("starting run %s failed", spec.run_id)
            if (spec.run_id, spec.number) not in self._supervisor.live:
                self._supervisor.emit(unknown(spec, self._clock.now(), error))
        else:
            self._short_since = None
        return True

    def _overdue(self) -> bool:
        now = self._clock.monotonic()
        if self._short_since is None:
            self._short_since = now
        return now - self._short_since > _SHORTAGE_S

    def _spawn(self, spec: AttemptSpec, base: str, call: Invocation) -> None:
        log = CappedLog(base + ".log", log_limit(spec))
        at, began = self._clock.now(), self._clock.monotonic()
        try:
            new = self._supervisor.spawner.spawn(base, call)
        except BaseException:
            log.finish()
            raise
        supervisor = self._supervisor
        attempt = supervisor.attempt(spec, base, new.pid, new.start, began)
        attempt.pidfd, attempt.own, attempt.log = new.pidfd, True, log
        supervisor.started(attempt, at)
        supervisor.watch(attempt)
