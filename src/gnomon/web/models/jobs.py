"""Jobs and schedule entries."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .page import Page

EXAMPLE_DEFINITION: dict[str, Any] = {
    "job_id": "daily-report",
    "schedule": "0 7 * * mon-fri",
    "timezone": "Europe/Berlin",
    "task": {"type": "http", "url": "https://example.com/report", "method": "POST"},
    "restarts": 2,
}
EXAMPLE_SCHEDULE = {
    "id": "daily-report:default",
    "job_id": "daily-report",
    "rule": "0 7 * * mon-fri",
    "cron": "0 7 * * mon-fri",
    "kind": "cron",
    "timezone": "Europe/Berlin",
    "enabled": True,
    "paused": False,
    "paused_by": None,
    "anchor": "2026-11-21T10:00:00Z",
    "next_fire_at": "2026-11-23T06:00:00Z",
    "next_start_at": "2026-11-23T06:00:00Z",
}
EXAMPLE_JOB = {
    "job_id": "daily-report",
    "description": "",
    "enabled": True,
    "paused": False,
    "paused_at": None,
    "paused_by": None,
    "pause_reason": None,
    "retired_at": None,
    "failure_streak": 0,
    "task": EXAMPLE_DEFINITION["task"],
    "schedules": [EXAMPLE_SCHEDULE],
    "depends_on": [],
    "source": {"kind": "rest", "path": None},
    "definition_version": 1,
    "definition": EXAMPLE_DEFINITION,
    "labels": {},
    "created_at": "2026-11-21T10:00:00Z",
    "updated_at": "2026-11-21T10:00:00Z",
}


class Definition(BaseModel):
    """What a job is: the keys of a job file."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": EXAMPLE_DEFINITION})

    job_id: str | None = Field(default=None, description="Its name. Where the address names it, it may be left out.")


class Schedule(BaseModel):
    """A schedule entry: when a job fires. The keys of its rule stand beside these."""

    model_config = ConfigDict(extra="allow")

    id: str
    job_id: str
    rule: str
    kind: str
    timezone: str
    enabled: bool
    paused: bool
    paused_by: str | None
    anchor: str
    next_fire_at: str | None
    next_start_at: str | None


class Upstream(BaseModel):
    """A job that this one waits for."""

    job: str
    when: str


class JobSource(BaseModel):
    """Who owns a job: a file (then only the file changes it), Python code, or REST and the dashboard."""

    kind: str
    path: str | None


class Job(BaseModel):
    """A job: what it does, when, and under which policies."""

    job_id: str
    description: str
    enabled: bool
    paused: bool
    paused_at: str | None
    paused_by: str | None
    pause_reason: str | None
    retired_at: str | None
    failure_streak: int
    task: dict[str, Any]
    schedules: list[Schedule]
    depends_on: list[Upstream]
    source: JobSource
    definition_version: int
    definition: dict[str, Any]
    labels: dict[str, str]
    created_at: str
    updated_at: str


class JobPage(Page):
    """Jobs by id."""

    items: list[Job]


class PauseBody(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "the database moves"}})

    reason: str | None = Field(default=None, max_length=1000)
