"""`type = "webhook"`: a POST of JSON to an address of yours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, cast

from gnomon.core.values import JsonObject, canonical_json

from .channel import TIMEOUT_S, Message, Undelivered, address, headers, one_line, read_keys, text

_HOPELESS = frozenset({400, 405, 410, 413, 415, 422})
"""Answers after which the same message need not be tried again."""
_READ = 1000
_KEYS = {"url": address, "headers": headers, "signing_key": text}


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
        sent = {"Content-Type": "application/json", "User-Agent": "gnomon", "Idempotency-Key": message.key}
        sent |= cast(Mapping[str, str], arguments.get("headers", {}))
        key = arguments.get("signing_key")
        if key is not None:
            sent["X-Gnomon-Signature"] = signature(str(key), body)
        await post(http, str(arguments["url"]), body, sent)


def signature(key: str, body: bytes) -> str:
    """The value of `X-Gnomon-Signature`: HMAC-SHA256 of the body."""
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


async def post(http: Any, url: str, body: bytes, sent: Mapping[str, str]) -> None:
    """POST once; anything but a 2xx answer is `Undelivered`."""
    import httpx

    try:
        async with http.stream("POST", url, content=body, headers=dict(sent), timeout=TIMEOUT_S) as answer:
            if answer.is_success:
                return
            status, reason, said = answer.status_code, answer.reason_phrase, await _beginning(answer)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError) as error:
        raise Undelivered(f"this address cannot be called: {error}") from None
    except httpx.TimeoutException:
        raise Undelivered(f"the server was silent for {TIMEOUT_S:g} s") from None
    except httpx.HTTPError as error:
        raise Undelivered(str(error) or type(error).__name__) from None
    text = f"answered {status} {reason}" + (f": {said}" if said else "")
    raise Undelivered(text, permanent=status in _HOPELESS)


async def _beginning(answer: Any) -> str:
    """The first words of an answer, however long it is."""
    data = b""
    async for piece in answer.aiter_raw():
        data += piece
        if len(data) >= _READ:
            break
    return "" if answer.headers.get("Content-Encoding") else one_line(data[:_READ].decode("utf-8", "replace"), 200)


WEBHOOK = Webhook()
