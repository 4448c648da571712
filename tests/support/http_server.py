"""A real HTTP server on loopback, in a thread of its own, that can also misbehave."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass
class HttpServer:
    """`url` of the server, the requests it has `seen`, and how many it answered at once (`most`)."""

    context: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    active: int = 0
    most: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://{self.host}:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, self.host, self.port, ssl=self.context, backlog=1000)
        self._loop.set_exception_handler(lambda *_: None)  # broken handshakes are wanted here
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while (seen := await self._read(reader)) is not None:
                self.active += 1
                self.most = max(self.most, self.active)
                try:
                    await self._answer(seen, writer)
                finally:
                    self.active -= 1
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass
        finally:
            self._tasks.discard(task)
            with suppress(Exception):
                writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Seen | None:
        start = await reader.readexactly(1)
        if start == b"\x16":  # TLS
            return Seen("TLS", "/status/400", [], b"")
        head = (start + await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
        first, *lines = head[:-4].split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = [(name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
        names = {name.lower(): value for name, value in headers}
        body = b""
        if "chunked" in names.get("transfer-encoding", ""):
            while (size := int((await reader.readline()).strip(), 16)) > 0:
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        elif "content-length" in names:
            body = await reader.readexactly(int(names["content-length"]))
        seen = Seen(method, target, headers, body)
        self.seen.append(seen)
        return seen

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        word, _, rest = seen.path.lstrip("/").partition("/")
        if seen.target.startswith("http://"):
            word = "proxied"
        handler = getattr(self, f"_say_{word}", None)
        if handler is None:
            await self._send(writer, 404, b"no such page\n")
        else:
            await handler(seen, writer, unquote(rest))

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        lines = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), **(headers or {})}
        head = f"HTTP/1.1 {status} Reason {status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()

    async def _json(self, writer: asyncio.StreamWriter, status: int, value: Any, **headers: str) -> None:
        await self._send(writer, status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    # pages

    async def _say_echo(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        await self._json(writer, 200, {"method": seen.method, "rest": rest, "query": seen.query})

    async def _say_status(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        await self._send(writer, int(rest), f"status {rest}".encode())

    async def _say_text(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        await self._send(writer, 200, rest.encode())

    async def _say_slow(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        await asyncio.sleep(float(rest))
        await self._json(writer, 200, {"slept": float(rest)})

    async def _say_redirect(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        query = dict(seen.query)
        await self._send(writer, int(query.get("code", "302")), b"", {"Location": query["to"], "Set-Cookie": "a=b"})

    async def _say_loop(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        await self._send(writer, 302, b"", {"Location": f"/loop/{int(rest or 0) + 1}"})

    async def _say_drop(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        writer.transport.abort()

    async def _say_garbage(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        writer.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        await writer.drain()

    async def _say_short(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        await writer.drain()
        writer.close()

    async def _say_chunked(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one ", b"two ", b"three"):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _say_packed(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        """`/packed/gzip/10` gives ten megabytes of spaces; `/packed/gzip` a little JSON."""
        kind, _, size = rest.partition("/")
        plain = b" " * (int(size) << 20) if size else b'{"packed": true}'
        raw = zlib.compressobj(wbits=-15)
        made = {
            "gzip": lambda: gzip.compress(plain),
            "deflate": lambda: zlib.compress(plain),
            "raw": lambda: raw.compress(plain) + raw.flush(),
            "lie": lambda: plain,
        }[kind]()
        named = {"raw": "deflate", "lie": "gzip"}.get(kind, kind)
        await self._send(writer, 200, made, {"Content-Type": "application/json", "Content-Encoding": named})

    async def _say_huge(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        size = int(rest) << 20
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 16):
            writer.write(b"x" * 65536)
            await writer.drain()

    async def _say_data(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        """The JSON in the path."""
        await self._send(writer, 200, rest.encode(), {"Content-Type": "application/json"})

    async def _say_digest(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        given = seen.header("authorization") or ""
        if given.startswith("Digest ") and 'username="me"' in given:
            await self._json(writer, 200, {"ok": True})
        else:
            challenge = 'Digest realm="r", nonce="abc", qop="auth", algorithm=SHA-256'
            await self._send(writer, 401, b"", {"WWW-Authenticate": challenge})

    async def _say_challenge(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        """A digest challenge whose body never ends."""
        if seen.header("authorization"):
            await self._say_digest(seen, writer, rest)
            return
        writer.write(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="abc", qop="auth"\r\n')
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    async def _say_drip(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        """A body that comes byte by byte, without end."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    # as a proxy: absolute targets

    async def _say_proxied(self, seen: Seen, writer: asyncio.StreamWriter, rest: str) -> None:
        await self._json(writer, 200, {"proxied": seen.target})


@contextmanager
def http_server(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[HttpServer]:
    """A server that is stopped with it."""
    server = HttpServer(context, host)
    server.start()
    try:
        yield server
    finally:
        server.stop()
