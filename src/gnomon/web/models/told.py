"""What people were told of a run."""

from __future__ import annotations

from pydantic import BaseModel

from .access import EXAMPLE_INCIDENT, Incident
from .page import Page

EXAMPLE_RUN_INCIDENT = {
    **EXAMPLE_INCIDENT,
    "told": [{"channel": "ops", "state": "delivered", "error": None, "delivered_at": "2026-11-21T10:00:01Z"}],
}


class Told(BaseModel):
    """The newest message to a channel that says so; `error`: why it did not arrive."""

    channel: str
    state: str
    error: str | None
    delivered_at: str | None


class RunIncident(Incident):
    """An incident that a run began or belongs to, and who was told of it."""

    told: list[Told]


class RunIncidents(Page):
    """Incidents of a run, newest first."""

    items: list[RunIncident]
