"""`/healthz`: does the scheduler work? `/readyz`: may it be sent requests? For machines, without a token."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gnomon.core.errors import GnomonError
from gnomon.operations.health import health

from .answers import ok
from .problems import outward
from .service import Service

router = APIRouter()


@router.get("/healthz", include_in_schema=False)
def healthz(request: Request) -> Response:
    """200 as long as schedules are decided in time; 503 says what is wrong."""
    service: Service = request.app.state.service
    try:
        verdict = health(service.desk("health", None), quiet_s=service.quiet_s())
    except GnomonError as error:
        return ok({"ok": False, "line": _said("unhealthy", error)}, HTTPStatus.SERVICE_UNAVAILABLE)
    return ok(verdict.view(), HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/readyz", include_in_schema=False)
def readyz(request: Request) -> Response:
    """200 when the database can be read and nothing is being shut down."""
    service: Service = request.app.state.service
    try:
        service.desk("health", None).store.read(lambda reader: reader.last_change())
    except GnomonError as error:
        return ok({"ok": False, "line": _said("not ready", error)}, HTTPStatus.SERVICE_UNAVAILABLE)
    stopping = service.stopping.is_set()
    line = "stopping" if stopping else "ready"
    return ok({"ok": not stopping, "line": line}, HTTPStatus.SERVICE_UNAVAILABLE if stopping else HTTPStatus.OK)


def _said(how: str, error: GnomonError) -> str:
    return f"{how}: {outward(error.problems[0]).message}"
