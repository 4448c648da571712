"""Where the soak plays: a site whose clock can be set, whose log reader can stop, and who answers the http jobs."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.support.clocks import faked
from tests.support.service import Site

PIPE_BYTES = 4096  # what fits between the scheduler and a log reader that sleeps


def uptime() -> float:
    """Seconds on the clock that never jumps, as the jobs read it."""
    return float(Path("/proc/uptime").read_text().split()[0])


class Clock:
    """The wall clock of the site; remembers each setting, as (uptime, offset in seconds)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.history = [(0.0, 0.0)]
        self.set(0.0)

    @property
    def offset(self) -> float:
        return self.history[-1][1]

    def set(self, offset: float) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(f"{offset:+.1f}\n")
        draft.rename(self._path)
        self.history.append((uptime(), offset))

    def latest(self, up: float, within_s: float) -> float:
        """The furthest that the clock has been in the `within_s` seconds before `up`, as an offset."""
        known = [*self.history, (float("inf"), 0.0)]
        return max(offset for (_, offset), (until, _) in pairwise(known) if until >= up - within_s)


class World(Site):
    """A site under libfaketime. `reading` cleared: nobody reads the log of the scheduler."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.clock = Clock(root / "clock")
        self.reading = threading.Event()
        self.reading.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        own = {
            "LEDGER": str(self.ledger),
            "CODE": "0",
            "SOAK": str(self.root),
        }
        return super().environment() | faked(self.root / "clock") | own

    def serve(self, *options: str) -> subprocess.Popen[bytes]:
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        process = subprocess.Popen(
            [sys.executable, "-m", "gnomon", "serve", *options],
            cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
            start_new_session=True,
        )  # fmt: skip
        os.close(writer)
        threading.Thread(target=self._pump, args=(reader,), daemon=True).start()
        self.alive.append(process)
        return process

    def close(self) -> None:
        self.reading.set()
        super().close()
        self.server.shutdown()

    def ours(self) -> dict[int, dict[str, str]]:
        """The environments of all living processes that the site has started, by pid."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and int(folder.name) != os.getpid():
                try:
                    pairs = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                    state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                env = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
                if env.get("SOAK") == str(self.root) and state not in "ZX":
                    found[int(folder.name)] = env | {"STATE": state}
        return found

    def _pump(self, reader: int) -> None:
        with self.log.open("ab", buffering=0) as log:
            while self.reading.wait() and (block := os.read(reader, 1024)):
                log.write(block)
        os.close(reader)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                job, run, attempt = map(unquote, self.path.strip("/").split("/"))
                wall = time.time() + world.clock.offset
                for what in ("start", "end"):
                    line = f"{what} {job} {run} {attempt} - {uptime():.2f} {wall:.3f} 0\n"
                    fd = os.open(world.ledger, os.O_WRONLY | os.O_APPEND)
                    os.write(fd, line.encode())
                    os.close(fd)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nobody wants to know."""

        return Handler
