"""What the executor `shared` tells the engine. Its worker writes the logs of attempts itself, and bounds them."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.attempts import Failure, Outcome
from gnomon.executors.pool.reports import Reports
from gnomon.executors.pool.settling import died
from gnomon.executors.pool.worker import Errand
from gnomon.system.plainfiles import size_of

HANGS = "the shared worker did not answer for {seconds:g} s and was killed"


class SharedReports(Reports):
    """For the loop's thread only."""

    def watch(self, errand: Errand, prefix: str) -> None:
        """Nothing to do."""

    def culprit(self, errand: Errand, at: str, code: int | None) -> None:
        """The worker had to be killed because this attempt has held up all the others, there."""
        size = size_of(errand.base + ".log")
        ended = died(errand.spec, errand.began, self._clock.now(), errand.intent, code, ours=True, log_bytes=size)
        text = f"it held up the shared worker, with all that waited in it, at {at}: async functions must not block"
        self.emit(replace(ended, outcome=Outcome.FAILED, error=Failure("loop_blocked", text)))
