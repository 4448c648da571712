"""One look at the feed of changes for all who follow it.

While anybody follows, one task asks the store whether something was committed, and reads it once; the followers share
the finished bytes of the newest events. Whoever is slow falls back to reading the store from their own place: nothing
is kept for a single follower, so none can grow the memory of the server.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import deque

from fastapi.concurrency import run_in_threadpool

from gnomon.core.errors import GnomonError
from gnomon.core.texts import json_text
from gnomon.operations.feed import Part, feed_after, newest_change

from .service import Service

logger = logging.getLogger("gnomon")
_LOOK_S = 0.25
_TICK_S = 1.0
_RECHECK_S = 10.0
_KEPT = 1000
_AT_ONCE = 200


class Hub:
    """The newest events of the feed, for everybody on this server's loop.

    `access` grows whenever followers have to be asked again who they are: when a token, user or session was changed,
    and every ten seconds. `streams`: how many are open on this server, those of output too.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._desk = service.desk("events", None)
        self._events: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self._seq = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._entering = asyncio.Lock()
        self.followers = 0
        self.streams = 0
        self.access = 0

    async def enter(self) -> int:
        """Somebody begins to follow; returns the place that is now."""
        async with self._entering:  # one task looks, however many come at once
            if self._task is None or self._task.done():
                self._events.clear()
                self._seq = await run_in_threadpool(newest_change, self._desk)
                self._task = asyncio.create_task(self._look())
            self.followers += 1
            return self._seq

    def leave(self) -> None:
        """They stopped. The last one ends the looking."""
        self.followers -= 1
        if self.followers == 0 and self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def changed(self) -> asyncio.Event:
        """Is set when there is something new, and once a second anyway. Take it before looking at what is there, so
        that nothing is missed."""
        return self._changed

    async def after(self, seq: int) -> tuple[list[tuple[int, bytes]], bool]:
        """The events after `seq`, at most 200, and whether none before them are missing."""
        if seq == self._seq:
            return [], True
        if self._events and self._events[0][0] <= seq + 1 and seq <= self._seq:
            start = bisect_right(self._events, seq, key=lambda event: event[0])
            return [self._events[at] for at in range(start, min(start + _AT_ONCE, len(self._events)))], True
        part = await run_in_threadpool(feed_after, self._desk, seq, _AT_ONCE)
        return _finished(part), part.whole

    async def newest(self) -> int:
        """The place that is now."""
        return await run_in_threadpool(newest_change, self._desk)

    async def _look(self) -> None:
        version, clock = -1, asyncio.get_running_loop().time
        ticked = rechecked = clock()
        while not self._service.stopping.is_set():
            try:
                now = await run_in_threadpool(self._desk.store.data_version)
                if now != version:
                    version = now
                    await self._read()
            except GnomonError as error:
                logger.warning("events: the database cannot be read, trying again: %s", error)
            except Exception as error:
                logger.error("events: trying again after: %s", error, exc_info=error)
                await asyncio.sleep(1.0)
            if clock() - rechecked >= _RECHECK_S:
                rechecked = clock()
                self.access += 1
            if clock() - ticked >= _TICK_S:
                ticked = clock()
                self._wake()
            await asyncio.sleep(_LOOK_S)
        self._wake()

    async def _read(self) -> None:
        while True:
            part = await run_in_threadpool(feed_after, self._desk, self._seq, _AT_ONCE)
            if not part.whole:
                self._events.clear()
            self.access += part.access
            self._events.extend(_finished(part))
            self._seq = part.events[-1][0] if part.events else part.last
            if part.events:
                self._wake()
            if self._seq >= part.last:
                return

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _finished(part: Part) -> list[tuple[int, bytes]]:
    return [(seq, sse("change", view, seq)) for seq, view in part.events]


def sse(event: str, data: object, id_: int | str | None = None) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2)."""
    head = "" if id_ is None else f"id: {id_}\n"
    return f"{head}event: {event}\ndata: {json_text(data)}\n\n".encode()
