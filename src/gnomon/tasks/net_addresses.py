"""Which addresses a task may reach. A name is resolved once, every address judged, and one of those connected to.

Link-local addresses and those of the metadata services of clouds are always refused: what answers there gives away
credentials of the machine. Private and loopback addresses are refused where the worker says so
(`GNOMON_HTTP_PRIVATE=refuse`); no argument of a job can allow them again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from .performing import TaskFailed

SETTING = "GNOMON_HTTP_PRIVATE"
Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "fd00:42::42",  # Scaleway
        "fd00:ec2::23",
        "fd00:ec2::254",  # Amazon EC2; 169.254.169.254 is link-local
        "fd20:ce::254",  # Google Cloud
    )
)
_SITE_LOCAL = ip_network("fec0::/10")
_LOW_32 = tuple(
    IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 with a local prefix
    )
)


def reason(address: Address, *, private: bool) -> str | None:
    """Why `address` must not be connected to; None: it may be.

    Args:
        private: whether addresses that are not of the public internet are allowed.
    """
    for each in (address, *_inside(address)):
        if each in METADATA:
            return "the metadata service of a cloud"
        if each.is_link_local:
            return "a link-local address"
        if each.is_unspecified or (each.version == 4 and int(each) >> 24 == 0):
            return "the unspecified address: write 127.0.0.1"
        if each.is_multicast:
            return "a multicast address"
        if each.version == 4 and int(each) >> 28 == 15:
            return "a reserved address"
        if not private and (not each.is_global or (isinstance(each, IPv6Address) and each in _SITE_LOCAL)):
            return f"an address inside a private network, which {SETTING} of this worker refuses"
    return None


def _inside(address: Address) -> Iterator[Address]:
    """IPv4 addresses that an IPv6 address stands for, or may be turned into on the way."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if number > 1 and any(address in network for network in _LOW_32):
        yield IPv4Address(number & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if (number >> 32) & 0xFDFFFFFF == 0x5EFE:  # ISATAP
        yield IPv4Address(number & 0xFFFFFFFF)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system finds them (it knows odd spellings such as 0x7f.1 too).

    Raises:
        OSError: `socket.gaierror` among them.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class Gate:
    """Turns hosts into addresses that may be connected to."""

    def __init__(self, *, private: bool = True, resolver: Resolver = resolve) -> None:
        self._private, self._resolver = private, resolver

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of `host`; each may be connected to.

        Raises:
            TaskFailed: `address_refused` when one may not be, `dns_failed` when there are none.
        """
        name = host.strip("[]")
        try:
            found = [str(ip_address(name))]
        except ValueError:
            found = list(await self._found(name, port))
        for text in found:
            why = reason(ip_address(text), private=self._private)
            if why is not None:
                shown = name if text == name else f"{name} ({text})"
                raise TaskFailed("address_refused", f"{shown} is {why}", {"host": name, "address": text})
        return found

    async def _found(self, name: str, port: int) -> Sequence[str]:
        try:
            found = await self._resolver(name, port)
        except (OSError, UnicodeError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise TaskFailed("dns_failed", f"{name} cannot be resolved: {text}") from None
        if not found:
            raise TaskFailed("dns_failed", f"{name} has no address")
        return found


def gate_of_worker() -> Gate:
    """The gate that the environment of this worker asks for.

    Raises:
        TaskFailed: `setting_invalid`: neither `allow` nor `refuse`; guessing would be worse.
    """
    word = os.environ.get(SETTING, "").strip().lower() or "allow"
    if word not in ("allow", "refuse"):
        raise TaskFailed("setting_invalid", f"{SETTING} is {word!r:.40}; write allow or refuse")
    return Gate(private=word == "allow")
