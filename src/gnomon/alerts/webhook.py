"""`type = "webhook"`: a POST of JSON to an address of yours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, cast

from gnomon.core.values import JsonObject, canonical_json

from .channel import TIMEOUT_S, Message, Undelivered, address, read_keys, text, text_map

_HOPELESS = frozenset({400, 405, 410, 413, 415, 422})
"""Answers after which the same message need not be tried again."""
_KEYS = {"url": address, "headers": text_map, "signing_key": text}


class Webhook:
    """See docs/alerts.md."""

    name = "webhook"
    secrets = ("url", "headers", "signing_key")

    def validate(self, arguments: Mapping[str, object]) -> JsonObject:
        """See `ChannelType`."""
        return read_keys(arguments, _KEYS, ("url",))

    def describe(self, arguments: JsonObject) -> str:
        """The host: a path or a query may be a secret."""
        words = str(arguments["url"])
        scheme, mark, rest = words.partition("://")
        return f"POST {scheme}{mark}{rest.partition('/')[0].rpartition('@')[2]}" if mark else f"POST {words}"

    async def send(self, arguments: JsonObject, message: Message, http: Any) -> None:
        """See `ChannelType`."""
        body = canonical_json(message.document).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "gnomon", "Idempotency-Key": message.key}
        headers |= cast(Mapping[str, str], arguments.get("headers", {}))
        key = arguments.get("signing_key")
        if key is not None:
            headers["X-Gnomon-Signature"] = signature(str(key), body)
        await post(http, str(arguments["url"]), body, headers)


def signature(key: str, body: bytes) -> str:
    """The value of `X-Gnomon-Signature`: HMAC-SHA256 of the body."""
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


async def post(http: Any, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """POST once; anything but a 2xx answer is `Undelivered`."""
    import httpx

    try:
        answer = await http.post(url, content=body, headers=dict(headers), timeout=TIMEOUT_S)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise Undelivered(f"this address cannot be called: {error}", permanent=True) from None
    except httpx.HTTPError as error:
        raise Undelivered(str(error) or type(error).__name__) from None
    if not answer.is_success:
        said = answer.text.strip().replace("\n", " ")[:200]
        text = f"answered {answer.status_code} {answer.reason_phrase}" + (f": {said}" if said else "")
        raise Undelivered(text, permanent=answer.status_code in _HOPELESS)


WEBHOOK = Webhook()
