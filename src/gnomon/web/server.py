"""The web server, in a thread and on a loop of its own: whatever it does, the scheduler goes on.

Outside the main thread uvicorn leaves signals alone: they belong to `gnomon serve`, which stops us.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from .connections import Connection

logger = logging.getLogger("gnomon")
_HANDSHAKE_S = 10.0


class WebServer:
    """Serves an application on sockets that are bound already.

    Args:
        make: builds the application, in the server's thread: importing and building it must not hold up the start.
        sockets: bound, not listening.
        certificate: PEM files (certificate, key), or None for plain HTTP.
        proxies: addresses of proxies whose `X-Forwarded-*` are believed.
    """

    def __init__(
        self,
        make: Callable[[], ASGIApp],
        sockets: list[socket.socket],
        *,
        certificate: tuple[str, str] | None = None,
        proxies: tuple[str, ...] = (),
    ) -> None:
        self._make, self._sockets, self._proxies = make, sockets, proxies
        self._certificate = certificate
        self._server: uvicorn.Server | None = None
        self._stopping = threading.Event()
        self.started = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gnomon-web", daemon=True)

    def start(self) -> None:
        """Begin; returns at once. Clients may connect from now on: they wait until the application is there."""
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Close connections and end; open event streams are told first. Idempotent."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(timeout_s + 2.0)
        for one in self._sockets:
            one.close()

    async def _serve(self, server: uvicorn.Server) -> None:
        if self._certificate is not None:  # who connects and says nothing may hold a descriptor for that long
            loop: Any = asyncio.get_running_loop()
            loop.create_server = partial(loop.create_server, ssl_handshake_timeout=_HANDSHAKE_S)
        await server.serve(self._sockets)

    def _run(self) -> None:
        try:
            certificate, key = self._certificate or (None, None)
            config = uvicorn.Config(
                self._make(),
                loop="asyncio",
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",  # strangers could fill the log with what they send
                access_log=False,
                server_header=False,
                date_header=True,
                backlog=128,  # so many are taken in at once, before any of them can be refused
                proxy_headers=bool(self._proxies),
                forwarded_allow_ips=list(self._proxies),
                timeout_graceful_shutdown=2,
                timeout_keep_alive=30,
                h11_max_incomplete_event_size=64 * 1024,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
            self._server = uvicorn.Server(config)
            if self._stopping.is_set():
                return
            self.started.set()
            asyncio.run(self._serve(self._server))
        except BaseException as error:
            self.failure = error
            logger.error("the web server ended, the scheduler goes on: %s", error, exc_info=error)
        finally:
            for one in self._sockets:  # nobody waits for an answer that never comes
                one.close()
