"""One message through one channel, or one ping: secrets filled in before, struck out of what comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from gnomon.alerts import Channel
from gnomon.alerts.channel import TOTAL_S, Message, Undelivered, one_line
from gnomon.alerts.ping import send_ping
from gnomon.core.deliveries import Delivery
from gnomon.core.errors import NotFound, Problem, Unavailable
from gnomon.core.health import Health
from gnomon.core.redaction import Redactor
from gnomon.core.values import Json, JsonObject, to_micros
from gnomon.operations.alert_settings import channel_hint
from gnomon.operations.settings import Settings
from gnomon.tasks.secrets import Vault

THREAD = "gnomon-alerts"
"""Threads that send have names that begin so."""
_TALKATIVE = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.proxy",
    "apprise",
    "requests",
    "urllib3.connectionpool",
)
_LONG_ERROR = 500
_LONG_WORD = 8
"""Characters of a part of a path that may be a secret."""


async def send_message(channel: Channel, message: Message, http: Any) -> None:
    """Send it once through a channel.

    Raises:
        Undelivered: it did not arrive, or a secret is missing; the text has no secrets.
    """
    keys = channel.kind.secrets
    filled, vault = _filled(channel.arguments, keys)
    await _guarded(channel.kind.send(filled, message, http), vault, (filled.get(key) for key in keys))


async def ping(url: str, event: str, text: str, http: Any) -> None:
    """Ping an address, or what a reference to one holds, once.

    Raises:
        Undelivered: it did not arrive, or a secret is missing; the text has no secrets.
    """
    filled, vault = _filled({"url": url}, ("url",))
    await _guarded(send_ping(http, str(filled["url"]), event, text), vault, (filled["url"],))


def message_of(record: Delivery, document: JsonObject) -> Message:
    """The message of a delivery."""
    text = str(record.payload.get("text", ""))
    word = "reminder" if record.payload.get("reminder") else record.event
    body = "\n".join([text, "", *(f"{name}: {value}" for name, value in _facts(document) if value is not None)])
    return Message(f"[gnomon] {record.job_id}: {word}", body, document, record.key, record.created_at)


def health_message(verdict: Health) -> Message:
    """How the scheduler is."""
    document: JsonObject = {
        "event": "health",
        "reminder": False,
        "job_id": None,
        "run": None,
        "incident": None,
        "text": verdict.line,
        "health": verdict.view(),
    }
    key = f"gnomon-health-{verdict.level}-{to_micros(verdict.at)}"
    return Message(f"[gnomon] the scheduler is {verdict.level}", verdict.line, document, key, verdict.at)


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
    message = Message("[gnomon] test", text, document, f"gnomon-test-{name}-{to_micros(now)}", now)

    async def once() -> None:
        async with new_client() as http:
            await send_message(channel, message, http)

    where = channel.kind.describe(channel.arguments)
    try:
        asyncio.run(once())
    except Undelivered as error:
        hint = f"look at [alerts.{name}] in gnomon.toml"
        raise Unavailable(Problem("channel_failed", f"{name} ({where}): {error}", f"alerts.{name}", hint)) from None
    return where


def new_client() -> Any:
    """The HTTP client that channels share. What it would log names addresses, and these may be secrets."""
    import httpx

    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if _Hush.ONE not in logger.filters:
            logger.addFilter(_Hush.ONE)
    return httpx.AsyncClient(follow_redirects=False)


class _Hush(logging.Filter):
    """Drops what libraries log in our threads."""

    ONE: _Hush

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.threadName).startswith(THREAD)


_Hush.ONE = _Hush()


async def _guarded(sending: Coroutine[Any, Any, None], vault: Vault, secret: Iterator[Json] | Sequence[Json]) -> None:
    """Send, within a time; what goes wrong is `Undelivered`, short, on one line and without secrets."""
    try:
        async with asyncio.timeout(TOTAL_S):
            await sending
    except TimeoutError:
        raise Undelivered(f"it was not over within {TOTAL_S:g} s") from None
    except Exception as error:
        text = str(error) if isinstance(error, Undelivered) else f"{type(error).__name__}: {error}"
        struck = Redactor([*vault.values, *_parts(secret)]).text(one_line(text, _LONG_ERROR))
        raise Undelivered(struck, permanent=isinstance(error, Undelivered) and error.permanent) from None


def _parts(values: Iterator[Json] | Sequence[Json]) -> Iterator[str]:
    """What must not be repeated of secret arguments: also of an address that stands in the settings in clear."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _parts(list(value.values()))
        elif isinstance(value, str):
            yield value
            yield from _parts_of_address(value)
        elif isinstance(value, Sequence):
            yield from _parts(value)


def _parts_of_address(value: str) -> Iterator[str]:
    try:
        address = urlsplit(value)
        if not address.netloc:
            return
        behind = [*address.path.split("/"), *address.query.replace("&", "=").split("="), address.fragment]
        words = [address.password or "", address.username or "", address.path, *behind]
    except ValueError:
        return
    for word in words:
        if len(word) >= _LONG_WORD or word in (address.password, address.query):
            yield word
            yield unquote(word)


def _filled(arguments: JsonObject, keys: Sequence[str]) -> tuple[dict[str, Json], Vault]:
    vault = Vault()
    try:
        return vault.fill(arguments, keys), vault
    except LookupError as error:
        raise Undelivered(f"a secret is missing: {error.args[0]}") from None


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
