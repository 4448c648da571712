"""The task type `http`: one request, and what its answer must be.

Promise: what `validate` accepts can be sent as it is; what is filled in later arrives as data, in the URL too. Pure:
names are resolved and files read by the worker (`http_run`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gnomon.core.values import Json

from .http_arguments import KEYS, SPELLINGS, read
from .http_expect import read_expect
from .net_checks import Checks
from .performing import shared_order

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*|\$\{[^{}]*\})")


class Http:
    """A request of any method; `docs/tasks-http.md` is the manual of every key."""

    name = "http"
    aliases = ("api", "http_request")
    executor = "shared"
    isolated = True
    secrets = ("url", "headers", "query", "auth", "json", "form", "body", "proxy", "cert")

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The canonical arguments, keys only when given.

        `${…}` behind the host of `url` moves to `url_values`, so that what it is filled with is one part of the URL
        and no more.

        Raises:
            UsageError: one problem per mistake, keys relative to the arguments as written.
        """
        checks = Checks("an http task")
        canonical = read_arguments(arguments, checks)
        checks.finish()
        return _quoting(canonical)

    def describe(self, arguments: Mapping[str, Json]) -> str:
        """One line for lists, at most 200 characters: method and URL without query and password."""
        text = f"{arguments.get('method', 'GET')} {shown_url(str(arguments.get('url')))}"
        return text if len(text) <= 200 else text[:199] + "…"

    def order(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """What the executor is given."""
        return shared_order("gnomon.tasks.http_run:run", arguments, self.secrets)


def read_arguments(arguments: Mapping[str, Json], checks: Checks) -> dict[str, Json]:
    """The canonical arguments, and every mistake noted."""
    found = checks.spelled(arguments, KEYS, SPELLINGS)
    canonical = read({key: item for key, item in found.items() if key != "expect"}, checks)
    if "expect" in found:
        canonical["expect"] = read_expect(*found["expect"], checks)
    return canonical


def shown_url(url: str) -> str:
    """A URL for people and logs: what may be secret in it is left out."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an address that cannot be read)"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?…' if parts.query else ''}" if parts.netloc else url.split("?")[0]


def _quoting(canonical: dict[str, Json]) -> dict[str, Json]:
    """References behind the host become `{name}` with a value in `url_values`, which is percent-encoded."""
    url = canonical.get("url")
    if not isinstance(url, str):
        return canonical
    head = found.end() if (found := _HOST.match(url)) else 0
    given = canonical.get("url_values")
    values: dict[str, Json] = dict(given) if isinstance(given, Mapping) else {}

    plain = _REFERENCE.sub("", url)

    def placeholder(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        base = re.sub(r"\W+", "_", match[1]).strip("_") or "value"
        name, number = base, 2
        while values.get(name, match[0]) != match[0] or (name not in values and f"{{{name}}}" in plain):
            name, number = f"{base}_{number}", number + 1
        values[name] = match[0]
        return f"{{{name}}}"

    changed = url[:head] + _REFERENCE.sub(placeholder, url[head:])
    if changed == url:
        return canonical
    return {**canonical, "url": changed, "url_values": values}


HTTP = Http()
