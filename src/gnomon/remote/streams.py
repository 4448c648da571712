"""Server-sent events: their lines, and going on where a stream was cut off."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from gnomon.core.errors import GnomonError, Problem, Unavailable

from .calls.call import Call, Followed

BEATS_S = 45.0
"""A server says something at least every 15 s; a stream that is silent for so long is dead."""
PAUSES_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Before each new try to go on. Anything that arrives begins the count anew."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `id`: the place after it, which a later stream may go on from."""

    id: str
    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class Lines:
    """Lines of a stream, put together to events (WHATWG HTML, 9.2.6)."""

    _said: dict[str, list[str]] = field(default_factory=dict)

    def put(self, line: str) -> Event | None:
        """The event that ends with this line, if it is the empty one."""
        if line:
            name, _, value = line.partition(":")
            if name:
                self._said.setdefault(name, []).append(value.removeprefix(" "))
            return None
        said, self._said = self._said, {}
        if "data" not in said:
            return None
        data = json.loads("\n".join(said["data"]))
        return Event(said.get("id", [""])[-1], said.get("event", ["message"])[-1], data)


@dataclass(slots=True)
class Following:
    """How far somebody has come, and how often in a row it went wrong."""

    followed: Followed
    _last: str | None = None
    _failed: int = 0

    def call(self) -> Call[None]:
        """What to ask now."""
        call = self.followed.call
        if self._last is None:
            return call
        return replace(call, headers={**call.headers, "Last-Event-ID": self._last})

    def seen(self, event: Event) -> bool:
        """It arrived. Returns whether it is the last one."""
        self._failed = 0
        if event.id:
            self._last = event.id
        return event.kind in self.followed.ends

    def pause(self, error: GnomonError | None) -> float:
        """How long to wait before going on, after an error or the end of the stream.

        Raises:
            GnomonError: it is not about the connection, or went wrong too often.
        """
        if error is not None and not isinstance(error, Unavailable):
            raise error
        if self._failed >= len(PAUSES_S):
            raise error if error is not None else _ended(self.followed)
        self._failed += 1
        return PAUSES_S[self._failed - 1]


def _ended(followed: Followed) -> Unavailable:
    text = f"the stream {followed.call.operation} ends again and again"
    return Unavailable(Problem("stream_ended", text, hint="is the scheduler shutting down?"))
