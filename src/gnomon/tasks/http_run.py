"""Performing an http task. On the worker only: many at once in one process, so nothing here may block."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import httpx

from gnomon.core.values import Json, JsonObject

from .http import read_arguments, shown_url
from .http_arguments import MAX_KEEP
from .http_body import CHECK_LIMIT, Body, kept_headers, parse, text_of, with_body
from .http_expect import body_problems, header_problems, status_fits
from .http_following import follow
from .http_network import CheckedTransport, failure
from .http_request import request_of
from .net_addresses import Gate, gate_of_worker
from .net_checks import Checks
from .net_tls import context
from .performing import TaskFailed, Work

CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 300.0
SMALL = 64 * 1024
"""A body up to this size is judged at once; larger ones off the loop and few at a time: it may take seconds."""
JUDGES = 2


async def run(work: Work, gate: Gate | None = None) -> Json:
    """Send the request and judge the answer.

    Args:
        gate: who says which addresses may be reached; None: as the environment of the worker says.

    Raises:
        TaskFailed: see docs/tasks-http.md; with the result when there was an answer.
    """
    checks = Checks("an http task", filled=True)
    arguments = read_arguments(work.arguments, checks)
    if checks.problems:
        raise TaskFailed("bad_arguments", "; ".join(str(problem) for problem in checks.problems))
    expect = _map(arguments.get("expect"))
    limit = expect.get("max_time")
    try:
        async with asyncio.timeout(float(limit) if isinstance(limit, int | float) else None):
            return await _exchange(arguments, expect, work, gate or gate_of_worker())
    except TimeoutError:
        raise TaskFailed("too_slow", f"{_where(arguments)} took longer than `expect.max_time`, {limit} s") from None


async def _exchange(arguments: JsonObject, expect: JsonObject, work: Work, gate: Gate) -> Json:
    connect, idle = arguments.get("connect_timeout"), arguments.get("idle_timeout")
    timeout = httpx.Timeout(
        float(idle) if isinstance(idle, int | float) else IDLE_TIMEOUT_S,
        connect=float(connect) if isinstance(connect, int | float) else CONNECT_TIMEOUT_S,
    )
    proxy = arguments.get("proxy")
    files_of_tls = isinstance(arguments.get("verify"), str) or "cert" in arguments
    tls = await asyncio.to_thread(_context, arguments) if files_of_tls else _context(arguments)  # those are kept
    transport = CheckedTransport(gate, tls, str(proxy) if proxy is not None else None)
    with ExitStack() as files:
        try:
            request = await asyncio.to_thread(
                request_of, arguments, work.environment.get("GNOMON_RUN_ID"), timeout, files
            )
            async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                return await _answer(client, request, arguments, expect, work)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(error, _where(arguments)) from None


async def _answer(
    client: httpx.AsyncClient, request: httpx.Request, arguments: JsonObject, expect: JsonObject, work: Work
) -> Json:
    loop = asyncio.get_running_loop()
    started = loop.time()
    response, hops = await follow(client, request, arguments, work)
    try:
        body = Body(CHECK_LIMIT if any(expect.get(key) for key in ("body_contains", "regex", "json")) else MAX_KEEP)
        await body.receive(response)
    finally:
        await response.aclose()
    facts: dict[str, Json] = {
        "status": response.status_code,
        "reason": response.reason_phrase[:200],
        "headers": kept_headers(response.headers),
        "url": _without_password(response.url),
        "elapsed_s": round(loop.time() - started, 6),
        "size": body.size,
        "redirects": hops,
    }
    work.log(f"{response.status_code} {facts['reason']}, {body.size} bytes in {facts['elapsed_s']} s")
    if len(body.data) <= SMALL:
        return _judged(response, body, facts, arguments, expect)
    judges = work.loop_state.setdefault("gnomon.tasks.http:judges", asyncio.Semaphore(JUDGES))
    async with judges:
        return await asyncio.to_thread(_judged, response, body, facts, arguments, expect)


def _judged(
    response: httpx.Response, body: Body, facts: dict[str, Json], arguments: JsonObject, expect: JsonObject
) -> Json:
    """The result, or the failure with it."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    as_json = kind.endswith(("/json", "+json")) or bool(expect.get("json"))
    keep = arguments.get("keep", MAX_KEEP)
    charset = response.charset_encoding
    result = with_body(facts, body, charset, keep if isinstance(keep, int) else MAX_KEEP, as_json=as_json)
    wanted = expect.get("status")
    statuses: Sequence[Json] = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else ["2xx"]
    if not status_fits(response.status_code, statuses):
        text = f"{response.status_code} {facts['reason']}, expected {', '.join(str(each) for each in statuses)}"
        raise TaskFailed("unexpected_status", text, result)
    wrong = header_problems(expect, dict(response.headers.items()))
    if wrong:
        raise TaskFailed("unexpected_headers", "; ".join(wrong[:5]), result)
    if any(expect.get(key) for key in ("body_contains", "regex", "json")):
        data = bytes(body.data)
        wrong = body_problems(expect, text_of(data, charset), parse(data) if expect.get("json") else None)
        if wrong:
            cut = f" (only its first {CHECK_LIMIT >> 20} MiB are looked at)" if body.cut else ""
            raise TaskFailed("unexpected_body", "; ".join(wrong[:5]) + cut, result)
    return result


def _context(arguments: JsonObject) -> ssl.SSLContext:
    verify = arguments.get("verify", True)
    cert = _map(arguments.get("cert"))
    path, key = cert.get("cert"), cert.get("key")
    return context(
        verify if isinstance(verify, bool | str) else True,
        str(path) if path is not None else None,
        str(key) if key is not None else None,
    )


def _without_password(url: httpx.URL) -> str:
    return str(url.copy_with(username="", password="") if url.userinfo else url)[:2_000]


def _where(arguments: JsonObject) -> str:
    return shown_url(str(arguments.get("url")))


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
