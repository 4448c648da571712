"""How an http task reaches a server: the host is resolved once, its addresses judged, and the connection made to one of
them; the name stays in the Host header and in what TLS checks. On the worker only (httpx).
"""

from __future__ import annotations

import ssl
from urllib.parse import unquote, urlsplit

import httpx

from .net_addresses import Gate
from .net_tls import problem as tls_problem
from .performing import TaskFailed

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"""No connection is used twice: two names at one address would share what TLS checked for the first."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Sends requests to addresses that the gate lets through."""

    def __init__(self, gate: Gate, context: ssl.SSLContext, proxy: str | None = None) -> None:
        self._gate, self._context, self._proxy_url = gate, context, proxy
        self._inner: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; the next address is tried when no connection came about."""
        url = request.url
        if url.scheme not in ("http", "https"):
            raise TaskFailed("bad_redirect", f"the server sent us to {url.scheme}:, which is not followed")
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        if self._proxy_url is not None:
            return await self._through_proxy(request, host, port)
        inner = self._transport(None)
        failed: httpx.TransportError | None = None
        for address in await self._gate.addresses(host, port):
            extensions = {**request.extensions, "sni_hostname": host.rstrip(".")}
            there = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await inner.handle_async_request(there)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
                if tls_problem(error) is not None:
                    break
        assert failed is not None  # a gate gives at least one address
        raise failed

    async def _through_proxy(self, request: httpx.Request, host: str, port: int) -> httpx.Response:
        """The proxy resolves the name (again): what we see of it is checked, and where the proxy itself is."""
        try:
            await self._gate.addresses(host, port)
        except TaskFailed as failed:
            if failed.task_code != "dns_failed":
                raise
        if self._inner is None:
            parts = urlsplit(self._proxy_url or "")
            addresses = await self._gate.addresses(str(parts.hostname), parts.port or 80)
            address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
            auth = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
            self._transport(httpx.Proxy(f"http://{address}:{parts.port or 80}", auth=auth))
        return await self._transport(None).handle_async_request(request)

    def _transport(self, proxy: httpx.Proxy | None) -> httpx.AsyncHTTPTransport:
        if self._inner is None:
            self._inner = httpx.AsyncHTTPTransport(
                verify=self._context, trust_env=False, limits=_LIMITS, proxy=proxy, http2=False
            )
        return self._inner

    async def aclose(self) -> None:
        """Close what is open."""
        if self._inner is not None:
            await self._inner.aclose()


def failure(error: httpx.HTTPError | httpx.InvalidURL, where: str) -> TaskFailed:
    """What an exception of httpx means to people.

    Args:
        where: the URL, fit to be shown.
    """
    tls = tls_problem(error)
    if tls is not None:
        return TaskFailed("tls_failed", f"{where}: TLS: {tls}")
    if isinstance(error, httpx.ConnectTimeout):
        return TaskFailed("timeout", f"{where}: no connection in time (`connect_timeout`)")
    if isinstance(error, httpx.TimeoutException):
        return TaskFailed("timeout", f"{where}: the server said nothing for too long (`idle_timeout`)")
    if isinstance(error, httpx.ProxyError):
        return TaskFailed("proxy_failed", f"{where}: the proxy: {error}")
    if isinstance(error, httpx.ConnectError):
        if _caused_by(error, ConnectionRefusedError):
            return TaskFailed("connection_refused", f"{where}: nothing listens there (connection refused)")
        return TaskFailed("connection_failed", f"{where}: no connection: {_root(error)}")
    if isinstance(error, httpx.InvalidURL) or "Invalid URL in location" in str(error):
        return TaskFailed("bad_redirect", f"{where}: the server sent us to what is no address")
    gone = isinstance(error, httpx.RemoteProtocolError) and ("disconnected" in str(error) or "closed" in str(error))
    if gone or isinstance(error, httpx.NetworkError):
        return TaskFailed("connection_lost", f"{where}: the connection broke: {_root(error)}")
    return TaskFailed("http_protocol", f"{where}: {error}")


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(each, kind) for each in _chain(error))


def _root(error: BaseException) -> str:
    texts = [str(each) for each in _chain(error) if isinstance(each, OSError) and each.errno is not None]
    return texts[-1] if texts else str(error) or type(error).__name__


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and len(found) < 10:
        found.append(each)
        if isinstance(each, BaseExceptionGroup):
            found.extend(each.exceptions)
        each = each.__cause__ or each.__context__
    return found
