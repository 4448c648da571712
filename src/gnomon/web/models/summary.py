"""Sums for the first page of a dashboard."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

EXAMPLE_BAR: dict[str, Any] = {
    "id": "01m7zg0k7t1g9ygf42rdjjhfjy",
    "state": "succeeded",
    "due_at": "2026-11-23T06:00:00Z",
    "duration_s": 1.25,
    "lateness_s": 0.02,
}
EXAMPLE_JOB_SUMMARY: dict[str, Any] = {
    "bars": [EXAMPLE_BAR],
    "p50_s": 1.2,
    "p95_s": 2.5,
    "succeeded": 99,
    "failed": 1,
    "success_rate": 0.99,
}
EXAMPLE_SUMMARY: dict[str, Any] = {
    "success": {"succeeded": 120, "failed": 2, "cancelled": 0, "skipped": 1, "rate": 0.984},
    "start_delay": {"p50_s": 0.02, "p95_s": 0.11, "max_s": 0.4, "count": 122, "sampled": False},
    "capacity": {"running": 3, "capacity": 10, "nodes": 1},
    "oldest_queued": None,
    "strip": {
        "since": "2026-11-21T00:00:00Z",
        "until": "2026-11-21T16:00:00Z",
        "bucket_s": 600,
        "buckets": [{"at": "2026-11-21T06:00:00Z", "counts": {"succeeded": 4}}],
        "partial": False,
    },
    "errors": {"groups": [], "failed": 0, "partial": False},
}


class Success(BaseModel):
    """How runs of a period ended."""

    succeeded: int
    failed: int
    cancelled: int
    skipped: int
    rate: float | None


class StartDelay(BaseModel):
    """How much later than due runs of a period started."""

    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    count: int
    sampled: bool


class Capacity(BaseModel):
    """Attempts that go on, and the slots of all living schedulers."""

    running: int
    capacity: int
    nodes: int


class OldestQueued(BaseModel):
    """The queued run that waits longest."""

    id: str
    job_id: str
    due_at: str
    queued_at: str | None
    waiting_for: str | None
    age_s: float


class Bucket(BaseModel):
    """Runs due in a stretch of time, by state."""

    at: str
    counts: dict[str, int]


class Strip(BaseModel):
    """Runs by state over time."""

    since: str
    until: str
    bucket_s: int
    buckets: list[Bucket]
    partial: bool


class ErrorGroup(BaseModel):
    """Failures of one kind."""

    signature: str
    code: str | None
    message: str | None
    count: int
    jobs: list[str]
    first_due_at: str
    last_due_at: str
    run_id: str


class Errors(BaseModel):
    """Failures of a period by kind, most frequent first."""

    groups: list[ErrorGroup]
    failed: int
    partial: bool


class Summary(BaseModel):
    """How things went in a period, and stand now."""

    success: Success
    start_delay: StartDelay
    capacity: Capacity
    oldest_queued: OldestQueued | None
    strip: Strip
    errors: Errors


class Bar(BaseModel):
    """One run in a row of them."""

    id: str
    state: str
    due_at: str
    duration_s: float | None
    lateness_s: float | None


class JobSummary(BaseModel):
    """The newest runs of a job, and how its last hundred went."""

    bars: list[Bar]
    p50_s: float | None
    p95_s: float | None
    succeeded: int
    failed: int
    success_rate: float | None


class JobSummaries(BaseModel):
    """By the id of the job."""

    jobs: dict[str, JobSummary]


class Count(BaseModel):
    """How many runs match; `exact` false: at least so many."""

    count: int
    exact: bool
