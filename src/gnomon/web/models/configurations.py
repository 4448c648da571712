"""Configurations: arguments that tasks share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .jobs import JobSource
from .page import Page
from .values import JsonMap

EXAMPLE_ARGUMENTS: dict[str, Any] = {
    "url": "https://example.com/report",
    "headers": {"Authorization": "env:REPORT_TOKEN"},
}
EXAMPLE_CONFIGURATION = {
    "name": "report-api",
    "version": 3,
    "type": "http",
    "arguments": EXAMPLE_ARGUMENTS,
    "source": {"kind": "rest", "path": None},
    "used_by": ["daily-report"],
    "created_at": "2026-11-21T10:00:00Z",
    "updated_at": "2026-11-22T10:00:00Z",
}
EXAMPLE_VERSION = {
    "name": "report-api",
    "version": 2,
    "type": "http",
    "arguments": {"url": "https://example.com/old"},
    "at": "2026-11-21T10:00:00Z",
    "actor": "rest:alice",
}


class Configuration(BaseModel):
    """Named arguments of tasks. `used_by`: ids of the jobs whose task builds on it."""

    name: str
    version: int
    type: str | None
    arguments: dict[str, Any]
    source: JobSource
    used_by: list[str]
    created_at: str
    updated_at: str


class ConfigurationPage(Page):
    """Configurations by name."""

    items: list[Configuration]


class ConfigurationVersion(BaseModel):
    """A configuration as it was."""

    name: str
    version: int
    type: str | None
    arguments: dict[str, Any]
    at: str
    actor: str


class ConfigurationVersions(Page):
    """The versions that are kept, newest first."""

    items: list[ConfigurationVersion]


class ConfigurationBody(BaseModel):
    """What a configuration is to be. Secrets are references: `env:NAME`, `file:/path`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"type": "http", "arguments": EXAMPLE_ARGUMENTS}}
    )

    type: str | None = Field(default=None, max_length=200, description="The task type it is for; null: any.")
    arguments: JsonMap = Field(description="The arguments, with the keys of a task in a job file.")
