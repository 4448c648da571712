"""The web server, in a thread and on a loop of its own: whatever it does, the scheduler goes on.

Outside the main thread uvicorn leaves signals alone: they belong to `gnomon serve`, which stops us.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

logger = logging.getLogger("gnomon")


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

    def _run(self) -> None:
        try:
            certificate, key = self._certificate or (None, None)
            config = uvicorn.Config(
                self._make(),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=bool(self._proxies),
                forwarded_allow_ips=list(self._proxies),
                timeout_graceful_shutdown=2,
                timeout_keep_alive=30,
                h11_max_incomplete_event_size=64 * 1024,
                limit_concurrency=1000,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
            self._server = uvicorn.Server(config)
            if self._stopping.is_set():
                return
            self.started.set()
            asyncio.run(self._server.serve(self._sockets))
        except BaseException as error:
            self.failure = error
            logger.error("the web server ended: %s", error, exc_info=error)
