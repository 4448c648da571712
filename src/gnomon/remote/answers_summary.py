"""What a server answers: the objects of `--json`, as types. Made from the OpenAPI document.

`python -m tests.support.answers` makes it anew. A server that is newer than this client may send more keys.
"""

from __future__ import annotations

from typing import TypedDict


class Bar(TypedDict):
    """One run in a row of them."""

    id: str
    state: str
    due_at: str
    duration_s: float | None
    lateness_s: float | None


class Bucket(TypedDict):
    """Runs due in a stretch of time, by state."""

    at: str
    counts: dict[str, int]


class Capacity(TypedDict):
    """Attempts that go on, and the slots of all living schedulers."""

    running: int
    capacity: int
    nodes: int


class Count(TypedDict):
    """How many runs match; `exact` false: at least so many."""

    count: int
    exact: bool


class ErrorGroup(TypedDict):
    """Failures of one kind."""

    signature: str
    code: str | None
    message: str | None
    count: int
    jobs: list[str]
    first_due_at: str
    last_due_at: str
    run_id: str


class Errors(TypedDict):
    """Failures of a period by kind, most frequent first."""

    groups: list[ErrorGroup]
    failed: int
    partial: bool


class JobSummaries(TypedDict):
    """By the id of the job."""

    jobs: dict[str, JobSummary]


class JobSummary(TypedDict):
    """The newest runs of a job, and how its last hundred went."""

    bars: list[Bar]
    p50_s: float | None
    p95_s: float | None
    succeeded: int
    failed: int
    success_rate: float | None


class OldestQueued(TypedDict):
    """The queued run that waits longest."""

    id: str
    job_id: str
    due_at: str
    queued_at: str | None
    waiting_for: str | None
    age_s: float


class StartDelay(TypedDict):
    """How much later than due runs of a period started."""

    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    count: int
    sampled: bool


class Strip(TypedDict):
    """Runs by state over time."""

    since: str
    until: str
    bucket_s: int
    buckets: list[Bucket]
    partial: bool


class Success(TypedDict):
    """How runs of a period ended."""

    succeeded: int
    failed: int
    cancelled: int
    skipped: int
    rate: float | None


class Summary(TypedDict):
    """How things went in a period, and stand now."""

    success: Success
    start_delay: StartDelay
    capacity: Capacity
    oldest_queued: OldestQueued | None
    strip: Strip
    errors: Errors
