"""`type = "apprise"`: chat, push and SMS services by the addresses of the `apprise` library."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, cast

from gnomon.core.values import JsonObject

from .channel import TIMEOUT_S, Message, Undelivered, read_keys, texts

MISSING = "the library apprise is not installed: pip install 'gnomon[alerts]'"
_KEYS = {"url": texts, "urls": texts}


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
        failed = await asyncio.wait_for(asyncio.to_thread(_notify, urls, message), 2 * TIMEOUT_S)
        if failed:
            raise Undelivered("not delivered by " + ", ".join(failed))


def _notify(urls: Sequence[str], message: Message) -> list[str]:
    """Tell each service; the names of those that did not take it."""
    import apprise

    failed = []
    for url in urls:
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            raise Undelivered(f"apprise does not understand an address ({_service(url)})", permanent=True)
        if not service.notify(body=message.text, title=message.title):
            failed.append(_service(url))
    return failed


def _service(url: str) -> str:
    """`slack://…` of an address, a reference as it is."""
    scheme, mark, _ = url.partition("://")
    return f"{scheme}://…" if mark else url


APPRISE = Apprise()
