"""What this gnomon is: its version, what it can do, and the settings that whoever may look may see."""

from __future__ import annotations

import inspect

from gnomon.core.tasks import TaskType
from gnomon.core.values import Json, JsonObject
from gnomon.core.version import __version__

from .context import Desk
from .settings import Settings

_SHOWN = (
    "jobs_dir",
    "concurrency",
    "timezone",
    "log_level",
    "drain_timeout",
    "retention_days",
    "retention_runs",
    "log_limit",
    "host",
    "port",
    "allowed_hosts",
    "trusted_proxies",
)


def about(desk: Desk, settings: Settings) -> JsonObject:
    """Version, kind of database, zone, settings without secrets, names of pools and channels, kinds of schedules."""
    return {
        "version": __version__,
        "database": settings.db.partition(":")[0].partition("+")[0],
        "timezone": desk.timezone,
        "schedule_kinds": list(desk.kinds.names()),
        "task_types": list(desk.task_types.names()),
        "pools": dict(desk.store.read(lambda reader: reader.pool_sizes())),
        "channels": sorted(desk.channels or ()),
        "settings": {name: _plain(settings.values[name].value) for name in _SHOWN if name in settings.values},
    }


def list_task_types(desk: Desk) -> list[JsonObject]:
    """What a job can do: names, other names, and a line about each."""
    kinds = (desk.task_types.resolve(name) for name in desk.task_types.names())
    return [_type_view(kind) for kind in kinds if kind is not None]


def _type_view(kind: TaskType) -> JsonObject:
    lines = (inspect.getdoc(kind) or "").splitlines()
    return {
        "name": kind.name,
        "aliases": list(kind.aliases),
        "executor": kind.executor,
        "description": lines[0] if lines else "",
    }


def _plain(value: object) -> Json:
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
