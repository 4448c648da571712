"""Servers that speak MongoDB's protocol: one from pip that stores (success paths), one that says what it is told."""

from __future__ import annotations

import atexit
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import bson

from .postgres import free_port
from .service import until


class Nx:
    """`nx-27017`: MongoDB's protocol over SQLite in memory. Not MongoDB: many operators behave otherwise."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="gnomon-nx-"))
        self.port = free_port()
        program = Path(sys.executable).with_name("nx-27017")
        files = ["--log-file", str(self.root / "log"), "--pid-file", str(self.root / "pid")]
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [str(program), "--db", "memory", "--port", str(self.port), *files],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self._answers, "nx-27017 answers", 30)

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/shop"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self.root, ignore_errors=True)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.root / "output").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@cache
def nx() -> Nx:
    """The server of this process, started at the first question."""
    server = Nx()
    atexit.register(server.stop)
    return server


HELLO = {
    "ok": 1.0,
    "ismaster": True,
    "isWritablePrimary": True,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 16777216,
    "maxMessageSizeBytes": 48000000,
    "maxWriteBatchSize": 100000,
    "readOnly": False,
}
HANG = "hang"
"""An answer that never comes."""


class Scripted:
    """Answers each command as told: a document, `HANG`, or None for a closed connection."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        greetings: dict[str, Any] = {"hello": HELLO, "ismaster": HELLO, "isMaster": HELLO, "ping": {"ok": 1.0}}
        self.answers = {**greetings, "endSessions": {"ok": 1.0}, **answers}
        self.asked: list[dict[str, Any]] = []
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/shop"

    def close(self) -> None:
        self.over.set()
        for one in [self._listener, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, struct.error):
            while True:
                length, number, _, code = struct.unpack("<iiii", connection.recv(16, socket.MSG_WAITALL))
                body = connection.recv(length - 16, socket.MSG_WAITALL)
                raw = body[5:] if code == 2013 else body[body.index(b"\0", 4) + 9 :]
                command = bson.decode(raw[: struct.unpack("<i", raw[:4])[0]])
                name = next(iter(command))
                if name.lower() not in ("hello", "ismaster", "ping"):
                    self.asked.append(command)
                answer = self.answers.get(name)
                if answer == HANG:
                    self.over.wait(60)
                if not isinstance(answer, Mapping):
                    connection.close()
                    return
                document = bson.encode(dict(answer))
                if code == 2013:  # OP_MSG
                    reply, kind = struct.pack("<iB", 0, 0) + document, 2013
                else:  # OP_QUERY, the first hello
                    reply, kind = struct.pack("<iqii", 8, 0, 0, 1) + document, 1
                connection.sendall(struct.pack("<iiii", 16 + len(reply), 1, number, kind) + reply)


@contextmanager
def scripted(**answers: Any) -> Iterator[Scripted]:
    """A server that answers so."""
    server = Scripted(answers)
    try:
        yield server
    finally:
        server.close()
