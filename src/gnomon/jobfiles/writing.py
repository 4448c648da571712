"""A job → the text of a native job file. `parse(write(job)) == job`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from gnomon.core.codec import job_to_json
from gnomon.core.durations import format_duration
from gnomon.core.errors import UsageError
from gnomon.core.model import Job
from gnomon.core.rules import ScheduleKinds, ScheduleSpec
from gnomon.core.values import Json

from .fields import FIELDS
from .read_yaml import is_plain_text

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write_job(job: Job, kinds: ScheduleKinds, *, default_timezone: str = "UTC") -> str:
    """The YAML text of a file that holds this job, and says no more than it must.

    `default_timezone`: the zone the file will be read with; schedules in it need not name it.
    """
    return _text(job_to_mapping(job, kinds, default_timezone=default_timezone))


def write_jobs(jobs: Iterable[Job], kinds: ScheduleKinds, *, default_timezone: str = "UTC") -> str:
    """The YAML text of a file with several jobs."""
    return _text({"jobs": [job_to_mapping(job, kinds, default_timezone=default_timezone) for job in jobs]})


def job_to_mapping(job: Job, kinds: ScheduleKinds, *, default_timezone: str = "UTC") -> dict[str, Json]:
    """The keys of a native job file, in the order of its table, defaults left out."""
    zone = job.timezone or default_timezone
    plain = job_to_json(job)
    answer: dict[str, Json] = {}
    for item in FIELDS:
        if item.name == "task":
            use = {} if job.task.use is None else {"use": job.task.use}
            answer["task"] = {"type": job.task.type, **use, **job.task.arguments}
        elif item.name == "schedule" and len(job.schedules) == 1:
            answer["schedule"] = _schedule(job.schedules[0], job.job_id, zone, kinds)
        elif item.name == "schedules" and len(job.schedules) > 1:
            answer["schedules"] = [_schedule(spec, job.job_id, zone, kinds) for spec in job.schedules]
        elif item.attribute in plain:
            write = _WRITERS.get(item.name)
            answer[item.name] = plain[item.attribute] if write is None else write(getattr(job, item.attribute))
    return answer


def _schedule(spec: ScheduleSpec, job_id: str, zone: str, kinds: ScheduleKinds) -> Json:
    """The shortest form that reads back as the same entry."""
    for short in (kinds.describe(spec), {key: item for key, item in kinds.dump(spec).items() if key != "timezone"}):
        try:
            if kinds.parse(short, default_timezone=zone, job_id=job_id) == spec:
                return short
        except UsageError:  # a description is meant for people first
            continue
    return kinds.dump(spec)


def _retry(value: Any) -> Json:
    answer: dict[str, Json] = {}
    for key in ("delay", "max_delay"):
        answer[key] = format_duration(getattr(value, f"{key}_s"))
    rest: dict[str, Json] = {"backoff": value.backoff.value, "factor": value.factor, "jitter": value.jitter}
    return {**answer, **rest, **({"on": list(value.on)} if value.on else {})}


def _catch_up(value: Any) -> Json:
    answer: dict[str, Json] = {"mode": value.mode.value, "max_count": value.max_count}
    if value.max_age_s is not None:
        answer["max_age"] = format_duration(value.max_age_s)
    return value.mode.value if len(answer) == 2 and value.max_count == 1000 else answer


def _dependencies(value: Any) -> Json:
    return [item.job if item.when == "succeeded" else {"job": item.job, "when": item.when.value} for item in value]


def _parameters(value: Any) -> Json:
    answer: dict[str, Json] = {}
    for item in value:
        simple = item.type == "any" and not item.required and not isinstance(item.default, dict)
        full = {"type": item.type, "default": item.default, "required": item.required}
        answer[item.name] = item.default if simple else full
    return answer


def _rate(value: Any) -> Json:
    return f"{value.count}/{format_duration(value.period_s)}"


_WRITERS: dict[str, Callable[[Any], Json]] = {
    "retry": _retry,
    "catch_up": _catch_up,
    "depends_on": _dependencies,
    "parameters": _parameters,
    "rate": _rate,
    "pool": lambda pools: next(iter(pools)) if list(pools.values()) == [1] else dict(pools),
    **dict.fromkeys(
        ("dependency_timeout", "timeout", "kill_grace", "misfire_grace", "start_deadline"), format_duration
    ),
}


class _Text(_Dumper):  # type: ignore[misc]
    """Quotes every text that YAML 1.1 or 1.2 readers could take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write anchors: they are not read."""
        return True


def _quoted(dumper: Any, text: str) -> Any:
    style = None if is_plain_text(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Text.add_representer(str, _quoted)


def _text(value: Any) -> str:
    written = yaml.dump(value, Dumper=_Text, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    return str(written)
