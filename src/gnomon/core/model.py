"""What a job is. Frozen values; their JSON form is `core.codec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .rules import ScheduleSpec
from .values import Json


class Overlap(StrEnum):
    """What a fire does while an earlier run of its job is not finished."""

    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    QUEUE_ALL = "queue_all"
    REPLACE = "replace"
    ALLOW = "allow"


class CatchUpMode(StrEnum):
    """Which of the fires missed during downtime still run."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class When(StrEnum):
    """How an upstream must end for its downstream to run."""

    SUCCEEDED = "succeeded"
    FINISHED = "finished"
    FAILED = "failed"


class OnLost(StrEnum):
    """What becomes of an attempt that a crash swallowed."""

    RERUN = "rerun"
    FAIL = "fail"


class Backoff(StrEnum):
    """How the delay between attempts grows."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Catch-up policy. `max_age_s` seconds, None: no limit. `max_count` newest fires are kept (mode `all`)."""

    mode: CatchUpMode = CatchUpMode.LATEST
    max_age_s: float | None = None
    max_count: int = 1000


@dataclass(frozen=True, slots=True)
class Retry:
    """How further attempts are spaced, and after what.

    Attributes:
        delay_s: seconds before the first further attempt.
        factor: growth per attempt, for exponential back-off.
        max_delay_s: cap of the delay in seconds.
        jitter: True draws each delay uniformly from its upper half.
        on: exit codes (int), exception names, outcomes (failed, timed_out) after which to retry; empty: any.
    """

    delay_s: float = 10.0
    backoff: Backoff = Backoff.EXPONENTIAL
    factor: float = 2.0
    max_delay_s: float = 3600.0
    jitter: bool = True
    on: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependency:
    """An upstream job, and how it must have ended."""

    job: str
    when: When = When.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared input of a job. `type`: string, integer, number, boolean, array, object, or any."""

    name: str
    type: str = "any"
    default: Json = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` starts in any `period_s` seconds."""

    count: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Task:
    """What to do: a task type's canonical name, its arguments, and the configuration it builds on."""

    type: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    use: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A durable definition: task + schedules + policies. Meaning of every field: docs/job-files.md.

    Times are seconds (`_s`). `pools` maps a pool's name to the slots a run of this job takes in it.
    """

    job_id: str
    task: Task
    description: str = ""
    enabled: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    schedules: tuple[ScheduleSpec, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    dependency_timeout_s: float | None = None
    parameters: tuple[Parameter, ...] = ()
    for_each: Json = None
    timeout_s: float | None = None
    kill_grace_s: float = 10.0
    restarts: int = 0
    retry: Retry = Retry()
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp()
    misfire_grace_s: float | None = None
    start_deadline_s: float | None = None
    priority: int = 0
    pools: Mapping[str, int] = field(default_factory=dict)
    max_active: int | None = None
    rate: Rate | None = None
    queue: str = "default"
    on_lost: OnLost = OnLost.RERUN
    pause_after: int | None = None
    alerts: Json = None
    ping: str | None = None
    timezone: str | None = None
