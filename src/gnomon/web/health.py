"""`/healthz`: does the scheduler work? `/readyz`: may it be sent requests? For machines, without a token."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gnomon.core.errors import GnomonError
from gnomon.core.health import Check, Health, Level
from gnomon.operations.health import health

from .answers import ok
from .problems import outward
from .service import Service

router = APIRouter()


@router.get("/healthz", include_in_schema=False)
def healthz(request: Request) -> Response:
    """200 for ok and degraded; 503 for what a restart or a person must end. Both say what is wrong."""
    service: Service = request.app.state.service
    try:
        verdict = health(service.desk("health", None), own=service.own)
    except GnomonError as error:
        said = f"{error.code}: {outward(error.problems[0]).message}"
        verdict = Health(service.clock.now(), (Check("database", Level.FAILING, said),))
    failing = verdict.level is Level.FAILING
    return ok(verdict.view(), HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK)


@router.get("/readyz", include_in_schema=False)
def readyz(request: Request) -> Response:
    """200 when the database can be read and nothing is being shut down."""
    service: Service = request.app.state.service
    try:
        service.desk("health", None).store.read(lambda reader: reader.last_change())
    except GnomonError as error:
        line = f"not ready: {outward(error.problems[0]).message}"
        return ok({"ok": False, "line": line}, HTTPStatus.SERVICE_UNAVAILABLE)
    stopping = service.stopping.is_set()
    line = "stopping" if stopping else "ready"
    return ok({"ok": not stopping, "line": line}, HTTPStatus.SERVICE_UNAVAILABLE if stopping else HTTPStatus.OK)
