"""The table of job keys. Errors, documentation (docs/job-files.md) and the parser all come from here."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core.model import OnLost, Overlap

from . import policies
from .readers import Reader, boolean, duration, integer, named, none_or, one_of, text


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a job.

    Attributes:
        name: the canonical key.
        spellings: other accepted spellings of the same key.
        attribute: the attribute of `Job` it sets; "" when it is read together with others.
        read: its reader; None when it is read together with others.
        default: the default as the documentation shows it.
        part_of: the key it is another way to write (a part of), or "".
    """

    name: str
    attribute: str = ""
    read: Reader | None = None
    default: str = ""
    spellings: tuple[str, ...] = ()
    part_of: str = ""


_RETRY = "{delay: 10s, backoff: exponential, factor: 2, max_delay: 1h, jitter: true, on: any}"
_POSITIVE = none_or(duration(zero=False))
FIELDS: tuple[Field, ...] = (
    Field("job_id", "job_id", named("job id"), "required", ("id", "task_id")),
    Field("description", "description", text, "", ("task_name", "name")),
    Field("enabled", "enabled", boolean, "true"),
    Field("labels", "labels", policies.labels, "{}"),
    Field("task", default="required"),
    Field("task_type", part_of="task"),
    Field("entry_point", part_of="task"),
    Field("function", part_of="task"),
    Field("args", part_of="task"),
    Field("kwargs", part_of="task"),
    Field("schedule", default="none"),
    Field("schedules", default="none"),
    Field("interval_seconds", part_of="schedule"),
    Field("start_time", part_of="schedule"),
    Field("depends_on", "depends_on", policies.dependencies, "[]", ("dependencies",)),
    Field("dependency_timeout", "dependency_timeout_s", _POSITIVE, "next own fire, at most 24h"),
    Field("parameters", "parameters", policies.parameters, "{}"),
    Field("for_each", "for_each", policies.for_each, "none"),
    Field("timeout", "timeout_s", _POSITIVE, "none", ("execution_duration", "timeout_sec")),
    Field("kill_grace", "kill_grace_s", duration(zero=True), "10s"),
    Field("restarts", "restarts", integer(0, 1000), "0", ("restart_count", "retries")),
    Field(
        "retry",
        "retry",
        policies.retry,
        "{delay: 10s, backoff: exponential, factor: 2, max_delay: 1h, jitter: true, on: any}",
    ),
    Field("overlap", "overlap", one_of(Overlap), "skip"),
    Field("catch_up", "catch_up", policies.catch_up, "latest"),
    Field("misfire_grace", "misfire_grace_s", none_or(duration(zero=True)), "min(60s, gap to next fire)"),
    Field("start_deadline", "start_deadline_s", _POSITIVE, "none"),
    Field("priority", "priority", integer(-1_000_000, 1_000_000), "0"),
    Field("pool", "pools", policies.pools, "none"),
    Field("max_active", "max_active", none_or(integer(1, 100_000)), "none"),
    Field("rate", "rate", none_or(policies.rate), "none"),
    Field("queue", "queue", named("name of a queue"), "default"),
    Field("on_lost", "on_lost", one_of(OnLost), "rerun"),
    Field("pause_after", "pause_after", none_or(integer(1, 1_000_000)), "none"),
    Field("alerts", "alerts", policies.alerts, "setting"),
    Field("ping", "ping", none_or(policies.ping), "none"),
    Field("timezone", "timezone", text, "setting"),
)

FILE_KEYS = ("jobs", "defaults", "configurations", "pools")
"""Keys at the top of a file that are not keys of a job."""

BY_SPELLING: dict[str, Field] = {word: item for item in FIELDS for word in (item.name, *item.spellings)}
"""Every accepted spelling of a job key."""

_WHOLE_TASK = ("task_type", "entry_point", "function", "args", "kwargs")
CONFLICTS: dict[str, tuple[str, ...]] = {
    "task": _WHOLE_TASK,
    "function": ("task_type", "entry_point"),
    "schedule": ("schedules", "interval_seconds", "start_time"),
    "schedules": ("interval_seconds", "start_time"),
}
"""Keys that say the same in two ways: one job takes one of them, and pushes the other out of `defaults:`."""


def conflicts(first: str, second: str) -> bool:
    """Whether two keys cannot stand in one job."""
    return second in CONFLICTS.get(first, ()) or first in CONFLICTS.get(second, ())
