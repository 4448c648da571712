"""Runs, their attempts, flows, backfills."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .values import JsonMap, kept_json

EXAMPLE_ATTEMPT: dict[str, Any] = {
    "number": 1,
    "outcome": "succeeded",
    "error": None,
    "claimed_at": "2026-11-23T06:00:00.012Z",
    "started_at": "2026-11-23T06:00:00.020Z",
    "finished_at": "2026-11-23T06:00:01.270Z",
    "duration_s": 1.25,
    "exit_code": None,
    "node": "vm-4711-k3x9",
    "worker": "shared 1",
    "log_bytes": 0,
}
EXAMPLE_RUN: dict[str, Any] = {
    "id": "01m7zg0k7t1g9ygf42rdjjhfjy",
    "job_id": "daily-report",
    "state": "succeeded",
    "cause": "schedule",
    "schedule_id": "daily-report:default",
    "flow_id": "01m7zg0k7t1g9ygf42rdjjhfjy",
    "fire_at": "2026-11-23T06:00:00Z",
    "due_at": "2026-11-23T06:00:00Z",
    "queued_at": "2026-11-23T06:00:00Z",
    "started_at": "2026-11-23T06:00:00.020Z",
    "finished_at": "2026-11-23T06:00:01.270Z",
    "lateness_s": 0.02,
    "duration_s": 1.25,
    "exit_code": None,
    "result": {"status": 200},
    "error": None,
    "reason": None,
    "waiting_for": None,
    "note": None,
    "parameters": {},
    "actor": "schedule",
    "retry_of": None,
    "parent_id": None,
    "item": None,
    "index": None,
    "items": None,
    "labels": {},
    "priority": 0,
    "definition_version": 1,
    "configuration": None,
    "next_attempt_at": None,
    "cancel_requested_at": None,
    "cancel_actor": None,
    "attempts": [EXAMPLE_ATTEMPT],
}
EXAMPLE_FLOW: dict[str, Any] = {
    "id": EXAMPLE_RUN["id"],
    "job_id": "daily-report",
    "state": "succeeded",
    "due_at": "2026-11-23T06:00:00Z",
    "started_at": "2026-11-23T06:00:00.020Z",
    "finished_at": "2026-11-23T06:00:01.270Z",
    "counts": {"succeeded": 1},
    "runs": [EXAMPLE_RUN],
}


class RunError(BaseModel):
    """Why it did not succeed."""

    code: str
    message: str


class Attempt(BaseModel):
    """One try of a run. `outcome` is null while it goes on."""

    number: int
    outcome: str | None
    error: RunError | None
    claimed_at: str
    started_at: str | None
    finished_at: str | None
    duration_s: float | None
    exit_code: int | None
    node: str
    worker: str | None
    log_bytes: int


class RunConfiguration(BaseModel):
    """The configuration its task used."""

    name: str
    version: int


class Run(BaseModel):
    """One occurrence of a job, with its attempts."""

    id: str
    job_id: str
    state: str
    cause: str
    schedule_id: str | None
    flow_id: str
    fire_at: str | None
    due_at: str
    queued_at: str | None
    started_at: str | None
    finished_at: str | None
    lateness_s: float | None
    duration_s: float | None
    exit_code: int | None
    result: Any
    error: RunError | None
    reason: str | None
    waiting_for: str | None
    note: str | None
    parameters: dict[str, Any]
    actor: str
    retry_of: str | None
    parent_id: str | None
    item: Any
    index: int | None
    items: dict[str, int] | None
    labels: dict[str, str]
    priority: int
    definition_version: int
    configuration: RunConfiguration | None
    next_attempt_at: str | None
    cancel_requested_at: str | None
    cancel_actor: str | None
    attempts: list[Attempt]


class RunPage(BaseModel):
    """Runs, newest due first. `partial`: the search went only so far; `next` goes on from there."""

    items: list[Run]
    next: str | None
    partial: bool


class StartBody(BaseModel):
    """What to run it with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"parameters": {"day": "2026-11-21"}}})

    parameters: JsonMap = Field(default_factory=dict, description="Values of the parameters that it declares.")


class Flow(BaseModel):
    """The runs of one pipeline firing."""

    model_config = ConfigDict(extra="allow")

    id: str
    state: str
    due_at: str
    started_at: str | None
    finished_at: str | None
    counts: dict[str, int]


class FlowDetail(Flow):
    """A flow with its runs, in the order of their dependencies."""

    runs: list[Run]


class FlowPage(BaseModel):
    """Flows of more than one run, newest first."""

    items: list[Flow]
    next: str | None
    partial: bool


class BackfillBody(BaseModel):
    """Which fire times to make good for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"from": "2026-11-01", "until": "2026-11-08"}}
    )

    since: str = Field(alias="from", max_length=64, description="The first fire time, as people write times.")
    until: str = Field(max_length=64, description="Fire times before this.")
    schedule_id: str | None = Field(default=None, max_length=400, description="Of this entry only.")
    concurrency: int = Field(default=1, ge=1, le=1000, description="At most so many at once.")
    again: bool = Field(default=False, description="Also where there is a run already.")
    newest_first: bool = False
    parameters: JsonMap = Field(default_factory=dict)
    dry_run: bool = Field(default=False, description="Say what would be made, and make nothing.")


class BackfillFire(BaseModel):
    """A fire time and the run it has, or null in a dry run."""

    at: str
    local: str
    schedule_id: str
    run_id: str | None


class Backfill(BaseModel):
    """What a backfill made. `there`: fire times left out because they have a run."""

    job_id: str
    fires: list[BackfillFire]
    there: int
    dry_run: bool


EXAMPLE_BACKFILL = {
    "job_id": "daily-report",
    "fires": [
        {
            "at": "2026-11-02T06:00:00Z",
            "local": "2026-11-02T07:00:00+01:00",
            "schedule_id": "daily-report:default",
            "run_id": "01k8h2c6y8rb",
        }
    ],
    "there": 4,
    "dry_run": False,
}


class DeleteBody(BaseModel):
    """Which: by id, or all that a filter matches; not both."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"q": "job:report until:-30d", "dry_run": True}}
    )

    ids: Annotated[list[str] | None, AfterValidator(kept_json)] = Field(default=None, max_length=10_000)
    q: str | None = Field(default=None, max_length=4000, description="A filter; the empty text matches all.")
    dry_run: bool = Field(default=False, description="Say what would be deleted, and delete nothing.")


class Kept(BaseModel):
    """Something that stays, and why."""

    id: str
    reason: str


class Deleted(BaseModel):
    """What was (or would be) deleted, and what stays."""

    deleted: list[str]
    kept: list[Kept]
    dry_run: bool
