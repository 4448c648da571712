"""Asking a server from Python: `Client` waits, `AsyncClient` is awaited; both have the same methods from one source."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx

from gnomon.core.errors import GnomonError
from gnomon.core.records import Page

from .address import Address, new_key
from .calls.call import Answer, Call, Followed, Listed
from .interface import Interface
from .problems import error_of, strange, unreachable
from .streams import BEATS_S, Event, Following, Lines

T = TypeVar("T")
TIMEOUT_S = 30.0
_PAUSES_S = (0.1, 0.5)
"""Before a request is sent again whose connection was lost."""


class Client(Interface):
    """A gnomon server, asked over HTTP. May be shared by threads; `close` it, or use it in a `with`.

    Args:
        url: `http://127.0.0.1:8085`, `https://gnomon.example.org`; with a path where a proxy adds one.
        token: without it `GNOMON_TOKEN` of the environment is taken.
        timeout: seconds for each step of a request.
        insecure: send the token over plain HTTP to another machine.
        verify: how certificates are judged.

    Raises:
        UsageError: the address is none, or the token would go over the network in clear.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        insecure: bool = False,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._address = Address.of(url, token, insecure=insecure)
        self._http = httpx.Client(timeout=timeout, verify=verify, trust_env=not self._address.near)
        self._patience = httpx.Timeout(timeout, read=BEATS_S)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a request, again if its connection is lost and that does no harm.

        Raises:
            GnomonError: as the operation beside the database. Unavailable: nobody answers.
        """
        target, content = self.url + call.target, call.content
        headers = self._address.headers(call, new_key())
        pauses = [*_PAUSES_S]
        while True:
            try:
                answer = self._http.request(call.method, target, content=content, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if not pauses or not _again(call, error):
                    raise unreachable(self.url, error) from None
                threading.Event().wait(pauses.pop(0))
            else:
                return _read(call, answer, answer.content, self.url)

    def list(self, listed: Listed[T]) -> Listing[T]:
        """A list, to loop over or to get a page of."""
        return Listing(self, listed)

    def follow(self, followed: Followed) -> Iterator[Event]:
        """Events as they happen. Close the iterator, or leave the loop, to stop."""
        following = Following(followed)
        while True:
            problem: GnomonError | None = None
            try:
                with self._stream(following.call()) as lines:
                    parts = Lines()
                    for line in lines:
                        event = parts.put(line)
                        if event is not None:
                            last = following.seen(event)
                            yield event
                            if last:
                                return
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = unreachable(self.url, error)
            except GnomonError as error:
                problem = error
            threading.Event().wait(following.pause(problem))

    @contextmanager
    def _stream(self, call: Call[None]) -> Iterator[Iterator[str]]:
        headers = {**self._address.headers(call, ""), "Accept": "text/event-stream"}
        target, patience = self.url + call.target, self._patience
        with self._http.stream(call.method, target, headers=headers, timeout=patience) as answer:
            if answer.status_code != 200:
                _read(call, answer, answer.read(), self.url)
            yield answer.iter_lines()


class AsyncClient(Interface):
    """`Client` for asyncio: what answers there is awaited here, lists and streams are looped over with `async for`."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        insecure: bool = False,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._address = Address.of(url, token, insecure=insecure)
        self._http = httpx.AsyncClient(timeout=timeout, verify=verify, trust_env=not self._address.near)
        self._patience = httpx.Timeout(timeout, read=BEATS_S)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._address.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """See `Client.send`."""
        target, content = self.url + call.target, call.content
        headers = self._address.headers(call, new_key())
        pauses = [*_PAUSES_S]
        while True:
            try:
                answer = await self._http.request(call.method, target, content=content, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if not pauses or not _again(call, error):
                    raise unreachable(self.url, error) from None
                await asyncio.sleep(pauses.pop(0))
            else:
                return _read(call, answer, answer.content, self.url)

    def list(self, listed: Listed[T]) -> AsyncListing[T]:
        """A list, to loop over or to get a page of."""
        return AsyncListing(self, listed)

    async def follow(self, followed: Followed) -> AsyncIterator[Event]:
        """See `Client.follow`."""
        following = Following(followed)
        while True:
            problem: GnomonError | None = None
            try:
                async with self._stream(following.call()) as lines:
                    parts = Lines()
                    async for line in lines:
                        event = parts.put(line)
                        if event is not None:
                            last = following.seen(event)
                            yield event
                            if last:
                                return
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = unreachable(self.url, error)
            except GnomonError as error:
                problem = error
            await asyncio.sleep(following.pause(problem))

    @asynccontextmanager
    async def _stream(self, call: Call[None]) -> AsyncIterator[AsyncIterator[str]]:
        headers = {**self._address.headers(call, ""), "Accept": "text/event-stream"}
        async with self._http.stream(
            call.method, self.url + call.target, headers=headers, timeout=self._patience
        ) as answer:
            if answer.status_code != 200:
                _read(call, answer, await answer.aread(), self.url)
            yield answer.aiter_lines()


class Listing(Generic[T]):
    """A list: looping over it gets page after page; `page` gets one."""

    def __init__(self, client: Client, listed: Listed[T]) -> None:
        self._client, self._listed = client, listed

    def page(self, cursor: str | None = None, limit: int | None = None) -> Page[T]:
        """The part that begins at a cursor (`next` of the part before; None: the first), of at most `limit`."""
        return self._client.send(self._listed.at(cursor, limit))

    def __iter__(self) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page = self.page(cursor)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return


class AsyncListing(Generic[T]):
    """See `Listing`."""

    def __init__(self, client: AsyncClient, listed: Listed[T]) -> None:
        self._client, self._listed = client, listed

    async def page(self, cursor: str | None = None, limit: int | None = None) -> Page[T]:
        """See `Listing.page`."""
        return await self._client.send(self._listed.at(cursor, limit))

    async def __aiter__(self) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            page = await self.page(cursor)
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return


def _again(call: Call[Any], error: Exception) -> bool:
    """Whether a request may be sent once more: its connection was lost, and it never left or may be done twice."""
    lost = isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))
    return lost and (isinstance(error, httpx.ConnectError) or call.keyed or call.repeatable)


def _read(call: Call[T], answer: httpx.Response, content: bytes, url: str) -> T:
    said = Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, content)
    if not answer.is_success and answer.status_code not in call.accepted:
        raise error_of(said, url)
    try:
        return call.read(said)
    except (ValueError, KeyError, TypeError) as error:
        raise strange(url, f"{call.operation}: {type(error).__name__}: {error}") from None
