"""A tiny file server on loopback: GET, HEAD, PUT, POST, DELETE, redirects, and answers that go wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FilesServer(ThreadingHTTPServer):
    """`files`: path → content; `seen`: (method, path, headers) of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FilesServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Last-Modified", "Sun, 15 Nov 2026 08:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self) -> None:
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        if self.path == "/hang":
            self.server.release.wait(60)
            self._answer(200)
        elif self.path == "/short":
            self._answer(200, b"half", length=1_000_000)
            self.close_connection = True
        elif self.path.startswith("/signed") and self.command == "HEAD":
            self._answer(403)
        elif self.path.startswith("/to?"):
            self._answer(302, Location=self.path[4:])
        elif self.path in self.server.files:
            self._answer(200, self.server.files[self.path])
        else:
            self._answer(500 if self.path == "/broken" else 404, b"no")

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _take(self) -> None:
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        data = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/closed":
            self._answer(403, b"no")
            return
        new = self.path not in self.server.files
        self.server.files[self.path] = data
        self._answer(201 if new else 200)

    def do_PUT(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def do_DELETE(self) -> None:
        self.server.seen.append((self.command, self.path, {}))
        self._answer(204 if self.server.files.pop(self.path, None) is not None else 404)


@contextmanager
def files_server() -> Iterator[FilesServer]:
    """A server of its own, ended with the block."""
    server = FilesServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
