"""Making the request of an http task from its (filled) arguments. Everything arrives as data, or is refused."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlencode

import httpx

from gnomon.core.substitution import as_text
from gnomon.core.values import Json, JsonObject
from gnomon.core.version import __version__

from .file_spots import roots_of_worker, spot
from .performing import TaskFailed

_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_HEAD = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


def request_of(arguments: JsonObject, run_id: str | None, timeout: httpx.Timeout, files: ExitStack) -> httpx.Request:
    """The request.

    Args:
        arguments: canonical and filled.
        files: closes what is opened for an upload.

    Raises:
        TaskFailed: `file_missing`, `bad_arguments`.
    """
    method = str(arguments.get("method", "GET"))
    kind, body = _body(arguments, files)
    headers = _headers(arguments, method, run_id, kind)
    url = filled_url(str(arguments["url"]), _map(arguments.get("url_values")), pairs(arguments.get("query")))
    try:
        return httpx.Request(method, url, headers=headers, extensions={"timeout": timeout.as_dict()}, **body)
    except httpx.InvalidURL as error:
        raise TaskFailed("bad_arguments", f"url: {error}") from None


def pairs(value: Json) -> list[tuple[str, str]]:
    """Names and texts of a query or a form; lists repeat the name, nulls are left out."""
    found: list[tuple[str, str]] = []
    for name, item in _map(value).items():
        items = item if isinstance(item, Sequence) and not isinstance(item, str) else [item]
        found += [(name, as_text(each)) for each in items if each is not None]
    return found


def filled_url(url: str, values: Mapping[str, Json], query: Sequence[tuple[str, str]]) -> str:
    """The URL with its values in place and its query behind, everything percent-encoded.

    Raises:
        TaskFailed: `bad_arguments`: a value would be a step in the path (`..`), not a part of it.
    """
    address = url.partition("#")[0]
    head = found[0] if (found := _HEAD.match(address)) else ""
    template = address[len(head) :]
    rest = template
    if values:
        pattern = "|".join(re.escape(f"{{{name}}}") for name in values)
        rest = re.sub(pattern, lambda match: quote(as_text(values[match[0][1:-1]]), safe=""), template)
    for before, after in zip(template.partition("?")[0].split("/"), rest.partition("?")[0].split("/"), strict=True):
        if before != after and unquote(after) in (".", ".."):
            raise TaskFailed("bad_arguments", f"url_values: a part of the path of url would be {unquote(after)!r}")
    if query:
        rest += ("&" if "?" in rest else "?") + urlencode(query, quote_via=quote, safe="")
    return head + rest


def _headers(arguments: JsonObject, method: str, run_id: str | None, kind: str | None) -> list[tuple[bytes, bytes]]:
    """Ours, unless given; a header given as null is not sent."""
    ours: dict[str, str | None] = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"gnomon/{__version__}",
        "Content-Type": kind,
        "Idempotency-Key": run_id if method not in _SAFE else None,
    }
    given = _map(arguments.get("headers"))
    bearer = _map(arguments.get("auth")).get("bearer")
    if bearer is not None:
        ours["Authorization"] = f"Bearer {bearer}"
    names = {name.lower() for name in given}
    found = [(name, value) for name, value in ours.items() if value is not None and name.lower() not in names]
    for name, value in given.items():
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        found += [(name, as_text(each)) for each in items if each is not None]
    return [(name.encode("ascii"), value.encode()) for name, value in found]


def _body(arguments: JsonObject, files: ExitStack) -> tuple[str | None, dict[str, Any]]:
    """Content-Type (None: httpx knows) and the arguments of `httpx.Request`."""
    if "files" in arguments:
        fields: dict[str, list[str]] = {}
        for name, text in pairs(arguments.get("form")):
            fields.setdefault(name, []).append(text)
        parts = [(name, _upload(each, name, files)) for name, each in _uploads(arguments["files"])]
        return None, {"files": parts, "data": fields}
    if "json" in arguments:
        return "application/json", {"content": json.dumps(arguments["json"], allow_nan=False).encode()}
    if "form" in arguments:
        return "application/x-www-form-urlencoded", {"content": urlencode(pairs(arguments["form"])).encode()}
    if "body" in arguments:
        return "text/plain; charset=utf-8", {"content": as_text(arguments["body"]).encode()}
    return None, {}


def _uploads(value: Json) -> list[tuple[str, Mapping[str, Json]]]:
    items = [(name, each) for name, several in _map(value).items() if isinstance(several, Sequence) for each in several]
    return [(name, _map(each)) for name, each in items]


def _upload(item: Mapping[str, Json], field: str, files: ExitStack) -> tuple[str, BinaryIO | bytes, str]:
    path = item.get("path")
    name = str(item.get("name") or (os.path.basename(str(path)) if path is not None else "file"))
    kind = str(item.get("content_type") or "application/octet-stream")
    if path is None:
        return name, as_text(item.get("content")).encode(), kind
    file = open_file(str(path), f"files.{field}")
    return name, files.enter_context(file), kind


def open_file(path: str, key: str) -> BinaryIO:
    """A regular file inside the roots of this worker, open for reading. A pipe could hold up all tasks of this process.

    Raises:
        TaskFailed: `file_missing`, `outside_roots`.
    """
    flags, roots = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, roots_of_worker(os.environ)
    try:
        if roots.paths:
            with spot(path, roots, follow=True) as here:
                number = os.open(here.name, flags | os.O_NOFOLLOW, dir_fd=here.fd)
        else:
            number = os.open(path, flags)
    except OSError as error:
        raise TaskFailed("file_missing", f"{key}: {path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise TaskFailed("file_missing", f"{key}: {path} is no file")
    return os.fdopen(number, "rb")


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
