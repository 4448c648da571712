"""An event loop that goes on for as long as a connection needs it, as that of a service does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Awaitable[T]) -> T:
    """Await it, and then its connections: over TLS the goodbye is answered by the other side. Raises what it raises,
    and TimeoutError if one is still open after ten seconds."""
    try:
        return await work
    finally:
        loop: Any = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while len(loop._selector.get_map()) > 1:  # one is the loop's own
                await asyncio.sleep(0.001)
