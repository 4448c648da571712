"""`gnomon serve`, and how its log looks."""

from __future__ import annotations

import contextlib
import enum
import logging
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.core.errors import GnomonError, UsageError
from gnomon.system.unblocked import Unblocked, unblocked

from .command import command
from .failures import write_traceback
from .sanitising import json_for, plain
from .session import Session

if TYPE_CHECKING:
    from gnomon.core.health import Check

logger = logging.getLogger("gnomon")


class LogFormat(enum.StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add `serve`."""
    command(app, "serve", panel="Run", machine=True)(serve)


def serve(
    session: Session,
    jobs_dir: Annotated[
        str | None, typer.Option("--jobs-dir", metavar="DIR|FILE", help="Job files to watch; /etc/gnomon/jobs.d.")
    ] = None,
    memory: Annotated[bool, typer.Option("--memory", help="Keep nothing: no database file.")] = False,
    concurrency: Annotated[int | None, typer.Option("--concurrency", metavar="N", help="Runs at once; 10.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Of schedules that name none; UTC.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Of dashboard and REST; 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="8085; 0 takes any that is free.")] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="No dashboard and no REST.")] = False,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error; info.")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="Of the log on stderr.")] = LogFormat.TEXT,
) -> int:
    """Run the jobs of a directory until stopped: TERM or Ctrl-C once waits for running work, twice stops now."""
    from gnomon.system.init import stand_aside

    if (over := stand_aside()) is not None:
        return over
    from gnomon.app import MEMORY
    from gnomon.app import serve as run_service
    from gnomon.operations.settings import SERVICE_LINK

    if memory and session.db is not None:
        raise typer.BadParameter("--memory keeps nothing: it does not go with --db")
    session.db = MEMORY if memory else session.db
    session.flags = {
        "jobs_dir": jobs_dir,
        "concurrency": concurrency,
        "timezone": timezone,
        "log_level": log_level,
        "host": host,
        "port": port,
        "web": False if no_web else None,
    }
    settings = session.check()
    with _logging(settings.log_level, LogFormat.JSON if session.json else log_format):
        for name in settings.ignored:
            logger.warning("%s is left alone: %s", name, SERVICE_LINK)
        _look_for_jobs(settings.jobs_dir, settings.values["jobs_dir"].source)
        return run_service(settings, jobs=settings.jobs_dir)


def _look_for_jobs(path: Path, source: str) -> None:
    """A place that was named must be there; the default one may come later."""
    from gnomon.core.errors import Problem

    if path.exists():
        return
    if source == "default":
        logger.warning("%s does not exist yet: no job files (name another directory with --jobs-dir)", path)
        return
    hint = f"make it, or correct {source}"
    raise UsageError(Problem("jobs_dir_missing", f"the jobs directory {path} does not exist", hint=hint))


@contextlib.contextmanager
def _logging(level: str, form: LogFormat) -> Iterator[None]:
    """Log to stderr. Nobody has to read it: not even what others print there holds anything up."""
    formatter = _Json() if form is LogFormat.JSON else _Text()

    def dropped(count: int) -> str:
        text = f"{count} lines of the log were dropped: nobody read them"
        return formatter.format(logging.LogRecord("gnomon", logging.WARNING, "", 0, text, (), None)) + "\n"

    before = sys.stderr, logger.handlers[:], logger.propagate, logger.level
    with unblocked(before[0], dropped) as stream:
        sys.stderr = stream
        handler = LogHandler(stream)
        handler.setFormatter(formatter)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
        logging.raiseExceptions = False  # a closed stderr must not end the scheduler
        try:
            yield
        finally:
            sys.stderr, logger.handlers[:], logger.propagate, _ = before
            logger.setLevel(before[3])


class LogHandler(logging.StreamHandler[Any]):
    """Knows whether the log is read, for `gnomon health`."""

    def checks(self) -> Iterable[Check]:
        """Whether lines were dropped that nobody read."""
        return self.stream.checks() if isinstance(self.stream, Unblocked) else ()


def _stamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback_place(record: logging.LogRecord) -> str | None:
    """Where the traceback of a record went; none for errors raised on purpose."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None or isinstance(error, GnomonError):
        return None
    path = write_traceback(error)
    return None if path is None else str(path)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"{_stamp(record)} {record.levelname:<8} {plain(record.getMessage())}"
        place = _traceback_place(record)
        return f"{text} (this is a bug in gnomon: please report it with {place})" if place else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = {key: value for key, value in getattr(record, "about", {}).items() if value is not None}
        line = {"at": _stamp(record), "level": record.levelname.lower(), "message": record.getMessage(), **said}
        place = _traceback_place(record)
        return json_for(sys.stderr, {**line, "traceback": place} if place else line)
