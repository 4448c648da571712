"""Who may come in at all: the name they ask for, where their page is from, how much they send, and who they are.

Everything needs a known caller but the few addresses in `OPEN`, compared letter by letter: another spelling of a path
is another path.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import unquote

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gnomon.core.errors import GnomonError, Problem

from .callers import bearer, caller, session_cookie
from .problems import of_error, problem, unexpected
from .service import Service

OPEN = frozenset(
    {("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("POST", "/api/v1/session")}
)
MOST_BYTES = 1 << 20
MOST_BYTES_OF_STRANGERS = 4096
"""Reading a body costs time: nobody unknown has much of it."""
_LENGTH, _LONGEST_ADDRESS = 20, 64
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\[\]]+))(?::[0-9]*)?", re.ASCII | re.IGNORECASE)
_SAFE = ("GET", "HEAD", "OPTIONS")
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refusal(Exception):
    """The request goes no further."""

    def __init__(self, status: HTTPStatus, code: str, message: str, hint: str = "") -> None:
        self.status, self.problem = status, Problem(code, message, hint=hint)
        super().__init__(message)


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        scope = {**scope, "path": _path(scope), "client": _client(scope)}
        answer = send = _Answer(send)
        headers = Headers(scope=scope)
        try:
            await self._guarded(scope, headers, receive, send)
        except Exception as error:
            if answer.begun and not answer.complete:
                raise  # the server cuts the connection: that is how the caller learns of it
            if not answer.begun:
                await unexpected(scope["method"], scope["path"], error)(scope, receive, send)

    async def _guarded(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        try:
            _check_host(headers, self._service.hosts)
            _check_origin(scope["method"], headers)
            most = MOST_BYTES_OF_STRANGERS if (scope["method"], scope["path"]) in OPEN else MOST_BYTES
            _check_size(headers, most)
            _check_kind(scope["method"], headers)
            if (scope["method"], scope["path"]) not in OPEN:
                principal = await run_in_threadpool(caller, self._service, headers, _address(scope))
                scope.setdefault("state", {})["principal"] = principal
        except Refusal as refusal:
            ending = {"Connection": "close"} if refusal.status is HTTPStatus.BAD_REQUEST else None  # RFC 9112, 6.1
            await problem(refusal.status, [refusal.problem], scope["path"], ending)(scope, receive, send)
            return
        except GnomonError as error:
            await of_error(error, scope["path"])(scope, receive, send)
            return
        await self._app(scope, _limited(receive, most), send)


def _path(scope: Scope) -> str:
    """The path with a slash inside a name still written `%2F`: ids of jobs may hold slashes."""
    raw = scope.get("raw_path")
    if raw is None:
        return str(scope["path"])
    parts = raw.decode("latin-1").partition("?")[0].split("/")
    return "/".join(unquote(part).replace("/", "%2F") for part in parts)


def _check_host(headers: Headers, allowed: frozenset[str]) -> None:
    """A page of a stranger whose name was made to point here (DNS rebinding) asks under that name."""
    asked = headers.getlist("host")
    name = host_name(asked[0]) if len(asked) == 1 else ""
    if name and ("*" in allowed or name in allowed):
        return
    hint = "ask for 127.0.0.1, or add the name to `allowed_hosts` of gnomon.toml"
    said = asked[0][:80] if asked else "no name"
    raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "host_not_allowed", f"this service is not {said!r}", hint)


def host_name(authority: str) -> str:
    """`Example.org:8085` → `example.org`; `[::1]:8085` → `::1`; "" is nobody's name."""
    found = _AUTHORITY.fullmatch(authority)
    return "" if found is None else (found[1] or found[2]).lower()


def _check_origin(method: str, headers: Headers) -> None:
    """Requests that change something come from our own pages, or from no page at all."""
    if method in _SAFE:
        return
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = origin is not None and origin.partition("://")[2].lower() == headers.get("host", "").lower()
    foreign = (origin is not None and not own) or site not in (None, "same-origin", "none")
    unknown = origin is None and site is None and session_cookie(headers) is not None
    if foreign or (unknown and bearer(headers) is None):
        raise Refusal(HTTPStatus.FORBIDDEN, "foreign_origin", "the request comes from a page of somebody else")


def _check_size(headers: Headers, most: int) -> None:
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "Content-Length is not a number")
    if "transfer-encoding" in headers and "content-length" in headers:
        text = "Content-Length and Transfer-Encoding together: where the body ends is anybody's guess"
        raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", text)
    if len(length) > _LENGTH or int(length) > most:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", f"a body has at most {most:,} bytes")


def _check_kind(method: str, headers: Headers) -> None:
    """Bodies are JSON; a form of somebody's page can not send that."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if method not in _SAFE and has_body and kind != "application/json" and not kind.endswith("+json"):
        said = f"a body of type {kind[:80]!r}" if kind else "a body without a type"
        hint = "send JSON, with the header `Content-Type: application/json`"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json_type", f"{said} is not taken", hint)


def _limited(receive: Receive, most: int) -> Receive:
    """The same for bodies that do not say their length."""
    left = most

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {most:,} bytes")
        return message

    return counted


class _Answer:
    """Sends, with the headers that all answers have, and knows how far it came."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)
        self.complete = message["type"] == "http.response.body" and not message.get("more_body")


def _client(scope: Scope) -> tuple[str, int] | None:
    """Who asks; a proxy may pass on anything as an address."""
    client = scope.get("client")
    if client is None:
        return None
    return "".join(c if c.isprintable() else "?" for c in str(client[0])[:_LONGEST_ADDRESS]), int(client[1])


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else str(client[0])
