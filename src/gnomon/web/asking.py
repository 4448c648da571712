"""Who asks, and what their right is: every route says which permission it needs, or nobody may use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request

from gnomon.core.access import Permission, Principal, may
from gnomon.core.errors import Forbidden, Problem, Unauthenticated
from gnomon.operations.context import Desk

from .callers import caller
from .parameters import refuse_unknown
from .service import Service


@dataclass(frozen=True, slots=True)
class Asked:
    """The one who asks, and the operations in their name."""

    principal: Principal
    desk: Desk
    service: Service


def needs(permission: Permission) -> Any:
    """A dependency that lets those pass who have `permission`; the handler gets an `Asked`.

    Raises:
        Forbidden: naming the role that would do.
        UsageError: parameters that the route does not have.
    """

    def asked(request: Request) -> Asked:
        service: Service = request.app.state.service
        principal: Principal = request.state.principal
        if not may(principal.role, permission):
            text = f"the role {principal.role} of {principal.name!r} does not include {permission}"
            hint = "`gnomon token create --role ROLE` makes a token that may"
            raise Forbidden(Problem("forbidden", text, hint=hint))
        refuse_unknown(request)
        address = None if request.client is None else request.client.host
        return Asked(principal, service.desk(principal.actor, address), service)

    asked.permission = permission  # type: ignore[attr-defined]  # read by the tests of the whole table
    return Depends(asked)


def still_known(request: Request) -> bool:
    """Whether the caller of a long answer is still let in: tokens are revoked, sessions end, people leave.

    Raises:
        Unavailable: the database cannot be read right now.
    """
    address = None if request.client is None else request.client.host
    try:
        caller(request.app.state.service, request.headers, address)
    except Unauthenticated:
        return False
    return True
