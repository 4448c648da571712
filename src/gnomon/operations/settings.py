"""Settings: flags, then the environment, then a `gnomon.toml`, then defaults; each remembers where it came from."""

from __future__ import annotations

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import platformdirs

from gnomon.core.durations import parse_duration
from gnomon.core.errors import GnomonError, Problem, UsageError, usage
from gnomon.core.texts import judge_whole

from .alert_settings import AlertSettings, read_alerts
from .homes import default_db, of_user, working_directory

DEFAULT_JOBS_DIR = "/etc/gnomon/jobs.d"
FILE_NAME = "gnomon.toml"


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and its source: `--db`, `GNOMON_DB`, `/etc/gnomon/gnomon.toml`, `default`."""

    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings.

    Attributes:
        values: with where each came from.
        project: the directory of a project file in use.
        ignored: variables that carry a setting's name and are none (`GNOMON_PORT=tcp://…`).
    """

    values: Mapping[str, Value]
    project: Path | None = None
    ignored: Sequence[str] = ()
    pools: Mapping[str, int] = field(default_factory=dict)
    alerts: AlertSettings = field(default_factory=AlertSettings)

    @property
    def db(self) -> str:
        """The address of the database.

        Raises:
            UsageError: nobody said one, and there is no home directory for the default.
        """
        if not self.placed:
            text = f"no database was named, and the user {os.getuid()} has no home directory for one (HOME is not set)"
            hint = "name one with --db or GNOMON_DB, or set HOME or XDG_STATE_HOME"
            raise usage("database_not_named", text, key="db", hint=hint)
        return str(self.values["db"].value)

    @property
    def placed(self) -> bool:
        """Whether it is known where the database lies, or is to lie."""
        return self.values["db"].value is not None

    @property
    def jobs_dir(self) -> Path:
        return Path(str(self.values["jobs_dir"].value))

    @property
    def concurrency(self) -> int:
        return _int(self.values["concurrency"].value)

    @property
    def timezone(self) -> str:
        return str(self.values["timezone"].value)

    @property
    def log_level(self) -> str:
        return str(self.values["log_level"].value)

    @property
    def drain_timeout_s(self) -> float:
        return parse_duration(self.values["drain_timeout"].value)

    @property
    def retention_days(self) -> float:
        return float(str(self.values["retention_days"].value))

    @property
    def retention_runs(self) -> int:
        return _int(self.values["retention_runs"].value)

    @property
    def retention_audit_days(self) -> float:
        return float(str(self.values["retention_audit_days"].value))

    @property
    def log_limit(self) -> int:
        return _int(self.values["log_limit"].value)

    def text(self, name: str) -> str:
        """The setting as text."""
        return str(self.values[name].value)

    def flag(self, name: str) -> bool:
        """The setting as yes or no."""
        return self.values[name].value is True

    def names(self, name: str) -> tuple[str, ...]:
        """The setting as names."""
        value = self.values[name].value
        return value if isinstance(value, tuple) else ()

    @property
    def secure(self) -> bool:
        """The web server speaks TLS itself."""
        return self.values["tls_certificate"].value is not None

    def given(self, name: str) -> bool:
        """Whether somebody said it; otherwise it is the default."""
        return self.values[name].source != "default"


def _int(value: object) -> int:
    return int(str(value))


