"""Bodies that come packed (gzip, deflate), piece by piece and to their very end. On the worker only (httpx)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

from .performing import TaskFailed

MOST = 1 << 18
"""Bytes of a piece: a small body may be a large one packed."""
_PACKINGS = ("gzip", "x-gzip", "deflate")
_ANY = zlib.MAX_WBITS | 32


class Unpacker:
    """Unpacks one body. Whoever has enough stops asking; whoever takes all asks for the end."""

    def __init__(self, encoding: str) -> None:
        self._encoding, self._first, self._inside = encoding, True, False
        self._object = zlib.decompressobj(_ANY)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What is in `data`, unpacked.

        Raises:
            TaskFailed: `http_protocol`: it is not packed so, or its checksum is wrong.
        """
        try:
            yield from self._pieces(data)
        except zlib.error:
            raise TaskFailed("http_protocol", f"the body is not {self._encoding}, as its header says") from None

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        more = bool(data)
        while more:
            self._inside = True
            try:
                piece = self._object.decompress(data, MOST)
            except zlib.error:
                if not self._first:
                    raise
                self._object = zlib.decompressobj(-zlib.MAX_WBITS)  # deflate without its header
                piece = self._object.decompress(data, MOST)
            self._first = False
            yield piece
            data = self._object.unconsumed_tail
            more = bool(data) or len(piece) == MOST
            if self._object.eof:
                data, self._object = self._object.unused_data, zlib.decompressobj(_ANY)
                more, self._inside = bool(data), False

    def end(self) -> None:
        """The body is over.

        Raises:
            TaskFailed: `http_protocol`: something of it is missing.
        """
        if self._inside:
            raise TaskFailed("http_protocol", f"the body ends before its {self._encoding} does: not all of it came")


def unpacker_of(response: httpx.Response) -> Unpacker | None:
    """None: the body is as it is, or packed in a way that is left alone."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return Unpacker(encoding) if encoding in _PACKINGS else None


async def unpacked(response: httpx.Response, chunk: int) -> AsyncIterator[bytes]:
    """The whole body of an answer.

    Raises:
        TaskFailed: `http_protocol`: less came than the packing says. httpx.HTTPError: than the length says.
    """
    unpacker = unpacker_of(response)
    async for data in response.aiter_raw(chunk):
        if unpacker is None:
            yield data
        else:
            for piece in unpacker.pieces(data):
                yield piece
    if unpacker is not None:
        unpacker.end()
