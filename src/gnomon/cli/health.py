"""`gnomon health`: for watchdogs, containers and load balancers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gnomon.core.errors import GnomonError, Problem, Unavailable

from .command import command
from .output import print_json
from .sanitising import plain
from .session import Session

if TYPE_CHECKING:
    from gnomon.core.health import Health

_TIMEOUT_S = 10.0


def register(app: typer.Typer) -> None:
    """Add `health`."""
    command(app, "health", panel="Ask")(health)


def health(
    session: Session,
    overdue: Annotated[
        str, typer.Option("--overdue", metavar="DURATION", help="How late a schedule may be decided.")
    ] = "60s",
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for `degraded` as well.")] = False,
) -> int:
    """Whether the scheduler does its work, in one line. Exit 1 if a restart or a person is needed, else 0."""
    from gnomon.core.durations import parse_duration
    from gnomon.core.health import Level

    overdue_s = parse_duration(overdue)
    server = session.server
    try:
        verdict = _ask(server) if server is not None else _look(session, overdue_s)
    except GnomonError as error:
        verdict = _failed(session, "database" if server is None else "server", error.brief)
    if session.json:
        print_json({**verdict.view(), "db": session.settings.db} if server is None else verdict.view())
    else:
        print(plain(verdict.line))
    return 1 if verdict.level is Level.FAILING or (strict and not verdict.ok) else 0


def _look(session: Session, overdue_s: float) -> Health:
    from gnomon.operations.health import health as look

    with session.desk() as desk:
        return look(desk, overdue_s=overdue_s)


def _failed(session: Session, name: str, message: str) -> Health:
    from gnomon.core.health import Check, Health, Level

    return Health(session.now, (Check(name, Level.FAILING, message),))


def _ask(server: str) -> Health:
    """What `/healthz` of a scheduler says.

    Raises:
        Unavailable: `server_unreachable`.
    """
    import httpx

    from gnomon.core.health import Check, Health, Level, check_of
    from gnomon.core.values import parse_rfc3339
    from gnomon.system.clock import SystemClock

    url = server.rstrip("/") + "/healthz"
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_S, headers={"Accept": "application/json"})
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        said = f"{url} does not answer: {str(error) or type(error).__name__}"
        raise Unavailable(Problem("server_unreachable", said, hint="is the scheduler running?")) from None
    checks: tuple[Check, ...] = ()
    at, said = SystemClock().now(), f"{url} answers {answer.status_code}"
    try:
        told = answer.json()
        if isinstance(told, dict) and "line" in told:
            said = str(told["line"]).partition(": ")[2] or str(told["line"])
        checks = tuple(check_of(view) for view in told["checks"])
        at = parse_rfc3339(str(told["at"]))
    except (ValueError, KeyError, TypeError, GnomonError):
        pass
    verdict = Health(at, checks)
    if not checks or answer.is_success is (verdict.level is Level.FAILING):
        level = Level.OK if answer.is_success else Level.FAILING
        verdict = Health(at, (*checks, Check("server", level, said)))
    return verdict
