"""The executor of commands: supervised processes that survive the scheduler.

A command runs under a small shell (`shim.py`) in a session of its own, writes its own log, and leaves its exit
in a file; whoever opens the same directory next finds out how it ended or watches it on. One thread waits for
all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gnomon.core.attempts import Adoption, AttemptSpec, Sink
from gnomon.core.health import Check
from gnomon.core.ports import Clock

from .adopter import Adopter
from .files import AttemptFiles
from .invocation import NO_SECRETS, Source
from .launcher import Launcher
from .supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class _Parts:
    """What there is while the executor is open. For the loop's thread only."""

    supervisor: Supervisor
    launcher: Launcher
    adopter: Adopter


class CommandExecutor:
    """Performs attempts of type `command`. Implements `gnomon.core.attempts.Executor`.

    Args:
        directory: where attempts keep their files and logs; made with mode 0700. A successor is given the same.
            Local disk only; two executors may share it only while one takes over from the other.
        clock: wall clock for `Started` and intents, monotonic clock for timers. Must be the machine's.
        worker: name that `Handle.worker` carries.
        environment: what commands inherit (gnomon's own variables and the service manager's are left out);
            None: the environment of this process when `open` is called.
        source: where the secrets are that values of `env` and `stdin` refer to; by default there are none.

    Events come from one thread of its own. A sink that raises is logged; the event counts as delivered.
    """

    name = "commands"

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        worker: str = "local",
        environment: Mapping[str, str] | None = None,
        source: Source = NO_SECRETS,
    ) -> None:
        self._directory = directory
        self._clock, self._worker = clock, worker
        self._environment, self._source = environment, source
        self._parts: _Parts | None = None

    def open(self, sink: Sink) -> None:
        """Make ready: the directory, the thread; raises this process's soft limit of open files to the hard one.

        Raises:
            OSError: the directory can not be made.
        """
        environment = dict(os.environ) if self._environment is None else self._environment
        supervisor = Supervisor(self._directory, self._clock, sink, self._worker)
        launcher = Launcher(supervisor, environment, self._source)
        self._parts = _Parts(supervisor, launcher, Adopter(supervisor, launcher))
        supervisor.loop.start()

    def start(self, specs: Sequence[AttemptSpec]) -> None:
        """Begin these attempts, in order. Their claim must be durable. Known attempts are ignored."""
        batch = list(specs)
        self._submit(lambda parts: parts.launcher.start(batch))

    def adopt(self, orphans: Sequence[Adoption]) -> None:
        """Take over attempts of a dead owner; its own running ones merely get the new token."""
        batch = list(orphans)
        self._submit(lambda parts: parts.adopter.adopt(batch))

    def cancel(self, run_id: str, number: int) -> None:
        """Stop the whole tree of this attempt. Unknown attempts are ignored."""
        self._submit(lambda parts: parts.adopter.cancel((run_id, number)))

    def forget(self, run_id: str, number: int) -> None:
        """Remove what was kept for recovery; the log stays. Idempotent."""
        self._submit(lambda parts: parts.supervisor.forget((run_id, number)))

    def detach(self) -> None:
        """Stop watching and free everything; commands run on. No event comes after it returns. Idempotent."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.supervisor.loop.stop()

    def leftovers(self, before: datetime) -> list[tuple[str, int]]:
        """Attempts with recovery files all older than `before`, known to us or not.

        A janitor asks the store about each, and forgets those that have ended.
        """
        return list(AttemptFiles(self._directory).leftovers(before))

    def checks(self) -> Iterable[Check]:
        """What is wrong with its thread."""
        parts = self._parts
        return () if parts is None else parts.supervisor.loop.checks()

    def _submit(self, call: Callable[[_Parts], None]) -> None:
        parts = self._parts
        if parts is not None:
            parts.supervisor.loop.submit(lambda: call(parts))
