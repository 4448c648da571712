"""Schedule entries, and when something fires."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .jobs import EXAMPLE_SCHEDULE, Schedule
from .page import Page, page_of
from .values import AnyJson

EXAMPLE_FIRES = {
    "fires": [{"at": "2026-11-23T06:00:00Z", "local": "2026-11-23T07:00:00+01:00", "note": None}],
    "removed": [{"at": "2026-12-25T06:00:00Z", "local": "2026-12-25T07:00:00+01:00", "note": "excluded: 2026-12-25"}],
    "description": "0 7 * * mon-fri",
    "why": None,
}
EXAMPLE_PAGE = page_of(EXAMPLE_SCHEDULE)
Rule = Annotated[
    AnyJson,
    Field(
        description="Anything a `schedule:` of a job file takes.",
        json_schema_extra={"type": ["string", "object"]},
        examples=["0 7 * * mon-fri", {"every": "15m", "timezone": "Europe/Berlin"}],
    ),
]


class SchedulePage(Page):
    """Schedule entries by id."""

    items: list[Schedule]


class ScheduleBody(BaseModel):
    """When."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"schedule": "0 7 * * mon-fri"}})

    schedule: Rule


class NextBody(BaseModel):
    """A schedule that is saved nowhere."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"schedule": "0 7 * * mon-fri", "timezone": "Europe/Berlin", "count": 3}},
    )

    schedule: Rule
    timezone: str | None = Field(default=None, min_length=1, max_length=100, description="IANA name.")
    after: str | None = Field(default=None, max_length=100, description="From then on: RFC 3339, `+2h`, …; now.")
    count: int = Field(default=5, ge=1, le=1000, description="How many.")


class Fire(BaseModel):
    """One fire time, also in the zone of its schedule. `note`: what is unusual about it."""

    at: str
    local: str
    note: str | None


class Fires(BaseModel):
    """Fires that come next. `removed`: what exclusions take out of them. `why`: in words, why there are none."""

    fires: list[Fire]
    removed: list[Fire]
    description: str
    why: str | None
