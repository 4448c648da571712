"""The keys of one job → the job. Complains about all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from gnomon.core.identity import duplicate_schedule_ids
from gnomon.core.model import Job

from .context import Context, Given
from .fields import BY_SPELLING, FIELDS
from .policies import fits
from .readers import BAD, Bad
from .report import At
from .schedule_section import read_schedules
from .task_section import read_task
from .tree import Value, shown


def read_job(given: Given, context: Context) -> Job | None:
    """The job of these keys, or None after complaining."""
    values: dict[str, object] = {}
    for item in FIELDS:
        if item.read is not None and given.has(item.name):
            values[item.attribute] = item.read(given.value(item.name), given.place(item.name))
    if not given.has("job_id"):
        given.at.problem("missing_key", "a job needs `job_id`", "write for example `job_id: daily-report`", of_key=True)
        values["job_id"] = BAD
    task, inner_timeout = read_task(given, context)
    values["task"] = task
    if inner_timeout is not None:
        _take_timeout(given, inner_timeout, values)
    values["schedules"] = _schedules(given, values, context)
    if any(isinstance(value, Bad) for value in values.values()):
        return None
    job = Job(**cast(dict[str, Any], values))
    for first, repeat, name in duplicate_schedule_ids(job):
        message = f"schedules {first + 1} and {repeat + 1} have one id, {name}"
        given.place("schedules").child(repeat).problem("duplicate_schedule_id", message, "give them different names")
        return None
    return job if _values_fit(job, given) else None


def _values_fit(job: Job, given: Given) -> bool:
    """Whether each schedule gives the job's parameters what they need. A run that cannot succeed is no run."""
    declared = {parameter.name: parameter for parameter in job.parameters}
    several = given.has("schedules")
    good = True
    for index, spec in enumerate(job.schedules if declared else ()):
        at = given.place("schedules").child(index) if several else given.place("schedule")
        for name, value in spec.parameters.items():
            kind = declared[name].type if name in declared else "any"
            if not fits(value, kind):
                place = at.child("parameters").child(name)
                place.problem("parameter_type", f"{shown(value)} is not of type {kind}", f"parameter {name} has it")
                good = False
        for name, parameter in declared.items():
            if parameter.required and parameter.default is None and name not in spec.parameters:
                text = f"parameter {shown(name)} is required, and this schedule gives it no value"
                at.problem(
                    "parameter_missing", text, f"write `parameters: {{{name}: …}}` in the schedule, or a default"
                )
                good = False
    return good


def _schedules(given: Given, values: Mapping[str, object], context: Context) -> object:
    timezone = values.get("timezone") or context.default_timezone
    bad_zone = isinstance(timezone, Bad)
    if not bad_zone and given.has("timezone"):
        error = context.zone_error(str(timezone))
        if error is not None:
            for item in error.problems:
                at = given.place("timezone")
                at.report.add(item.code, item.message, at.path, item.hint)
            bad_zone = True
    job_id = values.get("job_id")
    name = "job" if isinstance(job_id, Bad) else str(job_id)
    specs = read_schedules(given, name, context.default_timezone if bad_zone else str(timezone), context)
    return BAD if bad_zone else specs


def _take_timeout(given: Given, inner: tuple[Value, At], values: dict[str, object]) -> None:
    """`timeout_sec` inside the task is the job's timeout."""
    value, at = inner
    if given.has("timeout") and given.place("timeout").path[: len(given.at.path)] == given.at.path:
        key = given.place("timeout").path[-1]
        message = f"`{key}` and `task.timeout_sec` mean the same"
        at.problem("conflicting_keys", message, "keep one of them", of_key=True)
        return
    read_timeout = BY_SPELLING["timeout"].read
    if value is not None and read_timeout is not None:
        values["timeout_s"] = read_timeout(value, at)
