"""Connections with bounds: how many there are, and how long each may wait for its other end.

uvicorn alone waits for ever for a request that never comes, or comes byte by byte, and for a reader who never reads.
Each such connection costs a file descriptor, which the scheduler needs for the output of jobs.
"""

from __future__ import annotations

import asyncio
import resource
import weakref
from typing import Any, ClassVar

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

REQUEST_S = 20.0
"""A request is there, with its body, so long after its first byte (the first one: after the connection was made)."""
READ_S = 30.0
"""Who reads nothing for so long while there is more to read is cut off."""
_PATIENCE_S = 5.0
MOST = 500


def most_connections() -> int:
    """How many may be open: a third of the file descriptors that this process may have, at most `MOST`."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if soft == resource.RLIM_INFINITY else max(16, min(MOST, soft // 3))


class Connection(H11Protocol):
    """One connection. When there are too many, the one goes that let us wait longest."""

    made: ClassVar[weakref.WeakSet[Connection]] = weakref.WeakSet()
    """Those of TLS count from before their handshake."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._open, self._since = False, self.loop.time()
        if config.is_ssl and len(Connection.made) >= 2 * most_connections():
            raise ConnectionRefusedError("too many are greeting")  # asyncio drops the socket
        Connection.made.add(self)

    def _make_room(self) -> None:
        if len(Connection.made) > most_connections():
            waiting = [one for one in Connection.made if one._open and one.waits]
            min(waiting, key=lambda one: one._since, default=self).drop()

    @property
    def waits(self) -> bool:
        """Whether it is the other end's turn."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or self.conn.their_state is h11.SEND_BODY:
            return True
        return self._unread is not None and self.loop.time() - self._since > _PATIENCE_S

    def drop(self) -> None:
        """Close it now, whatever there is to send."""
        Connection.made.discard(self)
        self._cancel()
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._open, self._since = True, self.loop.time()
        self._make_room()
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        Connection.made.discard(self)
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._since = self.loop.time()
        if self.conn.their_state is not h11.IDLE:
            self._expect()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._since = self.loop.time()
            self._unread = self.loop.call_later(READ_S, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def shutdown(self) -> None:
        if self.conn.their_state is h11.SEND_BODY or self._unread is not None:
            self.drop()  # nothing was begun, or nobody reads what came of it
            return
        try:
            super().shutdown()
        except h11.LocalProtocolError:  # it is broken already
            self.transport.abort()

    def _expect(self) -> None:
        """The rest of a request has to come in time."""
        coming = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()
        if coming and self._deadline is None:
            self._since = self.loop.time()
            self._deadline = self.loop.call_later(REQUEST_S, self.drop)
        elif not coming and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cancel(self) -> None:
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        self._deadline = self._unread = None
