"""Files at http URLs: GET reads, PUT (or POST) sends. Addresses are checked as those of http tasks are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from gnomon.core.values import Json

from .file_places import CHUNK, Facts, Sending, refused, shown
from .http_network import CheckedTransport, failure
from .http_packing import unpacked
from .net_addresses import gate_of_worker
from .net_tls import context
from .performing import TaskFailed

TIMEOUT = httpx.Timeout(300.0, connect=10.0)
REDIRECTS = 10
OPTIONS = ("headers", "username", "password", "verify")
_END = b""


class HttpPlace:
    """A URL. `options`: headers, username and password, verify."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        unknown = [key for key in options if key not in OPTIONS]
        if unknown:
            known = ", ".join(OPTIONS)
            raise TaskFailed("bad_arguments", f"storage_options.{unknown[0]}: http knows {known}")
        headers = options.get("headers") or {}
        if not isinstance(headers, Mapping):
            raise TaskFailed("bad_arguments", "storage_options.headers: expected a map of names to texts")
        self.url, self.shown, self.method = url, shown(url), "PUT"
        self._headers = {str(name): str(value) for name, value in headers.items()}
        self._options = options

    def facts(self) -> Facts | None:
        response = self._run(self._ask("HEAD"))
        if response.status_code >= 400:  # many servers, and all signed URLs, know GET only
            response = self._run(self._ask("GET"))
        if response.status_code in (404, 410):
            return None
        self._judge(response)
        packed = "content-encoding" in response.headers  # then the length is that of the packed file
        length, changed = response.headers.get("content-length", ""), response.headers.get("last-modified")
        length = "" if packed else length
        return Facts("file", int(length) if length.isdigit() else None, _instant(changed))

    @contextmanager
    def reading(self) -> Iterator[Iterator[bytes]]:
        with asyncio.Runner() as runner:
            stream = self._read()
            try:
                yield iter(lambda: runner.run(_next(stream)), _END)
            finally:
                runner.run(_close(stream))

    def send(self, chunks: Iterable[bytes], how: Sending) -> dict[str, Json]:
        if not how.overwrite:
            raise refused("`overwrite: false`", self.shown, "a server is not asked what it has")
        response = self._run(self._send(iter(chunks)))
        self._judge(response)
        return {"status": response.status_code, "created": response.status_code == 201}

    def append(self, data: bytes, how: Sending) -> None:
        raise refused("appending", self.shown)

    def delete(self, recursive: bool, only_dir: bool = False) -> None:
        if only_dir:
            raise refused("removing a directory", self.shown)
        self._judge(self._run(self._ask("DELETE")))

    def mkdir(self, how: Sending) -> bool:
        raise refused("making a directory", self.shown)

    def entries(self, recursive: bool) -> Iterator[tuple[str, Facts]]:
        raise refused("listing", self.shown)

    def below(self, name: str) -> HttpPlace:
        raise refused("a tree", self.shown)

    def _run(self, work: Any) -> httpx.Response:
        with asyncio.Runner() as runner:
            response: httpx.Response = runner.run(work)
            return response

    def _client(self) -> httpx.AsyncClient:
        verify = self._options.get("verify", True)
        name, word = self._options.get("username"), self._options.get("password")
        return httpx.AsyncClient(
            transport=CheckedTransport(gate_of_worker(), context(verify if isinstance(verify, bool) else str(verify))),
            auth=httpx.BasicAuth(str(name), str(word or "")) if name is not None else None,
            headers={"accept-encoding": "identity"},
            timeout=TIMEOUT,
            trust_env=False,
        )

    async def _ask(self, method: str) -> httpx.Response:
        """The head of the answer; the body is left where it is."""
        try:
            async with self._client() as client:
                response = await self._follow(client, method)
                await response.aclose()
                return response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(error, self.shown) from None

    async def _follow(self, client: httpx.AsyncClient, method: str) -> httpx.Response:
        """The last answer, behind redirects; headers of ours do not go along to another server."""
        request = client.build_request(method, self.url, headers=self._headers)
        origin = _origin(request.url)
        for _ in range(REDIRECTS + 1):
            same = _origin(request.url) == origin
            response = await client.send(
                request, stream=True, follow_redirects=False, auth=httpx.USE_CLIENT_DEFAULT if same else None
            )
            if response.next_request is None or method == "DELETE":
                return response
            await response.aclose()
            request = response.next_request
            if _origin(request.url) != origin:
                for name in self._headers:
                    request.headers.pop(name, None)
        raise TaskFailed("too_many_redirects", f"{self.shown} led through more than {REDIRECTS} redirects")

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            async with self._client() as client:
                response = await self._follow(client, "GET")
                try:
                    self._judge(response)
                    async for chunk in unpacked(response, CHUNK):
                        if chunk:
                            yield chunk
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(error, self.shown) from None

    async def _send(self, chunks: Iterator[bytes]) -> httpx.Response:
        async def body() -> AsyncIterator[bytes]:
            while chunk := await asyncio.to_thread(next, chunks, _END):  # the source may have a loop of its own
                yield chunk

        headers = {"content-type": "application/octet-stream", **self._headers}
        try:
            async with self._client() as client:
                request = client.build_request(self.method, self.url, content=body(), headers=headers)
                response = await client.send(request, stream=True, follow_redirects=False)
                await response.aclose()
                return response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(error, self.shown) from None

    def _judge(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (404, 410):
            raise TaskFailed("file_not_found", f"{self.shown}: {status}, nothing is there", {"status": status})
        if not 200 <= status < 300:
            text = f"{self.shown}: {status} {response.reason_phrase[:200]}"
            raise TaskFailed("unexpected_status", text, {"status": status})


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream, _END)


async def _close(stream: Any) -> None:
    await stream.aclose()


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port


def _instant(text: str | None) -> str | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
