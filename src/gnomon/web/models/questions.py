"""Why, what was decided, what is wrong with a job file, and what a job was."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .jobs import EXAMPLE_DEFINITION
from .page import Page
from .problem import Fault

EXAMPLE_WHY = {
    "verdict": "daily-report did not run at 2026-11-23T06:00:00Z: it was paused by rest:alice.",
    "outcome": "skipped",
    "run_id": None,
    "gates": [
        {
            "name": "the moment matches",
            "passed": True,
            "evidence": "daily-report:default names it",
            "at": "2026-11-23T06:00:00Z",
        },
        {"name": "not paused", "passed": False, "evidence": "paused by rest:alice", "at": "2026-11-22T18:00:00Z"},
    ],
}
EXAMPLE_SKIP = {
    "schedule_id": "daily-report:default",
    "job_id": "daily-report",
    "first_at": "2026-11-23T06:00:00Z",
    "last_at": "2026-11-24T06:00:00Z",
    "count": 2,
    "reason": "paused",
    "detail": "paused by rest:alice",
    "decided_at": "2026-11-24T08:00:00Z",
}
EXAMPLE_ERROR = {
    "file": "job.yaml",
    "line": 2,
    "column": 11,
    "key": "schedule",
    "code": "cron_invalid",
    "message": "minute is 0 to 59",
    "hint": "",
}
EXAMPLE_VALIDATION = {"ok": False, "jobs": [], "errors": [EXAMPLE_ERROR], "warnings": []}
EXAMPLE_FILE = {
    "path": "/etc/gnomon/jobs.d/nightly.yaml",
    "ok": False,
    "seen_at": "2026-11-21T10:00:00Z",
    "problems": [EXAMPLE_ERROR],
}
EXAMPLE_VERSION = {"job_id": "daily-report", "version": 1, "current": True, "definition": EXAMPLE_DEFINITION}


class Gate(BaseModel):
    """One question that the scheduler asked, and what the answer was."""

    name: str
    passed: bool | None
    evidence: str
    at: str | None


class Why(BaseModel):
    """A verdict, and the gates in the order in which the scheduler asked."""

    verdict: str
    outcome: str
    run_id: str | None
    gates: list[Gate]


class Skip(BaseModel):
    """Fire times that made no run: `count` of them from `first_at` to `last_at`."""

    schedule_id: str
    job_id: str
    first_at: str
    last_at: str
    count: int
    reason: str
    detail: str
    decided_at: str


class SkipPage(Page):
    """Skips, newest first."""

    items: list[Skip]


class JobDefinition(BaseModel):
    """What a job was in a version, with the keys of a job file."""

    job_id: str
    version: int
    current: bool
    definition: dict[str, Any]


class JobDefinitions(Page):
    """Definitions that are kept, newest first: the present one, and those that runs refer to."""

    items: list[JobDefinition]


class JobFile(BaseModel):
    """A job file as the scheduler last saw it, and what is wrong with it."""

    path: str
    ok: bool
    seen_at: str
    problems: list[Fault]


class JobFiles(Page):
    """Job files by path. `guard`: what the scheduler does not believe of the directory, in words, or null."""

    items: list[JobFile]
    guard: str | None


class Confirmed(BaseModel):
    """It is noted."""

    confirmed: bool


class ValidateBody(BaseModel):
    """The text of a job file."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"text": "job_id: a\nschedule: 99 * * * *\ntask: {type: command, command: date}\n"}
        },
    )

    text: str = Field(max_length=1_000_000)
    format: Literal["yaml", "json", "toml"] = "yaml"


class Validation(BaseModel):
    """What is wrong with it, each with line and column. `jobs`: ids of those that are right."""

    ok: bool
    jobs: list[str]
    errors: list[Fault]
    warnings: list[Fault]
