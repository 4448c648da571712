"""A web server on loopback that remembers what was posted to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Post:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Hooks:
    """`answers`: status codes to give first, in order; then `status`. `hold`: answers wait for it. `says`: the body.
    `endless`: the body never ends. `hold_for`: only posts to this path wait."""

    port: int = 0
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    status: int = 200
    hold: threading.Event | None = None
    hold_for: str | None = None
    says: bytes = b"ok"
    endless: bool = False

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def to(self, path: str) -> list[Post]:
        return [post for post in self.posts if post.path == path]


@contextmanager
def hooks(port: int = 0) -> Iterator[Hooks]:
    """A server, at a port of its own or at `port`."""
    site = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            site.posts.append(Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if site.hold is not None and site.hold_for in (None, self.path):
                site.hold.wait(20)
            self.send_response(site.answers.pop(0) if site.answers else site.status)
            if not site.endless:
                self.send_header("Content-Length", str(len(site.says)))
            self.end_headers()
            self.wfile.write(site.says)
            while site.endless:
                self.wfile.write(b"x" * 65536)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is no news."""

    server = Server(("127.0.0.1", port), Handler)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield site
    finally:
        if site.hold is not None:
            site.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
