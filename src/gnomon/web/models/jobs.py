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
    "fault": None,
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


_Duration = str | float | None


def _key(text: str) -> Any:
    return Field(default=None, description=text)


class Definition(BaseModel):
    """What a job is: the keys of a job file. Other spellings that job files take are taken here too."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": EXAMPLE_DEFINITION})

    job_id: str | None = _key("Its name. Where the address names it, it may be left out.")
    description: str = _key("In words.")
    enabled: bool = _key("false: kept, and never fired. (true)")
    labels: dict[str, Any] = _key("To find it by.")
    task: dict[str, Any] = _key("What: `type`, the arguments of that type, `use` for a configuration. (required)")
    schedule: str | dict[str, Any] | None = _key("When: cron, `every 30s`, a time, or a mapping. (none: by hand)")
    schedules: list[str | dict[str, Any]] | None = _key("Several of them.")
    depends_on: list[str | dict[str, Any]] | str = _key("Jobs that it waits for.")
    dependency_timeout: _Duration = _key("How long it waits for them. (its next own fire, at most 24h)")
    parameters: dict[str, Any] | list[Any] = _key("What runs may be given.")
    for_each: Any = _key("A list: one item of the run for each. (none)")
    timeout: _Duration = _key("Of an attempt. (none)")
    kill_grace: _Duration = _key("Between TERM and KILL. (10s)")
    restarts: int = _key("How often a failed run is tried again. (0)")
    retry: Any = _key("`delay`, `backoff`, `factor`, `max_delay`, `jitter`, `on`. (10s, exponential)")
    overlap: str = _key("While the run before goes on: skip, queue_one, queue_all, replace, allow. (skip)")
    catch_up: Any = _key("After downtime: none, latest, all, or a mapping. (latest)")
    misfire_grace: _Duration = _key("How late a fire is still on time. (60s, at most the gap to the next)")
    start_deadline: _Duration = _key("Not started by then: skipped. (none)")
    priority: int = _key("Higher ones start first. (0)")
    pool: Any = _key("Slots it takes of pools. (none)")
    max_active: int | None = _key("Runs of it at once. (none)")
    rate: Any = _key("Starts in a time, `10/1m`. (none)")
    queue: str = _key("The line it waits in. (default)")
    on_lost: str = _key("After a crash: rerun or fail. (rerun)")
    pause_after: int | None = _key("Paused after so many failures in a row. (none)")
    alerts: Any = _key("Whom to tell of what. (the setting)")
    ping: Any = _key("Whom to tell that it lives. (none)")
    timezone: str = _key("IANA name, of its schedules. (the setting)")


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
    fault: str | None


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
