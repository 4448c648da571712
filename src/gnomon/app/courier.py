"""Carries alerts and pings out: an event loop in a thread of its own, begun with the first message."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from gnomon.alerts import Channel
from gnomon.alerts.channel import Message, Undelivered
from gnomon.core.deliveries import Delivery, Report
from gnomon.core.health import Health
from gnomon.core.ports import Logs, Store
from gnomon.core.values import JsonObject
from gnomon.operations.alert_settings import channel_hint
from gnomon.operations.alerts import message_document

from .sending import THREAD, health_message, message_of, new_client, ping, send_message

logger = logging.getLogger("gnomon")
TAIL = 4096
"""Bytes of output that go with a failure's ping."""
_STOP_S = 2.0
_PAUSES_S = (10.0, 60.0, 300.0)
"""Between tries to tell how the scheduler is."""


@dataclass(slots=True)
class Post:
    """A `gnomon.core.ports.Courier`. Channels never wait for each other; messages of one go one after the other."""

    channels: Mapping[str, Channel]
    store: Store
    logs: Logs
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _http: Any = None
    _lock: Any = field(default_factory=threading.Lock)
    _beat_failed: bool = False

    def send(self, deliveries: Sequence[Delivery], report: Callable[[Report], None]) -> None:
        """See `Courier`."""
        lanes: dict[str, list[Delivery]] = {}
        for record in sorted(deliveries, key=lambda record: record.id):
            lanes.setdefault(record.channel, []).append(record)
        for lane in lanes.values():
            self._do(self._lane(lane, report))

    def beat(self, url: str) -> None:
        """See `Courier`."""
        self._do(self._beat(url))

    def tell(self, verdict: Health, channels: Sequence[str]) -> None:
        """Tell people how the scheduler is. Not kept in the store, which may be what is wrong."""
        for name in channels:
            if (channel := self.channels.get(name)) is not None:
                self._do(self._tell(channel, health_message(verdict)))

    def close(self) -> None:
        """Let what is on its way arrive, for a moment; the rest stays in the store for the next courier. Idempotent."""
        with self._lock:
            loop, self._loop, thread = self._loop, None, self._thread
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(2 * _STOP_S)

    def _do(self, work: Any) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name=THREAD, daemon=True)
                self._thread.start()
            asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            with contextlib.suppress(Exception):
                loop.run_until_complete(self._end())
            loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, slow = await asyncio.wait(others, timeout=_STOP_S)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _lane(self, lane: Sequence[Delivery], report: Callable[[Report], None]) -> None:
        """One after the other; when the channel is found dead, the rest waits without a try."""
        dead: str | None = None
        for record in lane:
            if dead is not None:
                report(Report(record, dead, tried=False))
                continue
            try:
                await self._carry(record)
                report(Report(record))
            except Undelivered as error:
                dead = None if error.permanent else str(error)
                report(Report(record, str(error), permanent=error.permanent))
            except Exception as error:
                dead = f"{type(error).__name__}: {error}"
                report(Report(record, dead))

    async def _carry(self, record: Delivery) -> None:
        if record.is_ping:
            text = await asyncio.to_thread(self._ping_text, record)
            await ping(str(record.payload.get("url")), record.event, text, self._client())
            return
        channel = self.channels.get(record.channel)
        if channel is None:  # not for good: the next scheduler may have it
            hint = channel_hint(record.channel, self.channels)
            raise Undelivered(f"this scheduler has no channel {record.channel!r}: {hint}")
        document = await asyncio.to_thread(self._document, record)
        await send_message(channel, message_of(record, document), self._client())

    async def _tell(self, channel: Channel, message: Message) -> None:
        for pause_s in (*_PAUSES_S, None):
            try:
                await send_message(channel, message, self._client())
                return
            except Exception as error:
                logger.warning("that the scheduler is not well, or well again, did not arrive: %s", error)
            if pause_s is not None:
                await asyncio.sleep(pause_s)

    async def _beat(self, url: str) -> None:
        try:
            await ping(url, "success", "", self._client())
            self._beat_failed = False
        except Exception as error:
            if not self._beat_failed:
                logger.warning("the heartbeat of the scheduler did not arrive: %s", error)
            self._beat_failed = True

    def _client(self) -> Any:
        if self._http is None:
            self._http = new_client()
        return self._http

    def _document(self, record: Delivery) -> JsonObject:
        return self.store.read(lambda r: message_document(r, record))

    def _ping_text(self, record: Delivery) -> str:
        """What happened; for a failure with the last lines of its output, as far as they are on this machine."""
        payload = record.payload
        code = payload.get("exit_code")
        lines = [str(payload.get("text", ""))]
        if record.event == "fail" and record.run_id is not None:
            lines[0] += "" if code is None else f" (exit code {code})"
            number = cast(int, payload.get("attempt") or 0)
            size = self.logs.size(record.run_id, number) if number else 0
            data, _ = self.logs.read(record.run_id, number, max(0, size - TAIL), TAIL) if size else (b"", 0)
            lines += [f"run {record.run_id}", data.decode("utf-8", "replace")]
        return "\n".join(lines).strip()
