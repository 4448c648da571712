"""Connections that say nothing, little, or never read: bounded in number and time, and others are served meanwhile."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from gnomon.web import connections
from gnomon.web.connections import Connection
from gnomon.web.server import WebServer
from tests.support.service import until

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_LARGE = 30_000_000


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers `ok`; `/large`: much, as fast as it is read; `/body`: how long the body was."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": (await receive())["type"] + ".complete"})
        return
    size, more = 0, scope["path"] == "/body"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(_LARGE // 65536):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok" if scope["path"] == "/" else str(size).encode()})


class Place:
    """A server, and sockets to it."""

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        bound.listen(16)
        self.port = bound.getsockname()[1]
        self.sockets: list[socket.socket] = []
        self.server = WebServer(lambda: application, [bound], certificate=certificate)
        self.server.start()
        assert self.server.started.wait(10)

    def connect(self, said: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.sockets.append(made)
        made.sendall(said)
        return made

    def served(self) -> bool:
        one = self.connect(ASK)
        return one.recv(4096).startswith(b"HTTP/1.1 200")

    def close(self) -> None:
        for one in self.sockets:
            one.close()
        self.server.stop()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def over(one: socket.socket) -> bool:
    """Whether the other end closed it; waits for that."""
    try:
        while one.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    return True


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"G",
        ASK[:-2],
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1",
    ],
)
def test_a_request_that_does_not_come_is_not_waited_for(
    place: Place, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    assert over(place.connect(said))


def test_bytes_now_and_then_do_not_help(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.4)
    one = place.connect(b"GET / HTTP/1.1\r\n")
    begin = time.monotonic()

    def ended() -> bool:
        try:
            one.sendall(b"X")
        except OSError:
            return True
        return False

    until(ended, "it is cut off", 5)
    assert time.monotonic() - begin < 4
    assert place.served()


def test_a_second_request_has_its_time_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one = place.connect(ASK)
    assert one.recv(4096).startswith(b"HTTP/1.1 200")
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    one.sendall(b"G")
    assert over(one)


def test_who_never_reads_is_cut_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_S", 0.3)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", place.port))
    place.sockets.append(one)
    one.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: len(Connection.made) == 1, "it is there")
    until(lambda: len(Connection.made) == 0, "it is cut off", 5)


def test_who_reads_has_all_the_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_S", 2.0)
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)
    one = place.connect(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    got = 0
    while data := one.recv(1 << 18):
        got += len(data)
    assert got > _LARGE * 0.99


def test_many_who_say_nothing_leave_room_for_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 20)
    before = descriptors()
    idle = [place.connect(b"" if n % 2 else b"GET / HT") for n in range(200)]
    assert place.served()
    until(lambda: descriptors() - before - len(place.sockets) <= 24, "their descriptors are free again", 5)
    assert place.served()
    assert over(idle[0]), "the oldest went"


def test_streams_under_way_do_not_go_for_newcomers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 20)
    reading = place.connect(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    got = len(reading.recv(1000))
    for _ in range(60):
        place.connect()
    while data := reading.recv(1 << 18):
        got += len(data)
    assert got > _LARGE * 0.99


def test_a_third_of_the_descriptors_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, most in ((1024, 341), (-1, 500), (100_000, 500), (20, 16)):
        limit: Callable[[int], tuple[int, int]] = lambda _, s=soft: (s, s)  # type: ignore[misc]  # noqa: E731
        monkeypatch.setattr("resource.getrlimit", limit)
        assert connections.most_connections() == most


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_does_not_greet_over_tls_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 20)
    monkeypatch.setattr("gnomon.web.server._HANDSHAKE_S", 0.5)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "chain.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    place = Place((str(tmp_path / "chain.pem"), str(tmp_path / "key.pem")))
    try:
        before = descriptors()
        for _ in range(100):
            place.connect()
        until(lambda: descriptors() - before - len(place.sockets) <= 45, "most are refused", 5)

        def served() -> bool:
            gc.collect()
            context = ssl.create_default_context()
            authority.configure_trust(context)
            try:
                with (
                    socket.create_connection(("127.0.0.1", place.port), timeout=5) as plain,
                    context.wrap_socket(plain, server_hostname="127.0.0.1") as one,
                ):
                    one.sendall(ASK)
                    return one.recv(100).startswith(b"HTTP/1.1 200")
            except OSError:
                return False

        until(served, "the others went, and who greets is served", 10)
    finally:
        place.close()
