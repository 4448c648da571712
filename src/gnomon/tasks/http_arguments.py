"""The keys of an http task, each with its mistakes. Used twice: where files are read, and on the worker when filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from gnomon.core.secrets import is_reference
from gnomon.core.values import Json

from .net_checks import Checks

KEYS = (
    "url",
    "method",
    "url_values",
    "query",
    "headers",
    "auth",
    "json",
    "form",
    "body",
    "files",
    "expect",
    "verify",
    "cert",
    "redirects",
    "keep",
    "connect_timeout",
    "idle_timeout",
    "proxy",
)
SPELLINGS = {
    "http_method": "method",
    "uri": "url",
    "endpoint": "url",
    "params": "query",
    "query_params": "query",
    "data": "body",
    "payload": "body",
    "verify_tls": "verify",
    "verify_ssl": "verify",
    "follow_redirects": "redirects",
    "allow_redirects": "redirects",
    "authentication": "auth",
}
MAX_REDIRECTS = 50
MAX_KEEP = 64 * 1024
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,30}")
_MANAGED = {"content-length": "it is counted", "transfer-encoding": "it is chosen", "connection": "it is chosen"}
_NO_BODY = ("GET", "HEAD", "TRACE", "CONNECT")

Found = Mapping[str, tuple[str, Json]]


def read(found: Found, checks: Checks) -> dict[str, Json]:
    """The canonical arguments (all but `expect`)."""
    canonical: dict[str, Json] = {}
    if "url" not in found:
        checks.problem("missing_key", "an http task needs a url", "url", "e.g. https://example.com/health")
    for name, (key, value) in found.items():
        reader = _READERS.get(name)
        canonical[name] = value if reader is None else reader(value, key, checks)
    _check_body(canonical, found, checks)
    return canonical


def _url(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is None:
        return None
    text = text.strip()
    if checks.is_open(text) and (is_reference(text) or text.startswith("${")):
        return text
    shape = text if checks.filled else re.sub(r"\$\{[^{}]*\}", "1", text)
    try:
        parts = urlsplit(shape)
        host, port = parts.hostname, parts.port
    except ValueError:
        checks.problem("bad_value", f"{checks.shown(text)} is no address", key, "e.g. https://example.com/health")
        return text
    if parts.scheme.lower() not in ("http", "https"):
        checks.problem("bad_value", f"{checks.shown(text)} is neither http:// nor https://", key)
    elif not host or port == 0:
        checks.problem("bad_value", f"{checks.shown(text)} names no host", key, "e.g. https://example.com/health")
    elif re.search(r"[\x00-\x20\x7f\\]", parts.netloc) or re.search(r"[\x00-\x1f\x7f]", shape):
        checks.problem("bad_value", f"{checks.shown(text)} holds what no address may hold", key)
    return text


def _method(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is None or checks.is_open(text):
        return text
    if not _METHOD.fullmatch(text.strip().upper()):
        checks.problem("bad_value", f"{checks.shown(text)} is no method", key, "GET, POST, PUT, PATCH, DELETE, …")
    elif text.strip().upper() == "CONNECT":
        checks.problem("bad_value", "CONNECT is for proxies", key, "see `proxy`")
    return text.strip().upper()


def _pairs(value: Json, key: str, checks: Checks) -> Json:
    """Query, form: names to a text, number, flag, or a list of them."""
    if checks.is_open(value):
        return value
    canonical: dict[str, Json] = {}
    for name, item in checks.mapping(value, key, "names to texts").items():
        place = f"{key}.{name}"
        checks.text(name, place, one_line=False)
        if isinstance(item, Sequence) and not isinstance(item, str):
            canonical[name] = [_scalar(each, f"{place}[{index}]", checks) for index, each in enumerate(item)]
        elif item is not None:
            canonical[name] = _scalar(item, place, checks)
    return canonical


def _scalar(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        checks.bad_type(value, key, "a text", "a map has no place here: use `json`")
        return None
    if not isinstance(value, str | int | float):
        checks.bad_type(value, key, "a text")
        return None
    return checks.text(value, key, one_line=False)


def _url_values(value: Json, key: str, checks: Checks) -> Json:
    given = checks.mapping(value, key, "names to texts")
    return {name: "" if item is None else _scalar(item, f"{key}.{name}", checks) for name, item in given.items()}


def _headers(value: Json, key: str, checks: Checks) -> Json:
    if checks.is_open(value):
        return value
    canonical: dict[str, Json] = {}
    for name, item in checks.mapping(value, key, "names to texts").items():
        place = f"{key}.{name}"
        if not checks.field(name, place):
            continue
        if name.lower() in _MANAGED:
            checks.problem("reserved_name", f"{name} is set by gnomon: {_MANAGED[name.lower()]}", place, "leave it out")
        elif isinstance(item, Sequence) and not isinstance(item, str):
            canonical[name] = [checks.header(each, f"{place}[{index}]") for index, each in enumerate(item)]
        else:
            canonical[name] = None if item is None else checks.header(item, place)
    return canonical


def _auth(value: Json, key: str, checks: Checks) -> Json:
    if checks.is_open(value):
        return value
    given = checks.mapping(value, key, "one of basic, digest, bearer")
    if len(given) != 1 or not set(given) <= {"basic", "digest", "bearer"}:
        if isinstance(value, Mapping):
            checks.problem(
                "bad_value", "expected exactly one of basic, digest, bearer", key, "e.g. {bearer: 'env:TOKEN'}"
            )
        return None
    kind, item = next(iter(given.items()))
    place = f"{key}.{kind}"
    if kind == "bearer":
        return {kind: checks.header(item, place)}
    if checks.is_open(item):
        return {kind: item}
    parts = checks.spelled(
        checks.mapping(item, place, "username and password"),
        ("username", "password"),
        {"user": "username"},
        f"{place}.",
    )
    for name in ("username", "password"):
        if name not in parts:
            checks.problem("missing_key", f"{kind} needs a {name}", f"{place}.{name}")
    return {kind: {name: checks.text(each, where) for name, (where, each) in parts.items()}}


def _body(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return value  # becomes json
    return checks.text(value, key, one_line=False)


def _files(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, str):
        value = {"file": value}
    canonical: dict[str, Json] = {}
    for name, item in checks.mapping(value, key, "fields to files").items():
        place = f"{key}.{name}"
        checks.text(name, place)
        several = isinstance(item, Sequence) and not isinstance(item, str)
        items = item if isinstance(item, Sequence) and not isinstance(item, str) else [item]
        canonical[name] = [_file(each, f"{place}[{n}]" if several else place, checks) for n, each in enumerate(items)]
    if isinstance(value, Mapping) and not value:
        checks.problem("missing_key", "`files` names no file", key)
    return canonical


def _file(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, str):
        return {"path": checks.path(value, key)}
    if not isinstance(value, Mapping):
        checks.bad_type(value, key, "a path, or {path, name, content_type}, or {content, name}")
        return None
    given = checks.spelled(value, ("path", "content", "name", "content_type"), {"filename": "name"}, f"{key}.")
    if ("path" in given) == ("content" in given):
        checks.problem("missing_key", "a file needs `path` or `content`, one of them", key)
    canonical: dict[str, Json] = {}
    for name, (place, item) in given.items():
        if name == "path":
            canonical[name] = checks.path(item, place)
        elif name == "content":
            canonical[name] = checks.text(item, place, one_line=False)
        else:
            canonical[name] = checks.header(item, place)
    return canonical


def _verify(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false")):
        return checks.flag(value, key)
    return checks.path(value, key)


def _cert(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, str):
        return {"cert": checks.path(value, key)}
    given = checks.spelled(checks.mapping(value, key, "cert and key"), ("cert", "key"), {}, f"{key}.")
    if "cert" not in given:
        checks.problem("missing_key", "the certificate is missing", f"{key}.cert", "{cert: /…/me.pem, key: /…/me.key}")
    return {name: checks.path(item, place) for name, (place, item) in given.items()}


def _redirects(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, str) and value.strip().lower() == "follow":
        return True
    if isinstance(value, str) and value.strip().lower() == "refuse":
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return checks.whole(value, key, 0, MAX_REDIRECTS)
    return value if checks.is_open(value) else checks.flag(value, key)


def _proxy(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is None or checks.is_open(text):
        return text
    try:
        parts = urlsplit(text)
        good = parts.scheme.lower() == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        checks.problem("bad_value", "expected the address of a proxy", key, "e.g. http://proxy.example.com:3128")
    return text


def _check_body(canonical: dict[str, Json], found: Found, checks: Checks) -> None:
    """One kind of body; a map given as `body` is JSON."""
    body = canonical.get("body")
    if "body" in canonical and body is not None and not isinstance(body, str):
        if "json" in canonical:
            checks.problem("conflicting_keys", "`json` and `body` are both given", found["body"][0], "keep `json`")
        canonical["json"] = canonical.pop("body")
    given = [name for name in ("json", "form", "body", "files") if name in canonical]
    if given == ["form", "files"]:
        return
    for name in given[1:]:
        key = found.get(name, found.get("body", (name, None)))[0]
        checks.problem("conflicting_keys", f"a request has one body: `{given[0]}` or `{name}`", key, "keep one")
    method = canonical.get("method", "GET")
    if given and method in _NO_BODY and isinstance(method, str):
        hint = "write `method: POST`" if "method" not in canonical else "leave the body out, or choose POST"
        key = found.get(given[0], found.get("body", (given[0], None)))[0]
        checks.problem("bad_value", f"{method} has no body", key, hint)


def _whole(low: int, high: int) -> Callable[[Json, str, Checks], Json]:
    return lambda value, key, checks: value if checks.is_open(value) else checks.whole(value, key, low, high)


def _seconds(value: Json, key: str, checks: Checks) -> Json:
    return value if checks.is_open(value) else checks.seconds(value, key)


_READERS: Mapping[str, Callable[[Json, str, Checks], Json]] = {
    "url": _url,
    "method": _method,
    "url_values": _url_values,
    "query": _pairs,
    "headers": _headers,
    "auth": _auth,
    "form": _pairs,
    "body": _body,
    "files": _files,
    "verify": _verify,
    "cert": _cert,
    "redirects": _redirects,
    "keep": _whole(0, MAX_KEEP),
    "connect_timeout": _seconds,
    "idle_timeout": _seconds,
    "proxy": _proxy,
}
