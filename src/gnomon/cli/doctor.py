"""`gnomon doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from gnomon.core.errors import GnomonError

from .command import command
from .failures import lines_of
from .output import print_json, print_table, state_text
from .sanitising import plain
from .session import Session

if TYPE_CHECKING:
    from gnomon.operations.doctor import Finding


def register(app: typer.Typer) -> None:
    """Add `doctor`."""
    command(app, "doctor", panel="Ask")(doctor)


def doctor(session: Session) -> int:
    """Settings and where each comes from, and what is wrong with this machine. Exit 1 if something must be mended."""
    from gnomon.operations.doctor import settings_view

    settings = settings_view(session.own)
    findings = list(_findings(session) if session.server is None else _server_findings(session))
    good = all(finding.level != "fail" for finding in findings)
    if session.json:
        print_json({"ok": good, "settings": settings, "checks": [finding.view() for finding in findings]})
        return 0 if good else 1
    rows = [(item["name"], item["value"], item["source"]) for item in settings]
    print_table(("setting", "value", "from"), rows, flexible=("value", "from"))
    print()
    states = {"ok": "ok", "warn": "warning", "fail": "failed"}
    print_table(
        ("", "check", "finding"),
        [(state_text(states[f.level], str(f.level)), f.name, _text(f)) for f in findings],
        flexible=("finding",),
    )
    for finding in findings:
        for line in lines_of(finding.problems):
            print(line)
    return 0 if good else 1


def _text(finding: Finding) -> str:
    return plain(finding.message) + (f" ({plain(finding.hint)})" if finding.hint else "")


def _findings(session: Session) -> Iterator[Finding]:
    from gnomon.app import registries, schema_versions, tzdata_versions
    from gnomon.operations import doctor as look
    from gnomon.operations.validate import check_path

    settings = session.settings
    if settings.placed:
        yield from look.database_findings(settings, schema_versions(settings.db), session.desk)
    try:
        _ = settings.db
    except GnomonError as error:
        yield look.from_error("database", error)
    try:
        session.check()
        checked = check_path(settings.jobs_dir, *registries(), settings.timezone)
        yield look.jobs_finding(settings, len(checked.jobs), checked.problems)
    except GnomonError as error:
        yield look.from_error("settings", error)
    yield look.zone_finding(tzdata_versions())
    yield from look.alert_findings(settings, session.desk if settings.placed else None)
    yield from look.machine_findings(settings)


def _server_findings(session: Session) -> Iterator[Finding]:
    """What can be seen of a server from here: does it work, which gnomon is it, what may the token do?"""
    from gnomon.core import health
    from gnomon.core.version import __version__
    from gnomon.operations.doctor import Finding, Level, from_error

    try:
        checks = session.client.get_health()["checks"]
    except GnomonError as error:
        yield from_error("server", error)
        return
    for check in checks:
        bad = {health.Level.OK: Level.OK, health.Level.DEGRADED: Level.WARN, health.Level.FAILING: Level.FAIL}
        yield Finding(check["name"], bad[health.check_of(check).level], check["message"])
    try:
        about, who = session.client.get_about(), session.client.get_session()
    except GnomonError as error:
        yield from_error("token", error)
        return
    same = about["version"] == __version__
    text = f"gnomon {about['version']} on {about['database']}, times in {about['timezone']}"
    hint = "" if same else f"this one is {__version__}: some things may not be understood"
    yield Finding("server", Level.OK if same else Level.WARN, text, hint)
    yield Finding("token", Level.OK, f"{who['name']}, {who['role']}")
