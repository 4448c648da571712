"""Pings to a watcher of the Healthchecks kind: `URL/start`, `URL`, `URL/fail`."""

from __future__ import annotations

from typing import Any

from .channel import Undelivered
from .webhook import post

_BEHIND = {"start": "/start", "success": "", "fail": "/fail"}


async def send_ping(http: Any, url: str, event: str, text: str) -> None:
    """Ping once.

    Raises:
        Undelivered: it did not arrive.
    """
    await post(http, ping_address(url, event), text.encode(), {"User-Agent": "gnomon", "Content-Type": "text/plain"})


def ping_address(url: str, event: str) -> str:
    """The address of an event: before the query, if there is one."""
    if not url.lower().startswith(("http://", "https://")):
        raise Undelivered("a ping goes to an http:// or https:// address", permanent=True)
    path, mark, query = url.partition("?")
    return path.rstrip("/") + _BEHIND[event] + mark + query if _BEHIND[event] else url
