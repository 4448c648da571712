"""Who a request comes from: the bearer of a token, or a browser that signed in with one."""

from __future__ import annotations

from starlette.datastructures import Headers

from gnomon.core.access import Principal
from gnomon.core.errors import Problem, Unauthenticated
from gnomon.operations import access

from .service import Service

COOKIE = "gnomon_session"
_LONGEST = 200


def caller(service: Service, headers: Headers, address: str | None) -> Principal:
    """Who asks, as the database knows them now.

    Raises:
        Unauthenticated: nobody, or nobody any more.
    """
    desk = service.desk("rest", address)
    token = bearer(headers)
    if token is not None:
        return access.authenticate(desk, token)
    secret = session_cookie(headers)
    if secret is not None:
        return access.session(desk, secret)
    hint = "send the header `Authorization: Bearer TOKEN`; `gnomon token create` makes one"
    raise Unauthenticated(Problem("token_missing", "nobody is signed in", hint=hint))


def bearer(headers: Headers) -> str | None:
    """The token of a request. Other schemes are of others: a proxy with passwords of its own passes them on."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def session_cookie(headers: Headers) -> str | None:
    """The session that a browser sends along. In one pass: `http.cookies` takes 20 s for a bad header of 60 kB."""
    for part in headers.get("cookie", "").split(";"):
        name, mark, value = part.strip().partition("=")
        if name == COOKIE and mark:
            return value[:_LONGEST]
    return None
