"""Live events: what was changed, commit by commit, as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from gnomon.core.access import Permission
from gnomon.core.errors import GnomonError, Problem, Unavailable
from gnomon.web.answers import answers
from gnomon.web.asking import Asked, needs, still_known
from gnomon.web.hub import Hub, sse
from gnomon.web.models.events import EXAMPLE_EVENT

logger = logging.getLogger("gnomon")
router = APIRouter(tags=["events"])
MOST_STREAMS = 200
_BEAT_S = 15.0
_STREAM: dict[int | str, dict[str, Any]] = {
    **answers(None),
    200: {
        "description": "Server-sent events, until the caller leaves.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE_EVENT}},
    },
}


@router.get(
    "/events",
    operation_id="follow_events",
    summary="What is changed, live",
    description=(
        "Server-sent events. `hello` (now), then `change` for every commit with the ids it touched, the runs with "
        "their states. Each has an id: with `Last-Event-ID` (browsers send it by themselves) or `after` a caller goes "
        "on where it was; `reset` says that this place is no longer kept (an hour), so lists are to be read anew."
    ),
    responses=_STREAM,
    response_class=StreamingResponse,
)
async def follow_events(
    request: Request,
    asked: Annotated[Asked, needs(Permission.READ)],
    after: Annotated[int | None, Query(ge=0, description="Go on after this event.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> StreamingResponse:
    """Follow along."""
    hub = hub_with_room(request)
    place = after
    if place is None and last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        place = int(last_event_id)
    return event_stream(hub, _events(request, asked, hub, place))


def hub_with_room(request: Request) -> Hub:
    """The hub, if another stream may begin.

    Raises:
        Unavailable: `too_many_streams`.
    """
    hub: Hub = request.app.state.hub
    if hub.streams >= MOST_STREAMS:
        text = f"{MOST_STREAMS} streams are open already"
        raise Unavailable(Problem("too_many_streams", text, hint="close some, or try again"))
    return hub


def event_stream(hub: Hub, events: AsyncGenerator[bytes]) -> StreamingResponse:
    """The answer that sends them; proxies are told not to collect it first."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_counted(hub, events), media_type="text/event-stream", headers=headers)


async def _counted(hub: Hub, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Them, until something fails: whoever follows comes again, from where it was."""
    hub.streams += 1
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except GnomonError as error:
        logger.info("a stream of events ended: %s", error)
    finally:
        hub.streams -= 1


async def _events(request: Request, asked: Asked, hub: Hub, place: int | None) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    now = await hub.enter()
    try:
        at = now if place is None else place
        beat, checked = clock(), hub.access
        yield b"retry: 1000\n\n" + sse("hello", {"seq": at}, at)
        while not asked.service.stopping.is_set():
            changed = hub.changed
            if checked != hub.access:
                checked = hub.access
                if not await run_in_threadpool(known, request):
                    return
            batch, whole = await hub.after(at)
            if batch and whole:
                at, beat = batch[-1][0], clock()
                yield b"".join(data for _, data in batch)
            elif not whole:
                at, beat = await hub.newest(), clock()
                yield sse("reset", {"seq": at}, at)
            elif clock() - beat >= _BEAT_S:
                beat = clock()
                yield b": all is quiet\n\n"
            else:
                await changed.wait()
    finally:
        hub.leave()


def known(request: Request) -> bool:
    """Whether the caller's token is still good; a database that is away for a moment is no reason to leave."""
    try:
        return still_known(request)
    except GnomonError:
        return True
