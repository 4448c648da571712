"""TLS of network tasks. A context costs some 20 ms, so the usual ones are made once per process."""

from __future__ import annotations

import os
import ssl
from functools import cache

from .performing import TaskFailed


def context(verify: bool | str, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """A context that checks as `verify` says: true (roots of the system), false, or the path of a CA bundle.

    Raises:
        TaskFailed: `tls_files`: the bundle, certificate or key cannot be read.
    """
    if cert is None and isinstance(verify, bool):
        return _shared(verify)
    made = _made(verify)
    if cert is not None:
        try:
            made.load_cert_chain(cert, key, password="")  # never ask at a terminal
        except (OSError, ValueError) as error:
            raise TaskFailed("tls_files", f"cert: {cert} cannot be used: {_text(error)}") from None
    return made


@cache
def _shared(verify: bool) -> ssl.SSLContext:
    return _made(verify)


def _made(verify: bool | str) -> ssl.SSLContext:
    if isinstance(verify, str):
        try:
            if os.path.isdir(verify):
                return ssl.create_default_context(capath=verify)
            return ssl.create_default_context(cafile=verify)
        except OSError as error:
            raise TaskFailed("tls_files", f"verify: {verify} cannot be used: {_text(error)}") from None
    made = ssl.create_default_context()
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif not made.get_ca_certs() and not _directory():  # a system without roots: httpx brings some
        import httpx

        made = httpx.create_ssl_context(trust_env=False)
    return made


def _directory() -> bool:
    """Whether the system keeps its roots in a directory, where OpenSSL looks for them one by one."""
    path = ssl.get_default_verify_paths().capath
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def _text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__


def problem(error: BaseException) -> str | None:
    """What went wrong with TLS, if that is what an exception (or its cause) is about."""
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message or str(seen)
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            said = str(seen.reason or seen).replace("_", " ").lower()
            plain = said in ("wrong version number", "record layer failure", "http request")
            return f"{said} (does the server speak TLS at this port?)" if plain else said
        seen = seen.__cause__ or seen.__context__ if seen is not None else None
    return None
