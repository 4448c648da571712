"""Telling the service manager how it stands: the datagrams of sd_notify(3), without a library.

Under systemd (`Type=notify`) the environment names a socket. Elsewhere every call does nothing.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@dataclass(frozen=True, slots=True)
class Notifier:
    """Where to tell, and how often the manager wants a sign of life.

    Attributes:
        address: of the socket; None: nobody listens.
        watchdog_s: the service is killed if it gives no sign of life for so long; None: nobody looks.
    """

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str], pid: int) -> Notifier:
        """What the environment says to the process `pid`. It is taken out of there: commands must not speak for us."""
        address, interval, meant = (environment.pop(name, None) for name in _VARIABLES)
        if address is None or not (address.startswith("/") or (address.startswith("@") and len(address) > 1)):
            return cls()
        watched = interval is not None and interval.isdecimal() and meant in (None, str(pid))
        return cls(address, int(interval) / 1e6 if watched and interval is not None and int(interval) else None)

    def ready(self, status: str) -> None:
        """It has started."""
        self._tell("READY=1", f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        """A sign of life; to be given at least twice in `watchdog_s`."""
        self._tell("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """It has begun to stop."""
        self._tell("STOPPING=1", f"STATUS={_one_line(status)}")

    def _tell(self, *lines: str) -> None:
        """One datagram. A manager that does not listen must not hold up the scheduler."""
        if self.address is None:
            return
        place = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto("\n".join(lines).encode(), place)


def _one_line(text: str) -> str:
    return " ".join(text.split())
