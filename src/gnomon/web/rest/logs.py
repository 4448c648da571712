"""Output of attempts: by range, as a download, and live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from gnomon.core.access import Permission
from gnomon.operations.runs import read_log, show_run
from gnomon.web.answers import answers
from gnomon.web.asking import Asked, needs
from gnomon.web.hub import sse

from .events import event_stream, hub_with_room, known
from .runs import RunId

router = APIRouter(tags=["runs"])
Attempt = Annotated[int | None, Query(ge=1, le=1_000_000, description="Which attempt; the newest.")]
_PIECE = 1 << 20
_LOOK_S, _CHECK_S, _BEAT_S = 0.25, 1.0, 15.0
_TEXT: dict[int | str, dict[str, Any]] = {
    **answers(None, 404),
    200: {
        "description": "Output as it was written, at most 1 MiB from `offset`.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "hello\n"}},
        "headers": {
            "X-Gnomon-Next-Offset": {"schema": {"type": "integer"}, "description": "Where to go on."},
            "X-Gnomon-Complete": {"schema": {"type": "string"}, "description": "`true`: nothing more will come."},
        },
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    **answers(None, 404),
    200: {
        "description": "Server-sent events until the output is complete.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 6\nevent: output\ndata: {"offset":0,"text":"hello\\n"}\n\n',
            }
        },
    },
}


@router.get(
    "/runs/{run_id}/log",
    operation_id="get_run_log",
    summary="Output of a run",
    description="A part of the output of an attempt. It is plain text: what it contains is never interpreted.",
    responses=_TEXT,
    response_class=Response,
)
def get_run_log(
    asked: Annotated[Asked, needs(Permission.READ)],
    run_id: RunId,
    attempt: Attempt = None,
    offset: Annotated[int, Query(ge=0, le=1 << 50, description="The first byte.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_PIECE, description="At most so many bytes.")] = _PIECE,
    download: Annotated[bool, Query(description="As a file.")] = False,
) -> Response:
    """A part of the output."""
    data, following, complete = read_log(asked.desk, run_id, attempt, offset, limit)
    headers = {"X-Gnomon-Next-Offset": str(following), "X-Gnomon-Complete": "true" if complete else "false"}
    if download:
        headers["Content-Disposition"] = f'attachment; filename="{show_run(asked.desk, run_id)["id"]}.log"'
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


@router.get(
    "/runs/{run_id}/log/events",
    operation_id="follow_run_log",
    summary="Output of a run, live",
    description=(
        "`output` events with `offset` and `text`, as the output grows, then `complete`. The id of each is where to go "
        "on: `Last-Event-ID` or `offset` resumes. Without `attempt` the stream moves on to a retry (`attempt` event)."
    ),
    responses=_STREAM,
    response_class=StreamingResponse,
)
async def follow_run_log(
    request: Request,
    asked: Annotated[Asked, needs(Permission.READ)],
    run_id: RunId,
    attempt: Attempt = None,
    offset: Annotated[int, Query(ge=0, le=1 << 50, description="The first byte.")] = 0,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> StreamingResponse:
    """Follow along."""
    hub = hub_with_room(request)
    run = await run_in_threadpool(show_run, asked.desk, run_id)
    number, begin = _place(last_event_id)
    if attempt is None or number == attempt:
        offset = begin if number is not None else offset
    return event_stream(hub, _output(request, asked, str(run["id"]), attempt, number, offset))


def _place(last: str | None) -> tuple[int | None, int]:
    """`2:4096`: attempt 2, byte 4096."""
    number, mark, offset = (last or "").partition(":")
    if not mark or not (number + offset).isascii() or not number.isdigit() or not offset.isdigit():
        return None, 0
    return int(number), int(offset)


async def _output(
    request: Request, asked: Asked, run_id: str, wanted: int | None, current: int | None, offset: int
) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    checked = beat = clock()
    yield b"retry: 1000\n\n"
    left = b""
    while not asked.service.stopping.is_set():
        if clock() - checked >= _CHECK_S:
            if not await run_in_threadpool(known, request):
                return
            checked = clock()
        number, data, following, complete = await run_in_threadpool(_read, asked, run_id, wanted, current, offset)
        if number != current and number:
            offset = offset if current is None else 0
            current, left = number, b""
            yield _event("attempt", {"number": number}, number, offset)
            continue
        if data:
            text, left = _text(left + data, complete)
            offset, beat = following, clock()
            yield _event("output", {"offset": following - len(data), "text": text}, number, following - len(left))
        elif complete:
            yield _event("complete", {"offset": offset}, number, offset)
            return
        elif clock() - beat >= _BEAT_S:
            beat = clock()
            yield b": all is quiet\n\n"
        if not data:
            await asyncio.sleep(_LOOK_S)


def _read(
    asked: Asked, run_id: str, wanted: int | None, current: int | None, offset: int
) -> tuple[int, bytes, int, bool]:
    """The attempt at hand, its next piece, where that ends, and whether nothing more will come."""
    if wanted is not None:
        return wanted, *read_log(asked.desk, run_id, wanted, offset, 1 << 16)
    attempts = show_run(asked.desk, run_id)["attempts"]
    newest = len(attempts) if isinstance(attempts, list) else 0
    if current is not None and 0 < current < newest:  # to the end of the one before first
        data, following, complete = read_log(asked.desk, run_id, current, offset, 1 << 16)
        if data or not complete:
            return current, data, following, False
        return current + 1, b"", 0, False
    if newest != current:
        return newest, b"", 0, newest == 0 and read_log(asked.desk, run_id)[2]
    return newest, *read_log(asked.desk, run_id, None, offset, 1 << 16)


def _text(data: bytes, complete: bool) -> tuple[str, bytes]:
    """As much of it as is whole characters, and the bytes of one that is not whole yet."""
    cut = 0
    if not complete:
        for back in range(1, min(4, len(data)) + 1):
            byte = data[-back]
            if byte & 0xC0 != 0x80:  # the first byte of a character, or ASCII
                size = (
                    1 if byte < 0x80 else 2 if byte >> 5 == 6 else 3 if byte >> 4 == 14 else 4 if byte >> 3 == 30 else 1
                )
                cut = back if size > back else 0
                break
    whole = data[: len(data) - cut]
    return whole.decode("utf-8", "replace"), data[len(data) - cut :]


def _event(name: str, data: object, number: int, offset: int) -> bytes:
    return sse(name, data, f"{number}:{offset}")
