"""Functions that can be imported by name, as those of an application."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

CALLS: list[Any] = []
GATE = threading.Event()


def sample_task(text: str) -> str:
    CALLS.append(text)
    return text.upper()


def pid() -> int:
    return os.getpid()


def fail(message: str = "no") -> None:
    raise ValueError(message)


def at_gate() -> str:
    """Ends when the test says so."""
    CALLS.append("began")
    GATE.wait(30)
    return "through"


async def thread_name() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


async def forever() -> None:
    await asyncio.sleep(3600)


def append(path: str, line: str) -> None:
    """One O_APPEND write."""
    with open(path, "ab", buffering=0) as file:
        file.write(f"{line} {os.getpid()}\n".encode())


def resize(path: str, width: int = 100, **more: Any) -> str:
    return f"{path}:{width}:{sorted(more)}"


def strict(path: str, *, width: int = 100) -> dict[str, Any]:
    return {"path": path, "width": width}


def by_position(path: str, /) -> str:
    return path
