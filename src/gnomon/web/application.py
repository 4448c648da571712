"""The application: routers, errors, the gate around them, and the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gnomon.core.access import Permission
from gnomon.core.version import __version__

from . import health, metrics, problems, root
from .answers import Plain, answers
from .asking import Asked, needs
from .gate import Gate
from .hub import Hub
from .models.about import Document
from .openapi import document
from .rest import ROUTERS
from .service import Service

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
    """After a request that may have changed something, the scheduler looks at once."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            self._service.changed()
