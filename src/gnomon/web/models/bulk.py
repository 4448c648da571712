"""Orders about many things at once, and what became of each."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .runs import Kept
from .values import kept_json

Names = Annotated[list[str], Field(max_length=1000), AfterValidator(kept_json)]
DRY = Field(default=False, description="Change nothing: say what would happen.")
EXAMPLE_DELETED = {
    "dry_run": False,
    "deleted": ["old-report"],
    "kept": [{"id": "nightly", "reason": "job 'nightly' comes from /etc/gnomon/jobs.d/nightly.yaml"}],
    "runs": 120,
}
EXAMPLE_CHANGED = {
    "dry_run": True,
    "changed": ["daily-report"],
    "kept": [{"id": "nightly", "reason": "it is paused already"}],
}


class JobSelection(BaseModel):
    """Jobs by id, or all that match the rest."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"type": ["http"], "dry_run": True}})

    ids: Names = []
    type: list[str] = Field(default_factory=list, max_length=100, description="With a task of these types.")
    label: list[str] = Field(default_factory=list, max_length=100, description="With these labels, `NAME=VALUE`.")
    due_from: str | None = Field(default=None, max_length=100, description="With a run due, or planned, from then on.")
    due_until: str | None = Field(default=None, max_length=100, description="… and before this time.")
    retired: bool | None = Field(default=None, description="true: only those no source has any more.")
    q: str | None = Field(default=None, max_length=2000, description="The filter language.")
    dry_run: bool = DRY


class JobPausing(JobSelection):
    """Jobs, and why they are paused."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"label": ["team=data"], "reason": "database moves"}}
    )

    reason: str | None = Field(default=None, max_length=1000)


class ScheduleSelection(BaseModel):
    """Schedule entries by id, those of a job, or all."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"all": True, "dry_run": True}})

    ids: Names = []
    job: str | None = Field(default=None, max_length=200, description="Every entry of this job.")
    all: bool = Field(default=False, description="Every entry there is.")
    dry_run: bool = DRY


class ConfigurationSelection(BaseModel):
    """Configurations by name, or all that no job uses."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"unused": True, "dry_run": True}})

    names: Names = []
    unused: bool = Field(default=False, description="All that no job uses.")
    dry_run: bool = DRY


class Deletion(BaseModel):
    """What is deleted (of a dry run: would be), and what is kept. `runs`: gone with their jobs."""

    dry_run: bool
    deleted: list[str]
    kept: list[Kept]
    runs: int


class Changed(BaseModel):
    """What is changed (of a dry run: would be), and what stays."""

    dry_run: bool
    changed: list[str]
    kept: list[Kept]
