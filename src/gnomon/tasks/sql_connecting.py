"""A connection for one attempt of an `sql` task, and what its failures are called. Runs in workers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.pool import NullPool

from gnomon.core.values import Json, JsonObject

from .data import CONNECT_S, quiet
from .performing import TaskFailed, Work
from .sql_binding import far_times_as_text

DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}
_DENIED = re.compile(
    r"authentication|access denied|no pg_hba\.conf|role \"?.{0,80}\"? does not exist|login failed", re.I
)
_CHECK_CLIENT_S = 5
_LATER_S = 1.0
"""The server stops a statement this long after the scheduler should have: the attempt is then called timed out."""


def url_of(arguments: JsonObject, place: str = "") -> URL:
    """The address with its driver; `username` and `password` beside it count more than those within.

    Raises:
        TaskFailed: `bad_arguments`. It is no URL.
    """
    try:
        url = sa.make_url(str(arguments["url"]))
    except (ArgumentError, ValueError):  # the message would show the text, with its password
        raise TaskFailed("bad_arguments", f"{place}url: is no URL of a database") from None
    name, _, driver = url.drivername.partition("+")
    name = "postgresql" if name == "postgres" else name
    driver = driver or DRIVERS.get(name, "")
    url = url.set(drivername=f"{name}+{driver}" if driver else name)
    if arguments.get("username") is not None:
        url = url.set(username=str(arguments["username"]))
    if arguments.get("password") is not None:
        url = url.set(password=str(arguments["password"]))
    return url


class Database:
    """A database that is about to be worked with.

    Args:
        private: values that no message may show.
    """

    def __init__(self, url: URL, arguments: JsonObject, work: Work, private: Json, *, must_exist: bool) -> None:
        self.url, self._work, self._private = url, work, [private, url.password]
        self.shown = url.render_as_string(hide_password=True)
        self._isolation = str(arguments.get("isolation") or "").upper()
        wait_s = arguments.get("connect_timeout")
        self._own_wait = isinstance(wait_s, int)
        self._wait_s = wait_s if isinstance(wait_s, int) else CONNECT_S
        if must_exist and _no_file(url):
            raise TaskFailed("database_unreachable", f"{self.shown}: there is no such file")
        self.engine = self._engine()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on any failure.

        A statement that the server is still at when the attempt is stopped is cancelled there.

        Raises:
            TaskFailed: what the database says, under our codes.
        """
        connection = self._connect()
        try:
            with self._judged():
                connection.begin()
                self._limit(connection)
                yield connection
                connection.commit()
        except Exception:
            with suppress(Exception):  # a connection that cannot roll back must not hide why
                connection.rollback()
            raise
        except BaseException:  # we are being stopped
            self._cancel(connection)
            raise
        finally:
            with suppress(Exception):
                connection.close()
            self.engine.dispose()

    def _engine(self) -> Engine:
        options: dict[str, Any] = {}
        backend, driver = self.url.get_backend_name(), self._driver()
        name = "timeout" if backend == "sqlite" else "connect_timeout" if driver in EXTRAS else ""
        if name and (self._own_wait or name not in self.url.query):
            options["connect_args"] = {name: self._wait_s}
        if self._isolation and backend != "sqlite":
            options["isolation_level"] = self._isolation
        try:
            # no reset on return: the connection is closed then, and a failing reset would print a traceback
            engine = sa.create_engine(
                self.url, poolclass=NullPool, pool_reset_on_return=None, hide_parameters=True, **options
            )
        except ImportError as error:
            raise _driver_missing(driver, error) from None
        except (SQLAlchemyError, TypeError, ValueError) as error:
            raise TaskFailed("bad_arguments", f"url: {quiet(str(error), self._private)}") from None
        if backend == "sqlite":
            _sqlite_as_others(engine, self._isolation)
        elif driver == "psycopg":
            event.listen(engine, "connect", far_times_as_text)
        return engine

    def _driver(self) -> str:
        try:
            return self.url.get_driver_name()
        except NoSuchModuleError:
            text = f"SQLAlchemy knows no database {self.url.drivername!r}: is its package installed?"
            raise TaskFailed("driver_missing", text) from None

    def _connect(self) -> Connection:
        try:
            return self.engine.connect()
        except DBAPIError as error:
            message = self._message(error)
            number = error.orig.args[0] if error.orig is not None and error.orig.args else None
            if isinstance(error, ProgrammingError) and "option" in message:  # psycopg: such as ?bogus=1
                raise TaskFailed("bad_arguments", f"url: {message}") from None
            denied = number in (1044, 1045) or _DENIED.search(message)
            code = "access_denied" if denied else "database_unreachable"
            raise TaskFailed(code, f"{self.shown}: {message}") from None
        except ImportError as error:
            raise _driver_missing(self.url.get_driver_name(), error) from None
        except ArgumentError as error:
            raise TaskFailed("bad_arguments", f"isolation: {quiet(str(error), self._private)}") from None
        except (SQLAlchemyError, OSError, RuntimeError, TypeError, ValueError) as error:
            text = quiet(str(error) or type(error).__name__, self._private)
            raise TaskFailed("database_unreachable", f"{self.shown}: {text}") from None

    @contextmanager
    def _judged(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self.failed(error) from None
        except (SQLAlchemyError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise TaskFailed("sql_error", quiet(str(error).partition("\n")[0], self._private)) from None

    def failed(self, error: DBAPIError, place: str = "") -> TaskFailed:
        """The failure of a statement, without the values it was given."""
        state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
        gone = error.connection_invalidated or (isinstance(error, InterfaceError | OperationalError) and _gone(error))
        code = "database_unreachable" if gone else "sql_error"
        result: Json = {"state": str(state)} if state else None
        return TaskFailed(code, place + self._message(error) + self._advice(error), result)

    def _advice(self, error: DBAPIError) -> str:
        """What the driver's message does not say."""
        said = str(error.orig)
        if "database is locked" in said:
            return f": not free within connect_timeout ({self._wait_s} s)" if "timeout" not in self.url.query else ""
        if "one statement at a time" in said or "multiple commands" in said:
            return ": write them as `statements: [one, another]`"
        if "could not determine data type of parameter" in said:
            return ": say it, `cast(:name as text)`"
        return ""

    def _message(self, error: DBAPIError) -> str:
        """The driver's first words; PostgreSQL's DETAIL would quote whole rows."""
        primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
        args: Sequence[object] = error.orig.args if error.orig is not None else ()
        if primary is None and len(args) > 1 and isinstance(args[0], int):  # PyMySQL: (number, text)
            primary = f"{args[1]} ({args[0]})"
        return quiet(str(primary or error.orig or error), self._private)

    def _limit(self, connection: Connection) -> None:
        """Let the server stop by itself when we are gone, or when time is over."""
        driver = connection.connection.driver_connection
        version = getattr(getattr(driver, "info", None), "server_version", 0)
        if self.url.get_driver_name() != "psycopg" or version < 90_000:
            return
        settings: dict[str, str] = {}
        if version >= 140_000:
            settings["client_connection_check_interval"] = f"{_CHECK_CLIENT_S}s"
        if self._work.timeout_s is not None:
            settings["statement_timeout"] = f"{int((self._work.timeout_s + _LATER_S) * 1000)}ms"
        for name, value in settings.items():
            connection.execute(sa.text("select set_config(:name, :value, false)"), {"name": name, "value": value})

    def _cancel(self, connection: Connection) -> None:
        with suppress(Exception):
            driver = connection.connection.driver_connection
            if self.url.get_driver_name() == "psycopg" and driver is not None:
                driver.cancel_safe(timeout=2)


def _no_file(url: URL) -> bool:
    """Whether SQLite would make an empty database of a misspelt path."""
    path = url.database or ""
    named = url.get_backend_name() == "sqlite" and path not in ("", ":memory:") and not path.startswith("file:")
    return named and not os.path.exists(path)


def _gone(error: DBAPIError) -> bool:
    return any(word in str(error.orig) for word in ("Lost connection", "closed the connection", "gone away"))


def _driver_missing(driver: str, error: ImportError) -> TaskFailed:
    extra = EXTRAS.get(driver)
    how = f"pip install 'gnomon[{extra}]'" if extra else f"install the package of the driver ({error.name or driver})"
    return TaskFailed("driver_missing", f"the driver {driver} is not installed where workers run: {how}")


def _sqlite_as_others(engine: Engine, isolation: str) -> None:
    """SQLite with transactions that hold DDL too, and that a signal can interrupt."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None  # its own BEGINs come only before INSERT and the like
        connection.set_progress_handler(lambda: 0, 200_000)  # the interpreter looks for signals then
        if isolation == "READ UNCOMMITTED":
            connection.execute("PRAGMA read_uncommitted = 1")

    if isolation != "AUTOCOMMIT":

        @event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")
