"""Redirects and challenges of an http task: what goes along to where. On the worker only (httpx).

No body is read on the way: httpx would read that of a challenge into memory, however large a server makes it.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from gnomon.core.values import Json, JsonObject

from .http import shown_url
from .performing import TaskFailed, Work

REDIRECTS = 10
_GOES_ALONG = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "content-length", "content-type", "cookie", "host"),
        *("idempotency-key", "transfer-encoding", "user-agent"),
    )
)
"""Headers that go along when a redirect leads to another origin; httpx has taken foreign cookies out before."""


async def follow(
    client: httpx.AsyncClient, request: httpx.Request, arguments: JsonObject, work: Work
) -> tuple[httpx.Response, int]:
    """The last answer, its body not yet read, and how many redirects led to it.

    Raises:
        TaskFailed: `too_many_redirects`; `bad_redirect`: the body would go to another server.
    """
    allowed = arguments.get("redirects", True)
    most = REDIRECTS if allowed is True else int(allowed) if isinstance(allowed, int) else 0
    auth = _auth(arguments)
    first = request
    for hops in range(most + 1):
        work.log(f"{request.method} {shown_url(str(request.url))}")
        if _origin(request.url) != _origin(first.url):
            auth = None  # nor when another server sends us back
        response = await _send(client, request, auth)
        following = response.next_request
        if following is None or not most:
            return response, hops
        await response.aclose()
        if _origin(following.url) != _origin(request.url):
            _leave(request, following, work)
        request = following
    where = shown_url(str(first.url))
    text = f"{where} led through more than {most} redirects, lastly to {shown_url(str(request.url))}"
    raise TaskFailed("too_many_redirects", text)


async def _send(client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth | None) -> httpx.Response:
    """The answer to a request and, if it is one, to a challenge of its server."""
    if auth is None:
        return await client.send(request, stream=True, follow_redirects=False)
    flow = auth.auth_flow(request)
    request = next(flow)
    while True:
        response = await client.send(request, auth=httpx.Auth(), stream=True, follow_redirects=False)
        try:
            request = flow.send(response)
        except StopIteration:
            return response
        await response.aclose()


def _leave(before: httpx.Request, after: httpx.Request, work: Work) -> None:
    """Take out what another server must not learn.

    Raises:
        TaskFailed: `bad_redirect`: that would be the body.
    """
    length = after.headers.get("content-length", "0")
    if (length != "0" or "transfer-encoding" in after.headers) and not _is_upgrade(before.url, after.url):
        one, other = shown_url(str(before.url)), shown_url(str(after.url))
        hint = "if it may have it, write that as the `url`"
        raise TaskFailed("bad_redirect", f"{one} sent us to {other}, which is not given the body: {hint}")
    gone = [name for name in after.headers if name not in _GOES_ALONG]
    for name in gone:
        del after.headers[name]
    work.log("to another server: `headers` and `auth` do not go along")


def _is_upgrade(before: httpx.URL, after: httpx.URL) -> bool:
    """From http to https of the same host, both at their usual ports."""
    schemes = before.scheme, after.scheme
    return schemes == ("http", "https") and before.raw_host == after.raw_host and before.port is after.port is None


def _auth(arguments: JsonObject) -> httpx.Auth | None:
    auth = _map(arguments.get("auth"))
    for kind, maker in (("basic", httpx.BasicAuth), ("digest", httpx.DigestAuth)):
        given = _map(auth.get(kind))
        if given:
            made: httpx.Auth = maker(str(given["username"]), str(given["password"]))
            return made
    return None


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
