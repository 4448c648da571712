"""Who a request comes from: the bearer of a token, or a browser that signed in with one."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from gnomon.core.access import Principal
from gnomon.core.errors import Problem, Unauthenticated
from gnomon.operations import access

from .service import Service

COOKIE = "gnomon_session"


def caller(service: Service, headers: Headers, address: str | None) -> Principal:
    """Who asks, as the database knows them now.

    Raises:
        Unauthenticated: nobody, or nobody any more.
    """
    desk = service.desk("rest", address)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return access.authenticate(desk, token.strip())
    secret = session_cookie(headers)
    if secret is not None:
        return access.session(desk, secret)
    hint = "send the header `Authorization: Bearer TOKEN`; `gnomon token create` makes one"
    raise Unauthenticated(Problem("token_missing", "nobody is signed in", hint=hint))


def session_cookie(headers: Headers) -> str | None:
    """The session that a browser sends along."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
