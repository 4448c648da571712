"""Carries alerts and pings out: an event loop in a thread of its own, begun with the first message."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from gnomon.alerts import Channel
from gnomon.alerts.channel import Message, Undelivered
from gnomon.alerts.ping import send_ping
from gnomon.core.alerts import Delivery, Report
from gnomon.core.errors import NotFound, Problem, Unavailable
from gnomon.core.ports import Logs, Store
from gnomon.core.values import Json, JsonObject, to_micros
from gnomon.operations.alert_settings import channel_hint
from gnomon.operations.alerts import message_document
from gnomon.operations.settings import Settings
from gnomon.tasks.secrets import Vault

logger = logging.getLogger("gnomon")
TAIL = 4096
"""Bytes of output that go with a failure's ping."""
_STOP_S = 2.0


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
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="gnomon-alerts", daemon=True)
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
            vault = Vault()
            try:
                await self._carry(record, vault)
                report(Report(record))
            except Undelivered as error:
                text = str(vault.strike(str(error)))
                dead = None if error.permanent else text
                report(Report(record, text, permanent=error.permanent))
            except Exception as error:
                dead = str(vault.strike(f"{type(error).__name__}: {error}"))
                report(Report(record, dead))

    async def _carry(self, record: Delivery, vault: Vault) -> None:
        if record.is_ping:
            url = _filled(vault, {"url": record.payload.get("url")}, ("url",))["url"]
            text = await asyncio.to_thread(self._ping_text, record)
            await send_ping(self._client(), str(url), record.event, text)
            return
        channel = self.channels.get(record.channel)
        if channel is None:
            hint = channel_hint(record.channel, self.channels)
            raise Undelivered(f"this scheduler has no channel {record.channel!r}: {hint}", permanent=True)
        document = await asyncio.to_thread(self._document, record)
        await send_message(channel, message_of(record, document), vault, self._client())

    async def _beat(self, url: str) -> None:
        vault = Vault()
        try:
            await send_ping(self._client(), str(_filled(vault, {"url": url}, ("url",))["url"]), "success", "")
            self._beat_failed = False
        except Exception as error:
            if not self._beat_failed:
                logger.warning("the heartbeat of the scheduler did not arrive: %s", vault.strike(str(error)))
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


def message_of(record: Delivery, document: JsonObject) -> Message:
    """The message of a delivery."""
    text = str(record.payload.get("text", ""))
    word = "reminder" if record.payload.get("reminder") else record.event
    body = "\n".join([text, "", *(f"{name}: {value}" for name, value in _facts(document) if value is not None)])
    return Message(f"[gnomon] {record.job_id}: {word}", body, document, record.key, record.created_at)


async def send_message(channel: Channel, message: Message, vault: Vault, http: Any) -> None:
    """Send it once through a channel.

    Raises:
        Undelivered: it did not arrive, or a secret is missing.
    """
    await channel.kind.send(_filled(vault, channel.arguments, channel.kind.secrets), message, http)


def try_channel(settings: Settings, name: str, now: datetime) -> str:
    """Send a test message through a channel of these settings, once; returns where it went.

    Raises:
        NotFound: there is no such channel. Unavailable: it did not arrive, and why.
    """
    channel = settings.alerts.channels.get(name)
    if channel is None:
        hint = channel_hint(name, settings.alerts.channels)
        raise NotFound(Problem("channel_unknown", f"there is no channel {name!r}", hint=hint))
    text = f"A test of the channel {name}: if you can read this, it works."
    document: JsonObject = {
        "event": "test",
        "reminder": False,
        "job_id": None,
        "run": None,
        "incident": None,
        "text": text,
    }
    key = f"gnomon-test-{name}-{to_micros(now)}"
    message = Message("[gnomon] test", text, document, key, now)
    vault = Vault()

    async def once() -> None:
        async with new_client() as http:
            await send_message(channel, message, vault, http)

    where = channel.kind.describe(channel.arguments)
    try:
        asyncio.run(once())
    except Exception as error:
        why = str(vault.strike(str(error) or repr(error)))
        raise Unavailable(
            Problem("channel_failed", f"{name} ({where}): {why}", "", "look at [alerts] in gnomon.toml")
        ) from None
    return where


def new_client() -> Any:
    """The HTTP client that channels share."""
    import httpx

    return httpx.AsyncClient(follow_redirects=False)


def _facts(document: JsonObject) -> list[tuple[str, Json]]:
    run, incident = document.get("run"), document.get("incident")
    run = run if isinstance(run, Mapping) else {}
    incident = incident if isinstance(incident, Mapping) else {}
    return [
        ("job", document.get("job_id")),
        ("run", run.get("id")),
        ("state", run.get("state")),
        ("exit code", run.get("exit_code")),
        ("due", run.get("due_at")),
        ("finished", run.get("finished_at")),
        ("incident", incident.get("id")),
        ("since", incident.get("opened_at")),
        ("count", incident.get("count")),
    ]


def _filled(vault: Vault, arguments: JsonObject, keys: Sequence[str]) -> dict[str, Json]:
    try:
        return vault.fill(arguments, keys)
    except LookupError as error:
        raise Undelivered(f"a secret is missing: {error.args[0]}") from None
