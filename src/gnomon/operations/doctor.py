"""What is wrong with this machine, these settings and this database: findings, each ok, warn or fail."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from gnomon.alerts import missing_library
from gnomon.core.errors import GnomonError, Problem
from gnomon.core.ports import Reader
from gnomon.core.records import ScheduleFilter
from gnomon.core.timekeeping import SETTING, Memory, clock_text
from gnomon.core.values import JsonObject, rfc3339
from gnomon.engine.standing import REMEDY, astray, said

from .context import Desk
from .files import GUARD, unwatched, watched_by_nobody
from .health import overdue
from .nodes import list_nodes, refusal
from .settings import SERVICE_LINK, Settings, database_file
from .telling import undelivered
from .views import problem_view

_NAMED = 10
_FEW_FILES = 256


class Level(StrEnum):
    """How bad a finding is; `fail` must be mended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `problems`: what exactly is wrong with job files."""

    name: str
    level: Level
    message: str
    hint: str = ""
    problems: Sequence[Problem] = ()

    def view(self) -> JsonObject:
        """The JSON object."""
        return {
            "name": self.name,
            "level": str(self.level),
            "message": self.message,
            "hint": self.hint,
            "problems": [problem_view(p) for p in self.problems],
        }


def settings_view(settings: Settings) -> list[JsonObject]:
    """Every setting, its value and where it came from."""
    names = sorted(settings.values)
    found: list[JsonObject] = [
        {"name": n, "value": _json(settings.values[n].value), "source": settings.values[n].source} for n in names
    ]
    for name, size in settings.pools.items():
        found.append({"name": f"pools.{name}", "value": size, "source": "settings file"})
    return found


def _json(value: object) -> str | int | float:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else value if isinstance(value, (str, int, float)) else str(value)


def from_error(name: str, error: GnomonError) -> Finding:
    """A finding for what could not even be begun."""
    return Finding(name, Level.FAIL, error.brief, error.problems[0].hint)


def database_findings(
    settings: Settings, schema: tuple[str | None, str], open_desk: Callable[[], AbstractContextManager[Desk]]
) -> Iterator[Finding]:
    """The database, and what it knows of schedulers, job files and schedules."""
    path = database_file(settings.db)
    if path is None:
        yield Finding("database", Level.OK, f"{settings.db}: nothing is kept")
        return
    refused = refusal(path)
    if refused is not None:  # what is there, if anything, is not what is worked on
        yield from_error("database", refused)
        return
    if not path.exists():
        yield _database_to_be(path)
        return
    found, head = schema
    size = sum(p.stat().st_size for p in (path, Path(f"{path}-wal")) if p.exists())
    try:
        with open_desk() as desk:
            yield Finding("database", Level.OK, f"{path}: schema {found}, {size / 1e6:,.1f} MB")
            yield _writable(path)
            yield from _scheduler_findings(desk)
            yield from _guard_findings(desk)
            yield from _watched_findings(desk, settings.jobs_dir)
            lost = watched_by_nobody(unwatched(desk))
            if lost:
                yield Finding("unwatched files", Level.WARN, lost)
    except GnomonError as error:
        yield from_error("database", error)
        if found is not None and found != head:
            yield Finding("schema", Level.WARN, f"the database has schema {found}, this version uses {head}")


def _database_to_be(path: Path) -> Finding:
    place = next(parent for parent in path.parents if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        hint = "choose another place with --db, or change the mode of the directory"
        return Finding("database", Level.FAIL, f"{path} does not exist, and {place} may not be written", hint)
    return Finding("database", Level.OK, f"{path} does not exist yet; `gnomon serve` makes it")


def _writable(path: Path) -> Finding:
    wrong = [str(p) for p in (path, path.parent) if not os.access(p, os.W_OK)]
    if wrong:
        hint = "check owner and mode: SQLite writes files beside the database"
        return Finding("writable", Level.FAIL, f"{' and '.join(wrong)} may not be written", hint)
    free = shutil.disk_usage(path.parent).free
    if free < 100_000_000:
        return Finding("writable", Level.WARN, f"only {free / 1e6:,.0f} MB are free on its disk", "make room")
    return Finding("writable", Level.OK, f"yes; {free / 1e9:,.1f} GB are free")


def _scheduler_findings(desk: Desk) -> Iterator[Finding]:
    nodes = list_nodes(desk)
    if nodes:
        names = ", ".join(f"{n['id']}{' (plans)' if n['leader'] else ''}" for n in nodes)
        level = Level.OK if any(n["leader"] for n in nodes) else Level.WARN
        yield Finding("schedulers", level, names, "" if level is Level.OK else "none of them plans yet: look again")
    else:
        yield Finding("schedulers", Level.WARN, "none runs on this database", "start `gnomon serve`")
    now = desk.clock.now()
    yield from _clock_findings(desk, now)
    late, standing = desk.store.read(lambda reader: overdue(reader, now))
    for entry in standing[:_NAMED]:
        text = f"{entry.schedule_id} stands still: {desk.engine.rules.fault(entry)}"
        yield Finding("schedules", Level.FAIL, text, "mend what it names: it is looked at again within a minute")
    if late:
        text = f"{len(late)} schedules are overdue, the first since {rfc3339(late[0].cursor)} ({late[0].schedule_id})"
        hint = "look into the scheduler's log" if nodes else "a scheduler decides them when it starts"
        yield Finding("overdue", Level.FAIL if nodes else Level.WARN, text, hint)
    else:
        yield Finding("overdue", Level.OK, "no schedule is overdue")


def _clock_findings(desk: Desk, now: datetime) -> Iterator[Finding]:
    """The clock as schedulers know it, and what was decided by one that was wrong."""

    def ask(reader: Reader) -> tuple[Memory | None, dict[str, datetime]]:
        found: dict[str, datetime] = {}
        page = reader.schedules(ScheduleFilter(), 1000)
        while True:
            found.update(astray(desk.engine.rules, tuple(page.items), now))
            if page.next is None:
                return Memory.of(reader.setting(SETTING)), found
            page = reader.schedules(ScheduleFilter(), 1000, page.next)

    memory, found = desk.store.read(ask)
    if memory is not None and memory.set_at is not None:
        hint = "let the machine keep time (chrony, systemd-timesyncd)"
        yield Finding("clock", Level.WARN, clock_text(memory.set_at, memory.set_by_s), hint)
    else:
        yield Finding("clock", Level.OK, "it is believed")
    if found:
        yield Finding("clock and schedules", Level.FAIL, said(found), REMEDY)


def _guard_findings(desk: Desk) -> Iterator[Finding]:
    guard = desk.store.read(lambda reader: reader.setting(GUARD))
    if guard is not None:
        hint = "mend the directory; or `gnomon jobs confirm-empty`"
        yield Finding("guard", Level.FAIL, f"missing job files are not believed to be gone: {guard}", hint)


def _watched_findings(desk: Desk, named: Path) -> Iterator[Finding]:
    """Files that a scheduler watches in another place than the settings name here."""
    files = [f for f in desk.store.read(lambda reader: reader.files()) if not Path(f.path).is_relative_to(named)]
    if not files:
        return
    bad = [f.path for f in files if not f.ok]
    count = f"{len(files)} file{'s' * (len(files) != 1)}"
    text = f"the scheduler last saw {count} in {os.path.commonpath([os.path.dirname(f.path) for f in files])}"
    hint = "`gnomon jobs files` tells what is wrong" if bad else ""
    more = f"; {len(bad)} of them are broken" if bad else ""
    yield Finding("watched files", Level.FAIL if bad else Level.OK, text + more, hint)


def jobs_finding(settings: Settings, jobs: int, problems: Sequence[Problem]) -> Finding:
    """The jobs directory, as `validate` sees it."""
    path = settings.jobs_dir
    if not path.exists():
        named = settings.values["jobs_dir"].source != "default"
        if not named:
            text = f"{path}, the default, does not exist: nothing is read from files unless --jobs-dir names others"
            return Finding("job files", Level.OK, text)
        return Finding("job files", Level.FAIL, f"{path} does not exist", "make it, or name another with --jobs-dir")
    if problems:
        text = f"{path}: {len(problems)} problem{'s' * (len(problems) != 1)}, {jobs} good job{'s' * (jobs != 1)}"
        return Finding("job files", Level.FAIL, text, "", problems)
    return Finding("job files", Level.OK, f"{path}: {jobs} job{'s' * (jobs != 1)}, all good")


def zone_finding(versions: tuple[str | None, str | None]) -> Finding:
    """The time zone data. `versions`: in use, and of the `tzdata` package."""
    used, package = versions
    text = f"tz database {used or 'of unknown version'} in use; the tzdata package has {package or 'none'}"
    if used is not None and package is not None and package > used:
        hint = "update the system's time zone data: rules may have changed"
        return Finding("time zones", Level.WARN, f"{text}: the host's is older", hint)
    return Finding("time zones", Level.OK, text)


def alert_findings(
    settings: Settings, open_desk: Callable[[], AbstractContextManager[Desk]] | None = None
) -> Iterator[Finding]:
    """Channels, what they lack, and what did not arrive."""
    alerts = settings.alerts
    for name, channel in alerts.channels.items():
        said = f"{channel.kind.name}: {channel.kind.describe(channel.arguments)}"
        if name in alerts.general.channels:
            said += "; for every job that names none"
        lacks = missing_library(channel)
        if lacks is not None:
            yield Finding(f"alerts.{name}", Level.FAIL, said, lacks)
        else:
            yield Finding(f"alerts.{name}", Level.OK, said, f"`gnomon alerts test {name}` tries it")
    if not alerts.channels:
        hint = "declare a channel: [alerts.NAME] in gnomon.toml"
        yield Finding("alerts", Level.OK, "nobody is told when a job fails", hint)
    path = database_file(settings.db) if open_desk is not None else None
    if open_desk is None or path is None or not path.exists():
        return
    with contextlib.suppress(GnomonError), open_desk() as desk:  # `database_findings` says what is wrong with it
        for name, lost, text in undelivered(desk):
            hint = f"`gnomon alerts test {name}` tries it" if name in alerts.channels else ""
            yield Finding(f"alerts to {name}", Level.FAIL if lost else Level.WARN, text, hint)


def machine_findings(settings: Settings) -> Iterator[Finding]:
    """Limits and programs that commands need, and variables that are no settings."""
    for name in settings.ignored:
        yield Finding("environment", Level.WARN, f"{name} is left alone: {SERVICE_LINK}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max(_FEW_FILES, 64 + 4 * settings.concurrency)
    if soft != resource.RLIM_INFINITY and soft < needed:
        hint = f"`ulimit -n {needed}` (or LimitNOFILE= of the unit); the hard limit is {hard}"
        yield Finding("open files", Level.WARN, f"the limit is {soft}; {needed} are wanted", hint)
    else:
        yield Finding("open files", Level.OK, f"the limit is {soft}")
    if os.access("/bin/sh", os.X_OK):
        yield Finding("shell", Level.OK, "/bin/sh is there")
    else:
        yield Finding("shell", Level.FAIL, "/bin/sh is not there: no command can be started", "install a shell")
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        yield Finding("run_as", Level.OK, "not root: commands run as the user of the scheduler")
    elif setpriv is None:
        hint = "install util-linux; jobs without run_as need it not"
        yield Finding("run_as", Level.WARN, "setpriv is not there: run_as does not work", hint)
    else:
        yield Finding("run_as", Level.OK, f"by {setpriv}")
