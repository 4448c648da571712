"""Where a server is, and with which token it may be asked."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from gnomon.core.errors import usage
from gnomon.core.version import __version__
from gnomon.system.clock import SystemEntropy

from .calls.call import Call

VARIABLE = "GNOMON_TOKEN"
_HINT = "write http://127.0.0.1:8085, or https://HOST"


@dataclass(frozen=True, slots=True)
class Address:
    """A server. `url`: without a slash at its end."""

    url: str
    token: str | None = field(repr=False)

    @property
    def near(self) -> bool:
        """What is sent there stays on this machine: through no proxy either, whatever the environment names."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @classmethod
    def of(cls, url: str, token: str | None, *, insecure: bool = False) -> Address:
        """Judge an address and a token; without one the environment's is taken.

        Raises:
            UsageError: it is none, or the token would go over the network in clear.
        """
        parts = _split(url)
        held = (token if token is not None else os.environ.get(VARIABLE, "")).strip()
        if not held:
            return cls(url.rstrip("/"), None)
        if not held.isascii() or not held.isprintable() or " " in held:
            raise usage("token_malformed", "the token has characters that no token has", hint="it begins with gnm_")
        if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname or ""):
            text = f"the token would go to {parts.hostname} in clear: {parts.scheme}:// is not encrypted"
            raise usage("token_in_clear", text, hint="use https://, or a tunnel to 127.0.0.1")
        return cls(url.rstrip("/"), held)

    def headers(self, call: Call[Any], key: str) -> dict[str, str]:
        """What a request carries. `key`: its Idempotency-Key, the same for each time it is sent."""
        said = {"User-Agent": f"gnomon/{__version__}", "Accept": "application/json", **call.headers}
        if self.token is not None:
            said["Authorization"] = f"Bearer {self.token}"
        if call.body is not None:
            said["Content-Type"] = "application/json"
        if call.keyed:
            said["Idempotency-Key"] = key
        return said


def new_key() -> str:
    """A key that nobody has had before."""
    return f"{SystemEntropy().bits(128):032x}"


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise usage("server_invalid", f"{url[:200]!r} is no address: {error}", hint=_HINT) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise usage("server_invalid", f"{url[:200]!r} is no address of a server", hint=_HINT)
    if parts.username or parts.password or parts.query or parts.fragment:
        text = f"the address of {parts.hostname} has more than a host and a path"
        raise usage("server_invalid", text, hint=f"{_HINT}; the token goes into {VARIABLE}")
    return parts
