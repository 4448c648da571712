"""The one worker process of the executor `shared`, seen from its scheduler."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from gnomon.executors.attempt import Key
from gnomon.executors.pool.wire import packet
from gnomon.executors.pool.worker import Errand, PoolSettings, Worker
from gnomon.executors.processes import Mark, Target, mark_of

from .talk import ORDER, PING, pack_keys

_FORGET = 32


@dataclass(frozen=True, slots=True)
class SharedSettings(PoolSettings):
    """What can be set.

    Attributes:
        size: most attempts at once (all in one process).
        patience_s: seconds without an answer of the loop after which the process is killed.
        performer: the function that the worker calls with what was ordered: see `gnomon.tasks.performing.attend`.
    """

    patience_s: float = 10.0
    performer: str = "gnomon.tasks.performing:attend"


def marks_of(prefix: str, scope: str) -> dict[str, str]:
    """By which what a worker starts is recognised: node and number, as pids come again (in a container, the same)."""
    name = "/".join(prefix.split("/")[-2:])
    return {"GNOMON_RUN_ID": f"shared:{name}", "GNOMON_ATTEMPT": "0", "GNOMON_SCOPE": scope}


class SharedWorker(Worker):
    """A process that awaits many attempts.

    Attributes:
        ahead: given to it, not known to have begun. `running`: begun and not ended.
        asked: monotonic instant of a ping without an answer, else None; `looks`: how often it was looked for since.
        condemned: why it is being killed; `blamed`: which attempt held its loop up, and where.
    """

    program = "gnomon.executors.shared.child"

    def __init__(self, prefix: str, settings: SharedSettings, environment: Mapping[str, str], scope: str) -> None:
        marks = marks_of(prefix, scope)
        self.running: dict[Key, Errand] = {}
        self.asked: float | None = None
        self.looks = 0
        self.condemned = ""
        self.blamed: tuple[Key, str] | None = None
        self._durable: list[Key] = []
        self._mark: Mark = mark_of(marks)
        super().__init__(prefix, settings, settings.path, {**environment, **marks})

    @property
    def busy(self) -> bool:
        """Whether anything of it is to be waited for."""
        return bool(self.running or self.ahead)

    @property
    def load(self) -> int:
        """How many attempts it has."""
        return len(self.running) + len(self.ahead)

    @property
    def target(self) -> Target:
        """What it may have started, for killing."""
        return Target(self.pid, self.start, self._mark, session_is_ours=True)

    def give(self, errand: Errand) -> bool:
        """An order. False: not now, the socket is full or the process is gone."""
        try:
            self.socket.send(ORDER + packet(0, *errand.key, self._enclosed(errand)))
        except OSError:
            return False
        self.ahead[errand.key] = errand
        return True

    def ping(self, now: float) -> None:
        """Ask whether its loop turns. A socket that is full counts as no answer."""
        self.asked, self.looks = now, 0
        self._send(PING)

    def forget(self, key: Key) -> None:
        """This end is durable; told a few at a time."""
        self.unacknowledged.pop(key, None)
        self._durable.append(key)
        if len(self._durable) >= _FORGET and self._send(pack_keys(self._durable[:_FORGET])):
            del self._durable[:_FORGET]

    def look(self) -> None:
        """Have it look for attempts to be stopped."""
        if not self.dead:
            self.signal(signal.SIGUSR1)

    def blame(self) -> None:
        """Have it say what it hangs in."""
        self.signal(signal.SIGUSR2)

    def kill(self) -> None:
        """At once, with its process group. It has not been waited for, so its pid is its own."""
        with contextlib.suppress(OSError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
        self.signal(signal.SIGKILL)

    def _send(self, packet: bytes) -> bool:
        try:
            self.socket.send(packet)
        except OSError:
            return False
        return True
