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
) -> int:
    """Whether the scheduler does its work, in one line: it steps, one plans, no schedule is overdue. Exit 0 or 1."""
    from gnomon.core.durations import parse_duration

    overdue_s = parse_duration(overdue)
    server = session.server
    try:
        verdict = _ask(server) if server is not None else _look(session, overdue_s)
    except GnomonError as error:
        first = error.problems[0]
        verdict = _failed(session, "database" if server is None else "server", first.message)
    if session.json:
        print_json({**verdict.view(), "db": session.settings.db} if server is None else verdict.view())
    else:
        print(plain(verdict.line))
    return 0 if verdict.ok else 1


def _look(session: Session, overdue_s: float) -> Health:
    from gnomon.operations.health import health as look

    with session.desk() as desk:
        return look(desk, overdue_s=overdue_s)


def _failed(session: Session, name: str, message: str) -> Health:
    from gnomon.core.health import Check, Health

    return Health(session.now, (Check(name, False, message),))


def _ask(server: str) -> Health:
    """What `/healthz` of a scheduler says.

    Raises:
        Unavailable: `server_unreachable`.
    """
    import httpx

    from gnomon.core.health import Check, Health
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
            said = str(told["line"]).removeprefix("unhealthy: ")
        checks = tuple(Check(str(c["name"]), c["ok"] is True, str(c["message"])) for c in told["checks"])
        at = parse_rfc3339(str(told["at"]))
    except (ValueError, KeyError, TypeError, GnomonError):
        pass
    if not checks or answer.is_success != all(check.ok for check in checks):
        checks = (*checks, Check("server", answer.is_success, said))
    return Health(at, checks)
