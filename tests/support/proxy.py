"""Stands between a client and a server, and loses answers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx


class Proxy:
    """Passes requests on to `target`. `losses`: so many of the next answers are lost; the work is done.

    `seen`: (method, path, Idempotency-Key) of each request.
    """

    def __init__(self, target: str) -> None:
        self.target, self.losses = target, 0
        self.seen: list[tuple[str, str, str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                proxy.seen.append((self.command, self.path, self.headers.get("Idempotency-Key")))
                with httpx.stream(self.command, proxy.target + self.path, content=body, headers=headers) as answer:
                    streaming = answer.headers.get("content-type", "").startswith("text/event-stream")
                    if not streaming:
                        answer.read()
                        if proxy.losses:
                            proxy.losses -= 1
                            return
                    self.send_response(answer.status_code)
                    for name in ("content-type", "etag"):
                        if name in answer.headers:
                            self.send_header(name, answer.headers[name])
                    self.end_headers()
                    if not streaming:
                        self.wfile.write(answer.content)
                        return
                    for chunk in answer.iter_bytes():
                        self.wfile.write(chunk)
                        if proxy.losses and b"event: " in chunk:
                            proxy.losses -= 1
                            return

            do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815

            def log_message(self, *words: Any) -> None:
                """Say nothing."""

        return Handler
