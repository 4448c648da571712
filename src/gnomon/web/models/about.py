"""What this gnomon is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from .page import Page

EXAMPLE_TASK_TYPE = {
    "name": "http",
    "aliases": ["api", "http_request"],
    "executor": "shared",
    "description": "A request of any method; `docs/tasks-http.md` is the manual of every key.",
}
EXAMPLE_ABOUT = {
    "version": "0.1.0",
    "database": "sqlite",
    "timezone": "UTC",
    "schedule_kinds": ["startup", "rrule", "at", "every", "calendar", "cron"],
    "task_types": ["command", "python", "http", "email", "sql", "file", "mongo"],
    "pools": {"reports": 2},
    "channels": ["ops"],
    "settings": {"concurrency": 10, "retention_days": 90, "jobs_dir": "/etc/gnomon/jobs.d"},
}


class TaskType(BaseModel):
    """A kind of task."""

    name: str
    aliases: list[str]
    executor: str
    description: str


class TaskTypes(Page):
    """What a job can do."""

    items: list[TaskType]


class About(BaseModel):
    """Version, database, zone, and the settings that are no secrets."""

    version: str
    database: str
    timezone: str
    schedule_kinds: list[str]
    task_types: list[str]
    pools: dict[str, int]
    channels: list[str]
    settings: dict[str, Any]


class Document(BaseModel):
    """What can be asked, and what is answered."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
