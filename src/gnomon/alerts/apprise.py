"""`type = "apprise"`: chat, push and SMS services by the addresses of the `apprise` library."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from gnomon.core.values import JsonObject

from .channel import Message, Undelivered, read_keys, texts

MISSING = "the library apprise is not installed: pip install 'gnomon[alerts]'"
_KEYS = {"url": texts, "urls": texts}
_MOST_AT_WORK = 2
_at_work: Counter[tuple[str, ...]] = Counter()
"""Tries that are not over, by addresses."""


def installed() -> bool:
    """Whether the optional library is there."""
    return importlib.util.find_spec("apprise") is not None


class Apprise:
    """See docs/alerts.md."""

    name = "apprise"
    secrets = ("urls",)

    def validate(self, arguments: Mapping[str, object]) -> JsonObject:
        """See `ChannelType`. `url` is another spelling of `urls`."""
        found = read_keys(arguments, _KEYS, () if "url" in arguments else ("urls",))
        urls = [*cast(Sequence[str], found.pop("url", ())), *cast(Sequence[str], found.get("urls", ()))]
        return {"urls": urls}

    def describe(self, arguments: JsonObject) -> str:
        """The services: the rest of their addresses is secret."""
        return "apprise " + ", ".join(_service(url) for url in cast(Sequence[str], arguments["urls"]))

    async def send(self, arguments: JsonObject, message: Message, http: Any) -> None:
        """See `ChannelType`."""
        if not installed():
            raise Undelivered(MISSING)
        urls = list(cast(Sequence[str], arguments["urls"]))
        failed = await _apart(urls, message)
        if failed:
            raise Undelivered("not delivered by " + ", ".join(failed))


async def _apart(urls: Sequence[str], message: Message) -> list[str]:
    """`_notify` in a thread of its own: the library blocks, and one that hangs must keep neither other channels nor
    the end of the process waiting."""
    place = tuple(urls)
    if _at_work[place] >= _MOST_AT_WORK:
        raise Undelivered("earlier tries still hang")
    loop = asyncio.get_running_loop()
    over: asyncio.Future[list[str]] = loop.create_future()

    def settle(failed: list[str], error: BaseException | None) -> None:
        if over.done():
            return
        if error is None:
            over.set_result(failed)
        else:
            over.set_exception(error)

    def work() -> None:
        failed, wrong = list[str](), None
        try:
            failed = _notify(urls, message)
        except Exception as error:
            wrong = error
        finally:
            _at_work[place] -= 1
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, failed, wrong)

    _at_work[place] += 1
    threading.Thread(target=work, name="gnomon-alerts-apprise", daemon=True).start()
    return await over


def _notify(urls: Sequence[str], message: Message) -> list[str]:
    """Tell each service; the names of those that did not take it. Texts are told as texts, never as HTML."""
    import apprise

    failed = []
    for url in urls:
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            raise Undelivered(f"apprise does not understand an address ({_service(url)})", permanent=True)
        one = apprise.Apprise(service)
        if not one.notify(body=message.text, title=message.title, body_format=apprise.NotifyFormat.TEXT):
            failed.append(_service(url))
    return failed


def _service(url: str) -> str:
    """`slack://…` of an address, a reference as it is."""
    scheme, mark, _ = url.partition("://")
    return f"{scheme}://…" if mark else url


APPRISE = Apprise()
