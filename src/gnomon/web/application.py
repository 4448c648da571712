"""The application: routers, errors, the gate around them, and the OpenAPI document."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gnomon.core.access import Permission
from gnomon.core.version import __version__

from . import health, metrics, problems, root
from .answers import answers
from .asking import Asked, needs
from .gate import Gate
from .hub import Hub
from .models.about import Document
from .openapi import document
from .plain import Plain
from .rest import ROUTERS
from .service import Service

_CHANGES = 30
"""So many of the 40 threads of the pool make changes at once."""
_ABOUT = """
Everything a person can do with `gnomon`, over HTTP.

Objects are those of `--json`; lists are `{"items": […], "next": cursor}`; times are RFC 3339 UTC, durations seconds;
errors are RFC 9457 problem documents with a stable `code`. Send `Authorization: Bearer TOKEN` (`gnomon token create`).
"""


def build(service: Service) -> ASGIApp:
    """The whole application around `service`."""
    return Gate(_Watched(interface(service), service), service)


def interface(service: Service) -> FastAPI:
    """The routes alone, without the gate: what the OpenAPI document describes."""
    app = FastAPI(
        title="gnomon",
        version=__version__,
        description=_ABOUT.strip(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    app.state.service = service
    app.state.hub = Hub(service)
    problems.install(app)
    api = APIRouter(prefix="/api/v1")
    for router in ROUTERS:
        api.include_router(router)

    said = answers(Document, examples=[{"openapi": "3.1.0", "info": {"title": "gnomon"}, "paths": {}}])

    @api.get("/openapi.json", operation_id="get_openapi", summary="This document", tags=["about"], responses=said)
    def openapi(asked: Annotated[Asked, needs(Permission.READ)]) -> Response:
        """The OpenAPI 3.1 document of all of this."""
        return Plain(document(app))

    app.include_router(api)
    app.include_router(root.router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.state.registry = metrics.registry_of(service)
    return app


class _Watched:
    """After a request that may have changed something, the scheduler looks at once. Requests that change something
    never have all threads: while the database stands still, others read on."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._changes = asyncio.Semaphore(_CHANGES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            whole = await _whole(receive)
        except HTTPException as error:
            await problems.of_http(error, scope["path"])(scope, receive, send)
            return
        async with self._changes:
            await self._app(scope, whole, send)
        self._service.changed()


async def _whole(receive: Receive) -> Receive:
    """The body, read to its end: who sends it slowly holds up nobody."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    waiting = iter(messages)

    async def again() -> Message:
        message = next(waiting, None)
        return message if message is not None else await receive()

    return again
