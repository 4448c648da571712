"""The web side of a node: where it listens, who may reach it, and the link that signs the first person in."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gnomon.core.errors import Problem, UsageError
from gnomon.operations.context import Desk
from gnomon.operations.settings import Settings
from gnomon.operations.unclogging import Unclogged

from .parts import Parts
from .running import Running

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from gnomon.web.server import WebServer

logger = logging.getLogger("gnomon")
_NEXT_PORTS = 10
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Web:
    """A bound socket, and later a server on it."""

    def __init__(self, parts: Parts, sockets: list[socket.socket]) -> None:
        self._parts, self._sockets = parts, sockets
        self._server: WebServer | None = None
        self._stopping = threading.Event()
        self.url = self._reached()  # now: a server that fails closes its sockets
        desk = parts.desk("web")
        self._store = Unclogged(desk.store, parts.clock)
        self._template = replace(desk, store=self._store)

    def _reached(self) -> str:
        """Where it is reached from this machine."""
        host, port = self._sockets[0].getsockname()[:2]
        named = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
        return f"http{'s' if self._parts.settings.secure else ''}://{named}:{port}"

    def start(self, node: Running) -> None:
        """Serve; returns at once. FastAPI and what it needs are imported meanwhile, in the server's thread."""
        from gnomon.operations.bootstrap import bootstrap
        from gnomon.web.server import WebServer

        settings = self._parts.settings
        node.vitals.ask(self._store)
        certificate = (settings.text("tls_certificate"), settings.text("tls_key"))
        self._server = WebServer(
            lambda: self._application(node),
            self._sockets,
            certificate=certificate if settings.secure else None,
            proxies=settings.names("trusted_proxies"),
        )
        self._server.start()
        token = bootstrap(self._parts.desk("bootstrap"), self._directory)
        if token is None:
            logger.info("dashboard and REST: %s", self.url)
        else:
            logger.info("dashboard and REST: sign in at %s/#token=%s", self.url, token)

    def stop(self) -> None:
        """End: streams close, then the server. Idempotent."""
        self._stopping.set()
        if self._server is not None:
            self._server.stop()
        for one in self._sockets:
            one.close()

    @property
    def _directory(self) -> Path:
        return self._parts.directory

    def _application(self, node: Running) -> ASGIApp:
        from gnomon.web.application import build
        from gnomon.web.service import Service

        settings = self._parts.settings
        bound = {str(one.getsockname()[0]) for one in self._sockets}
        hosts = frozenset({*_LOOPBACK, *bound, settings.text("host").lower(), *settings.names("allowed_hosts")})
        secure = settings.secure or bool(settings.names("trusted_proxies"))
        return build(
            Service(
                desk=self._desk,
                clock=self._parts.clock,
                hosts=hosts - {"0.0.0.0", "::"},
                secure=secure,
                settings=settings,
                changed=node.loop.wake,
                tally=self._parts.tally,
                quiet_s=node.loop.quiet_s,
                own=node.vitals,
                node_id=node.node.record.node_id,
                stopping=self._stopping,
            )
        )

    def _desk(self, actor: str, address: str | None) -> Desk:
        return replace(self._template, actor=actor, address=address)


def open_web(parts: Parts) -> Web | None:
    """Bind the address of the settings; None: they say that there is no web side.

    The default port may be taken (by another scheduler): then one of the next is used, and said. A port that was
    asked for is that or nothing.

    Raises:
        UsageError: the address is taken or not ours, or strangers could reach it unprotected.
    """
    settings = parts.settings
    if not settings.flag("web"):
        return None
    _check_reach(parts)
    host, port = settings.text("host"), int(settings.text("port"))
    last: OSError | None = None
    for candidate in [port] if settings.given("port") else range(port, port + _NEXT_PORTS):
        try:
            return Web(parts, [_bound(host, candidate)])
        except OSError as error:
            last = error
            if error.errno != errno.EADDRINUSE:
                break
    assert last is not None
    if last.errno == errno.EADDRINUSE:
        hint = "choose another with --port, or none with --no-web; `--port 0` takes any that is free"
        raise UsageError(Problem("port_taken", f"another program listens on {host}:{port}", "port", hint)) from None
    hint = "give an address of this machine: 127.0.0.1 is reached from here only"
    raise UsageError(
        Problem("host_invalid", f"cannot listen on {host}:{port}: {last.strerror}", "host", hint)
    ) from None


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, str(error.strerror)) from None
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except BaseException:
        found.close()
        raise
    return found


def _check_reach(parts: Parts) -> None:
    """Beyond this machine only with an admin, and with TLS of our own or of a proxy that is named.

    Raises:
        UsageError: what is missing.
    """
    from gnomon.operations.bootstrap import has_admin

    settings = parts.settings
    problems = [*_certificate_problems(settings), *_proxy_problems(settings.names("trusted_proxies"))]
    if not is_loopback(settings.text("host")):
        if not settings.secure and not settings.names("trusted_proxies"):
            hint = "set tls_certificate and tls_key, or name the TLS proxy in trusted_proxies; or listen on 127.0.0.1"
            text = f"{settings.text('host')} is reached from other machines, and tokens would travel in clear"
            problems.append(Problem("unsafe_bind", text, "host", hint))
        if not has_admin(parts.desk("bootstrap")):
            hint = "run `gnomon token create --role admin --name NAME` first"
            text = f"{settings.text('host')} is reached from other machines, and there is no admin yet"
            problems.append(Problem("admin_missing", text, "host", hint))
    if problems:
        raise UsageError(*problems)


def _certificate_problems(settings: Settings) -> list[Problem]:
    given = [name for name in ("tls_certificate", "tls_key") if settings.values[name].value is not None]
    if len(given) == 1:
        missing = "tls_key" if given == ["tls_certificate"] else "tls_certificate"
        return [Problem("tls_incomplete", f"{given[0]} needs {missing} beside it", missing, "give both, as PEM files")]
    lost = [name for name in given if not Path(settings.text(name)).is_file()]
    return [Problem("tls_file_missing", f"there is no file {settings.text(n)}", n, "a PEM file") for n in lost]


def _proxy_problems(names: Iterable[str]) -> list[Problem]:
    """A name would never match, and whoever trusts all addresses believes everybody."""
    found = []
    for name in names:
        try:
            everybody = ipaddress.ip_network(name, strict=False).prefixlen == 0
        except ValueError:
            everybody = name == "*"
            if not everybody:
                text = f"{name[:80]!r} is no address"
                found.append(Problem("proxy_invalid", text, "trusted_proxies", "write 192.0.2.7 or 192.0.2.0/28"))
        if everybody:
            hint = "name the addresses of your proxies"
            text = f"{name!r} trusts everybody: anyone could ask in the name of any address"
            found.append(Problem("proxy_invalid", text, "trusted_proxies", hint))
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
