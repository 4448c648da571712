"""Performing an email task. On the worker only: many at once in one process, so nothing here may block."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import aiosmtplib

from gnomon.core.values import Json, JsonObject
from gnomon.system.clock import SystemClock

from .email_arguments import read, security
from .email_message import Letter, letter_of, weight_of
from .net_addresses import Gate, gate_of_worker
from .net_checks import Checks
from .net_tls import context
from .net_tls import problem as tls_problem
from .performing import TaskFailed, Work

CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 60.0
DATA_TIMEOUT_S = 600.0
"""For the message and the answer to it: giving up earlier sends it twice (RFC 5321, 4.5.3.2.6)."""
PIECE = 256 * 1024
PIECES = 128
"""Pieces of attachments that all attempts together have in memory, each several times over; more wait."""


async def run(work: Work, gate: Gate | None = None) -> Json:
    """Hand the message over.

    Args:
        gate: who says which addresses may be reached; None: as the environment of the worker says.

    Raises:
        TaskFailed: see docs/tasks-email.md.
    """
    checks = Checks("an email task", filled=True)
    arguments = read(work.arguments, checks)
    if checks.problems:
        raise TaskFailed("bad_arguments", "; ".join(str(problem) for problem in checks.problems))
    async with _room(work, await asyncio.to_thread(weight_of, arguments)):
        return await _deliver(arguments, work, gate or gate_of_worker())


async def _deliver(arguments: JsonObject, work: Work, gate: Gate) -> Json:
    run_id = work.environment.get("GNOMON_RUN_ID", "run")
    letter = await asyncio.to_thread(letter_of, arguments, run_id, SystemClock().now())
    tls, port = security(arguments)
    where = f"{arguments['host']}:{port}"
    verify = arguments.get("verify", True)
    verify = verify if isinstance(verify, bool | str) else True
    tls_context = None
    if tls != "none":  # the usual ones are kept; a bundle is read each time
        tls_context = await asyncio.to_thread(context, verify) if isinstance(verify, str) else context(verify)
    limit = arguments.get("connect_timeout")
    patience = float(limit) if isinstance(limit, int | float) else CONNECT_TIMEOUT_S
    link = await _connect(gate, str(arguments["host"]), port, patience)
    client = aiosmtplib.SMTP(
        hostname=str(arguments["host"]).rstrip("."),
        sock=link,  # from here on it belongs to the client
        use_tls=tls == "implicit",
        start_tls=tls == "starttls",
        tls_context=tls_context,
        timeout=COMMAND_TIMEOUT_S,
        local_hostname=_own_name(),
    )
    done = False
    try:
        result = await _send(client, arguments, letter, where, patience, work)
        done = True
    except TaskFailed as failed:
        done = failed.task_code in ("smtp_refused", "smtp_auth")
        raise
    finally:
        _leave(client, done)
    return result


@asynccontextmanager
async def _room(work: Work, weight: int) -> AsyncIterator[None]:
    """Wait until attachments of so many bytes may be in memory."""
    key = "gnomon.tasks.email:room"
    line, pieces = work.loop_state.setdefault(key, (asyncio.Lock(), asyncio.Semaphore(PIECES)))
    wanted, taken = min(weight // PIECE, PIECES), 0
    if not wanted:
        yield
        return
    try:
        async with line:  # one after the other: two that have half of what they want would wait for ever
            while taken < wanted:
                await pieces.acquire()
                taken += 1
        yield
    finally:
        for _ in range(taken):
            pieces.release()


async def _connect(gate: Gate, host: str, port: int, patience: float) -> socket.socket:
    """A connection to one of the checked addresses of a host."""
    loop = asyncio.get_running_loop()
    said = "no address"
    for address in await gate.addresses(host, port):
        link = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        link.setblocking(False)
        try:
            async with asyncio.timeout(patience):
                await loop.sock_connect(link, (address, port))
        except TimeoutError:
            said = f"no connection within {patience} s"
        except OSError as error:
            said = os.strerror(error.errno) if error.errno else str(error)
        except BaseException:
            link.close()
            raise
        else:
            return link
        link.close()
    raise TaskFailed("smtp_unreachable", f"{host}:{port}: {said} (`host`, `port`)")


async def _send(
    client: aiosmtplib.SMTP, arguments: JsonObject, letter: Letter, where: str, patience: float, work: Work
) -> Json:
    try:
        await client.connect(timeout=max(patience, 1.0))
        if "username" in arguments:
            await _log_in(client, arguments, where)
        refused, answer = await _hand_over(client, letter)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise _failure(error, where) from None
    result: dict[str, Json] = {
        "accepted": [each for each in letter.recipients if each not in refused],
        "refused": {name: f"{reply.code} {reply.message}"[:500] for name, reply in refused.items()},
        "message_id": letter.message_id,
    }
    work.log(f"{where} took it: {answer[:200]}")
    for name, reply in refused.items():
        work.log(f"refused: {name}: {reply.code} {reply.message[:200]}")
    return result


async def _hand_over(client: aiosmtplib.SMTP, letter: Letter) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
    """The recipients that were refused, and what was said to the message."""
    options = []
    encoding = "ascii"
    if not all(each.isascii() for each in (letter.sender, *letter.recipients)):
        if not client.supports_extension("smtputf8"):
            raise aiosmtplib.SMTPNotSupported("it takes no addresses that are not ASCII (SMTPUTF8)")
        options.append("SMTPUTF8")
        encoding = "utf-8"
    if client.supports_extension("size"):
        options.append(f"SIZE={len(letter.data)}")
    await client.mail(letter.sender, options=options, encoding=encoding)
    refused: list[aiosmtplib.SMTPRecipientRefused] = []
    for each in letter.recipients:
        try:
            await client.rcpt(each, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused.append(error)
    if len(refused) == len(letter.recipients):
        raise aiosmtplib.SMTPRecipientsRefused(refused)
    said = await client.data(letter.data, timeout=DATA_TIMEOUT_S)
    return {each.recipient: aiosmtplib.SMTPResponse(each.code, each.message) for each in refused}, said.message


def _leave(client: aiosmtplib.SMTP, done: bool) -> None:
    """Close the connection: with a goodbye that is not waited for when all has been said, else at once, so that
    nothing of a message is sent behind our back.
    """
    transport = client.transport
    if isinstance(transport, asyncio.WriteTransport) and not transport.is_closing():
        if done and transport.get_write_buffer_size() == 0:
            with suppress(OSError, RuntimeError):
                transport.write(b"QUIT\r\n")
        else:
            transport.abort()
    client.close()


async def _log_in(client: aiosmtplib.SMTP, arguments: JsonObject, where: str) -> None:
    try:
        await client.login(str(arguments["username"]), str(arguments["password"]))
    except aiosmtplib.SMTPAuthenticationError as error:
        raise TaskFailed("smtp_auth", f"{where} refused username and password: {_said(error)}") from None
    except aiosmtplib.SMTPException as error:
        if type(error) not in (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported):
            raise
        raise TaskFailed("smtp_auth", f"{where} takes no username and password") from None


def _failure(error: Exception, where: str) -> TaskFailed:
    tls = tls_problem(error)
    if tls is not None:
        return TaskFailed("tls_failed", f"{where}: TLS: {tls}")
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused: Mapping[str, Json] = {each.recipient: f"{each.code} {each.message}"[:500] for each in error.recipients}
        text = "; ".join(f"{name}: {said}" for name, said in refused.items())
        result: Json = {"accepted": [], "refused": refused}
        return TaskFailed("smtp_refused", f"{where} refused every recipient: {text}"[:1_000], result)
    if isinstance(error, aiosmtplib.SMTPConnectTimeoutError):
        return TaskFailed("smtp_unreachable", f"{where}: it did not answer in time")
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return TaskFailed("timeout", f"{where}: it did not answer in time")
    if isinstance(error, aiosmtplib.SMTPSenderRefused):
        return TaskFailed("smtp_refused", f"{where} refused the sender {error.sender}: {_said(error)}")
    if isinstance(error, aiosmtplib.SMTPConnectResponseError):
        return TaskFailed("smtp_unreachable", f"{where} wants no connection: {_said(error)}")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return TaskFailed("smtp_refused", f"{where} refused: {_said(error)}")
    if isinstance(error, aiosmtplib.SMTPConnectError):
        return TaskFailed("smtp_unreachable", f"{where}: {error}")
    if isinstance(error, aiosmtplib.SMTPServerDisconnected | OSError):
        return TaskFailed("connection_lost", f"{where}: the connection broke: {error}")
    if "STARTTLS" in str(error):
        return TaskFailed("tls_failed", f"{where} offers no STARTTLS (`tls: none` sends in clear)")
    return TaskFailed("smtp_refused", f"{where}: {error}")


def _said(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {error.message}"[:500]


def _own_name() -> str:
    """What we call ourselves; looking the full name up could take long."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]{1,200}", name) else "localhost"
