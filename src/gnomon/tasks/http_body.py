"""Receiving a body with bounded memory, and what is kept of an answer. On the worker only (httpx)."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx

from gnomon.core.values import Json

from .http_packing import unpacker_of
from .performing import TaskFailed

CHECK_LIMIT = 8 * 1024 * 1024
"""So much of a body (unpacked) can be checked."""
MOST = 1024 * 1024 * 1024
"""Bytes on the wire after which nothing more of a body is taken: some never end."""
ROOM = 60_000
"""Bytes of a result as JSON; a run keeps 64 KiB."""
HEADER_ROOM = 8_000
MAX_DEPTH = 90
_NOT_KEPT = ("set-cookie", "set-cookie2", "proxy-authenticate", "authorization")


class Body:
    """What has come of a body: its first bytes, unpacked, and how many there were on the wire."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.data = bytearray()
        self.size = 0
        self.cut = False

    async def receive(self, response: httpx.Response) -> None:
        """Take it all; what is more than the limit is counted and dropped.

        Raises:
            TaskFailed: `http_protocol`: it is not packed as its header says, or not whole; `body_too_large`.
        """
        unpacker = unpacker_of(response)
        async for chunk in response.aiter_raw():
            self.size += len(chunk)
            if self.size > MOST:
                hint = "a task of type `file` downloads files of any size"
                raise TaskFailed("body_too_large", f"the body is larger than {MOST >> 20} MiB; {hint}")
            for piece in (chunk,) if unpacker is None else unpacker.pieces(chunk):
                self.add(piece)
                if self.cut:
                    break
        if unpacker is not None and not self.cut:
            unpacker.end()

    @property
    def room(self) -> int:
        """How many bytes may still come."""
        return self._limit - len(self.data)

    def add(self, data: bytes) -> None:
        """Keep what fits."""
        self.cut = self.cut or len(data) > self.room
        self.data += data[: self.room]


def text_of(data: bytes, charset: str | None) -> str:
    """The text; what is no text becomes U+FFFD."""
    if charset and charset.lower() not in ("idna", "punycode"):
        try:
            return data.decode(charset, "replace").encode("utf-8", "replace").decode()
        except (LookupError, ValueError):
            pass
    return data.decode("utf-8", "replace")


def parse(data: bytes) -> tuple[Json] | None:
    """The JSON of a body, if that is what it is and what a run can keep."""
    try:
        value: Json = json.loads(data, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # UnicodeError is a ValueError
        return None
    return (value,) if _depth(value) <= MAX_DEPTH else None


def kept_headers(headers: httpx.Headers) -> dict[str, str]:
    """Headers of an answer for its result: names in lower case, not those that carry secrets, not too much."""
    found: dict[str, str] = {}
    room = HEADER_ROOM
    for name, value in headers.items():
        room -= len(name) + min(len(value), 1_000)
        if name not in _NOT_KEPT and room > 0:
            found[name] = value[:1_000]
    return found


def with_body(facts: Mapping[str, Json], body: Body, charset: str | None, keep: int, *, as_json: bool) -> Json:
    """The result: `json` when the body is JSON and fits, else `body`, cut (`truncated`) to `keep` and the room."""
    if not keep or not body.data:
        return {**facts, "truncated": bool(body.data)} if not keep else dict(facts)
    parsed = parse(bytes(body.data)) if as_json and not body.cut and len(body.data) <= keep else None
    if parsed is not None and _size(whole := {**facts, "json": parsed[0]}) <= ROOM:
        return whole
    text = text_of(bytes(body.data[:keep]), charset)
    truncated = body.cut or len(body.data) > keep
    result: dict[str, Json] = {**facts, "body": text}
    while (size := _size(result)) > ROOM - 20 and text:
        text = text[: min(len(text) * (ROOM - 100) // size, len(text) - 1)]
        truncated = True
        result["body"] = text
    return {**result, "truncated": True} if truncated else result


def _size(value: Json) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _depth(value: Json) -> int:
    deep, level = 0, [value]
    while level:
        deep += 1
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return deep


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
