"""What scheduler and worker say to each other, and what a worker's journal holds. Standard library only.

Scheduler → worker, one packet (SOCK_SEQPACKET keeps lengths, and a packet has exactly one receiver):
    `[acked,run,number]`, a line feed and BODY: a JSON array, see `Order`; or `@PATH` when that is too long for a packet
    and lies in that file. `acked` is how many ends of this worker are durable. Run and number say whose it is to a
    scheduler that takes it back: while it does, the worker takes packets from the same queue.
Worker → scheduler, one packet of records, byte by byte what it has written to its journal before; or `!`: a packet
was too much for the socket, read the journal.

Records, one JSON array per line:
    ["S", run, number, token, at, steady]                              it begins (if no R follows)
    ["X", run, number, token, at, seconds, ok, exit, code, message, log, result]   it has ended; the executor `shared`
        adds why the worker itself has stopped it: "timed_out", "cancelled"
    ["R", run, number, token, at, steady]                              it was not begun, and will not be
`at` is in seconds since 1970 (UTC), `steady` in seconds since boot.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gnomon.core.ports import Clock

PACKET_LIMIT = 100_000
BEHIND = b"!"
_DUMPS = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


class Order(NamedTuple):
    """One attempt, as a worker gets it. `base`: path of its files; `fence`: path of the fence that may revoke it."""

    run: str
    number: int
    token: int
    callable: str
    args: list[Any]
    kwargs: dict[str, Any]
    environment: dict[str, str]
    base: str
    fence: str


class Began(NamedTuple):
    """An `S` or `R` record. `steady`: the same instant in seconds since boot; 0.0 if that is not known."""

    run: str
    number: int
    token: int
    at: float
    steady: float = 0.0

    def ago_s(self, clock: Clock) -> float:
        """How long ago it was, by a clock that nobody sets where that is known."""
        return max(0.0, clock.steady() - self.steady if self.steady else clock.now().timestamp() - self.at)


class Over(NamedTuple):
    """An `X` record. `log`: bytes of output; `code`: "" when it succeeded; `stopped`: why its worker has stopped it."""

    run: str
    number: int
    token: int
    at: float
    seconds: float
    ok: bool
    exit: int | None
    code: str
    message: str
    log: int
    result: Any
    stopped: str = ""


_DECODER = json.JSONDecoder()
_RESULT = Over._fields.index("result")


def pack(order: Order) -> bytes:
    """The BODY of an order. Raises ValueError or TypeError when it holds what JSON can not say."""
    return _DUMPS(order).encode("utf-8", "surrogatepass")


def unpack(body: bytes) -> Order:
    """The order of a BODY."""
    return Order(*json.loads(body.decode("utf-8", "surrogatepass")))


def packet(acknowledged: int, run: str, number: int, body: bytes) -> bytes:
    """An order on its way."""
    return _DUMPS((acknowledged, run, number)).encode("utf-8", "surrogatepass") + b"\n" + body


def opened(data: bytes) -> tuple[int, str, int, bytes]:
    """What was put into a packet. Raises ValueError."""
    head, _, body = data.partition(b"\n")
    acknowledged, run, number = json.loads(head.decode("utf-8", "surrogatepass"))
    return acknowledged, run, number, body


def line(kind: str, record: Began | Over) -> bytes:
    """A record as a line of the journal."""
    return (_DUMPS((kind, *record)) + "\n").encode("utf-8", "surrogatepass")


def over_line(over: Over, result: str) -> bytes:
    """An `X` record whose result is JSON text already."""
    head = _DUMPS(("X", *over[:_RESULT]))
    tail = f',"{over.stopped}"' if over.stopped else ""
    return f"{head[:-1]},{result}{tail}]\n".encode("utf-8", "surrogatepass")


def records(data: bytes) -> Iterator[tuple[str, Began | Over]]:
    """The whole records in `data`. Left out are a half-written last line, and what a full disk has left of one: whoever
    wrote it begins nothing more. An end that can not be read is an end all the same, see `_end`.
    """
    for raw in data.split(b"\n")[:-1]:
        try:
            kind, *fields = json.loads(raw.decode("utf-8", "surrogatepass"))
            yield kind, Over(*fields) if kind == "X" else Began(*fields)
        except (ValueError, TypeError, RecursionError) as error:
            if raw.startswith(b'["X",') and (over := _end(raw.decode("utf-8", "replace"), str(error))) is not None:
                yield "X", over


def _end(text: str, why: str) -> Over | None:
    """An end with something in it that Python does not read here (a number of 5,000 digits, say).

    When all but its result can be read it stays what it was, with result None and code `bad_result`, also where `ok`:
    what becomes of it then is for `settling.py` to say, and that no such result is written for `calling.judged`.
    None: not even whose end it is can be read.
    """
    fields: list[Any] = []
    place = 1
    with contextlib.suppress(ValueError, RecursionError):
        while len(fields) <= _RESULT:
            value, place = _DECODER.raw_decode(text, place)
            fields.append(value)
            place += 1
    if len(fields) > _RESULT:
        over = Over._make([*fields[1:], None, ""])
        return over if over.code else over._replace(code="bad_result", message=f"its result can not be read: {why}")
    if len(fields) < 5:
        return None
    told = f"what it has ended with can not be read: {why}"
    return Over._make([*fields[1:5], 0.0, False, None, "bad_result", told, 0, None, ""])
