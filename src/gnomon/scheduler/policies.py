"""The keys of a job that `add_job` takes beside function and schedule, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from gnomon.core.values import Json

from .schedules import Duration


class Policies(TypedDict, total=False):
    """What docs/job-files.md says about each holds here. Durations: seconds, `timedelta`, or text such as `2h30m`."""

    description: str
    enabled: bool
    labels: Mapping[str, str]
    timezone: str
    depends_on: str | Sequence[str | Mapping[str, str]]
    dependency_timeout: Duration
    parameters: Mapping[str, Json]
    for_each: Sequence[Any] | str
    timeout: Duration
    kill_grace: Duration
    restarts: int
    retry: Mapping[str, Any]
    overlap: Literal["skip", "queue_one", "queue_all", "replace", "allow"]
    catch_up: Literal["none", "latest", "all"] | Mapping[str, Any]
    misfire_grace: Duration
    start_deadline: Duration
    priority: int
    pool: str | Mapping[str, int]
    max_active: int
    rate: str | Mapping[str, Any]
    queue: str
    on_lost: Literal["rerun", "fail"]
    pause_after: int
    alerts: str | Sequence[str] | Mapping[str, Any]
    ping: str
