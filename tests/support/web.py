"""A real `gnomon serve` with its web side, asked over loopback."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .service import Site, until

_LINK = re.compile(r"(?:sign in at|dashboard and REST:) (https?://[^\s/#]+)")


class WebSite(Site):
    """A site whose scheduler listens on a port of its own."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"GNOMON_WEB": "on", "GNOMON_PORT": "0"}

    def listening(self) -> str:
        """Start a scheduler; its address, once it answers."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        process = self.serve()

        def link() -> str | None:
            assert process.poll() is None, self.log.read_text()
            found = _LINK.findall(self.log.read_text()[begin:])
            return found[-1] if found else None

        url: str = until(link, "it listens")
        until(lambda: _answers(url), "it answers")
        return url

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The scheduler that was started last."""
        return self.alive[-1]

    def token(self, role: str = "admin") -> str:
        """A token of that role; the first one is the admin's of the first start."""
        if role == "admin":
            return (self.root / "gnomon.db.d" / "bootstrap-token").read_text().strip()
        return str(self.cli("token", "create", "--role", role, "--name", f"t-{role}")["token"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def web_site(root: Path) -> Iterator[WebSite]:
    """A site whose schedulers are ended with it."""
    place = WebSite(root)
    try:
        yield place
    finally:
        place.close()


def client(url: str, token: str) -> httpx.Client:
    """Asks below `/api/v1` with that token."""
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30)


class Stream(threading.Thread):
    """Follows server-sent events in the background. `events`: (id, event, data); `over`: the server ended it."""

    def __init__(self, url: str, token: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self._url, self._headers = url, {"Authorization": f"Bearer {token}", **(headers or {})}
        self.events: list[tuple[str, str, Any]] = []
        self.over = threading.Event()
        self._stop = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with httpx.stream("GET", self._url, headers=self._headers, timeout=30) as answer:
                event: dict[str, str] = {}
                for line in answer.iter_lines():
                    if self._stop.is_set():
                        return
                    if line:
                        key, _, value = line.partition(": ")
                        event[key] = value
                    elif "data" in event:
                        self.events.append((event.get("id", ""), event["event"], json.loads(event["data"])))
                        event = {}
                    else:
                        event = {}
        except httpx.TransportError:
            return
        finally:
            self.over.set()

    def cut(self) -> None:
        """Leave with the next line."""
        self._stop.set()

    def of(self, kind: str) -> list[Any]:
        """The data of events of that kind."""
        return [data for _, event, data in list(self.events) if event == kind]