def _text(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value


def _whole(low: int, high: int) -> Callable[[object], object]:
    def check(value: object) -> object:
        if isinstance(value, bool) or (isinstance(value, str) and not value.strip().isdigit()):
            raise ValueError(f"must be a whole number from {low} to {high}")
        if not isinstance(value, (int, str)) or len(str(value)) > 12 or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return check


def _positive(value: object) -> object:
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 < number < 1e6:
        raise ValueError("must be a number above 0")
    return number


def _duration(value: object) -> object:
    try:
        return parse_duration(value)
    except GnomonError as error:
        raise ValueError(error.problems[0].message) from None


def _level(value: object) -> object:
    names = ("debug", "info", "warning", "error")
    if not isinstance(value, str) or value.lower() not in names:
        raise ValueError(f"must be one of {', '.join(names)}")
    return value.lower()


def _flag(value: object) -> object:
    words = {"true": True, "on": True, "1": True, "yes": True, "false": False, "off": False, "0": False, "no": False}
    found = words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("must be true or false")
    return found


def _address(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError("must be an address such as http://127.0.0.1:4318")
    return value


def _names(value: object) -> object:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError("must be a list of names or addresses")
    return tuple(str(one).lower() for one in value)


_CHECKS: Mapping[str, Callable[[object], object]] = {
    "db": _text,
    "jobs_dir": _text,
    "concurrency": _whole(1, 10_000),
    "timezone": _text,
    "log_level": _level,
    "drain_timeout": _duration,
    "retention_days": _positive,
    "retention_runs": _whole(1, 10_000_000),
    "retention_audit_days": _positive,
    "log_limit": _whole(1024, 1 << 40),
    "web": _flag,
    "host": _text,
    "port": _whole(0, 65_535),
    "allowed_hosts": _names,
    "trusted_proxies": _names,
    "tls_certificate": _text,
    "tls_key": _text,
    "otlp_endpoint": _address,
    "server": _address,
}
_DEFAULTS: Mapping[str, object] = {
    "jobs_dir": DEFAULT_JOBS_DIR,
    "concurrency": 10,
    "timezone": "UTC",
    "log_level": "info",
    "drain_timeout": 3.0,
    "retention_days": 90,
    "retention_runs": 1000,
    "retention_audit_days": 365,
    "log_limit": 10_000_000,
    "web": True,
    "host": "127.0.0.1",
    "port": 8085,
    "allowed_hosts": (),
    "trusted_proxies": (),
    "tls_certificate": None,
    "tls_key": None,
    "otlp_endpoint": None,
    "server": None,
}
_ENVIRONMENT = {
    "GNOMON_DB": "db",
    "GNOMON_JOBS_DIR": "jobs_dir",
    "GNOMON_CONCURRENCY": "concurrency",
    "GNOMON_LOG_LEVEL": "log_level",
    "GNOMON_TIMEZONE": "timezone",
    "GNOMON_WEB": "web",
    "GNOMON_HOST": "host",
    "GNOMON_PORT": "port",
    "GNOMON_OTLP_ENDPOINT": "otlp_endpoint",
    "GNOMON_SERVER": "server",
}

SERVICE_LINK = "it is a service link of Kubernetes, no setting (enableServiceLinks: false in the pod keeps them out)"
_SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://")  # what Kubernetes writes into NAME_PORT, for each service NAME


def load_settings(
    flags: Mapping[str, object | None],
    environment: Mapping[str, str],
    *,
    config: str | None = None,
    directory: Path | None = None,
    search: bool = True,
    alerts: Mapping[str, object] | None = None,
) -> Settings:
    """Collect every setting from its strongest source.

    Args:
        flags: what was said on the command line; None: not said.
        environment: usually `os.environ`.
        config: a settings file to use instead of looking for one.
        directory: working directory (default: the process's).
        search: False looks for no settings file.
        alerts: instead of the `[alerts]` of a settings file.

    Raises:
        UsageError: unknown keys, values out of range, an unreadable file; all at once.
    """
    here = directory or working_directory()
    problems: list[Problem] = []
    path = _find(config, here, problems) if search else None
    document = {} if path is None else _read(path, problems)
    pools = _pools(document.pop("pools", {}), path, problems)
    written = document.pop("alerts", {})
    told = read_alerts(written if alerts is None else alerts, path, problems)
    values: dict[str, Value] = {}
    ignored = [
        name for name in _ENVIRONMENT if name.endswith("_PORT") and _SERVICE_LINK.match(environment.get(name, ""))
    ]
    meant = {name: value for name, value in environment.items() if name not in ignored}
    for name, raw, source in _sources(flags, meant, document, path):
        check = _CHECKS.get(name)
        if check is None:
            near = difflib.get_close_matches(name, [*_CHECKS, "pools", "alerts"], n=1)
            hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join([*_CHECKS, "pools", "alerts"])
            problems.append(Problem("setting_unknown", f"{name!r} is no setting", name, hint, source))
            continue
        if name in values:
            continue
        try:
            judge_whole(str(raw), source, name)
            values[name] = Value(check(raw), source)
        except ValueError as error:
            problems.append(Problem("setting_invalid", f"{str(raw)[:80]!r} (from {source}) {error}", name))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems)
    judge_whole(str(path), "the settings file")
    project = path.parent if path is not None and path.parent == here else None
    for name, default in _DEFAULTS.items():
        values.setdefault(name, Value(default, "default"))
    values.setdefault("db", Value(default_db(project), "default"))
    db = values["db"].value
    if db is not None and "://" not in str(db):
        values["db"] = Value(f"sqlite:///{db}", values["db"].source)
    judge_whole(str(database_file(str(values["db"].value))), "the database", "db")
    if values["jobs_dir"].source == str(path) and path is not None:
        values["jobs_dir"] = Value(str(path.parent / str(values["jobs_dir"].value)), str(path))
    return Settings(values, project, ignored, pools, told)


def _sources(
    flags: Mapping[str, object | None],
    environment: Mapping[str, str],
    document: Mapping[str, object],
    path: Path | None,
) -> list[tuple[str, object, str]]:
    """(name, value, source), strongest first."""
    found: list[tuple[str, object, str]] = []
    found += [(n, v, "--" + n.replace("_", "-")) for n, v in flags.items() if v is not None]
    found += [(n, environment[var], var) for var, n in _ENVIRONMENT.items() if environment.get(var)]
    found += [(n, v, str(path)) for n, v in document.items()]
    return found


def _find(config: str | None, here: Path, problems: list[Problem]) -> Path | None:
    if config is not None:
        path = Path(config)
        if not path.is_file():
            problems.append(Problem("config_missing", f"there is no settings file {config}", hint="see --config"))
            return None
        return path.absolute()
    for place in (here, of_user(platformdirs.user_config_dir), Path("/etc/gnomon")):
        if place is not None and os.path.isfile(place / FILE_NAME):  # one that may not be looked at is none
            return place / FILE_NAME
    return None


def _read(path: Path, problems: list[Problem]) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(Problem("config_unreadable", f"{path} cannot be read: {error}", file=str(path)))
        return {}


def _pools(value: object, path: Path | None, problems: list[Problem]) -> dict[str, int]:
    if not isinstance(value, dict):
        problems.append(Problem("setting_invalid", "pools must map names to numbers of slots", "pools", file=str(path)))
        return {}
    pools = {}
    for name, size in value.items():
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 1_000_000:
            text = f"pool {name!r} has {size!r} slots: give a whole number from 1"
            problems.append(Problem("setting_invalid", text, f"pools.{name}", file=str(path)))
        else:
            pools[str(name)] = size
    return pools


def level_number(settings: Settings) -> int:
    """The `logging` level of `log_level`."""
    return int(logging.getLevelNamesMapping()[settings.log_level.upper()])


def database_file(db: str) -> Path | None:
    """The file of a database. None: it is in memory, or no file."""
    if not db.startswith("sqlite:///"):
        return None
    name = db.removeprefix("sqlite:///").partition("?")[0]
    return None if name in ("", ":memory:") else Path(os.path.realpath(os.path.expanduser(unquote(name))))


def state_directory(db: str) -> Path | None:
    """Where a database's companions (locks, attempts, logs) live: beside it. None: the database is in memory."""
    path = database_file(db)
    return None if path is None else path.with_name(path.name + ".d")
