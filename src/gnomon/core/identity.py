"""Names that must stay the same over restarts and edits: ids of jobs and of schedule entries."""

from __future__ import annotations

import re

from .model import Job
from .rules import ScheduleSpec
from .values import digest

JOB_ID_RULE = "1 to 200 letters, digits, `.`, `_`, `-`, `/`"
_ID = re.compile(r"[A-Za-z0-9._/-]{1,200}", re.ASCII)


def is_job_id(text: str) -> bool:
    """Whether `text` may name a job (`JOB_ID_RULE`); schedule entries, pools and queues follow the same rule."""
    return _ID.fullmatch(text) is not None


def schedule_ids(job: Job) -> tuple[str, ...]:
    """The ids of a job's schedule entries, in their order.

    Named: `JOB:name`. The only entry, unnamed: `JOB:default`. Unnamed among several: `JOB:` and a hash of its
    rule and zone, so that reordering, and edits of the other keys, keep it. Two equal ids in the answer mean
    that the job is not valid: `duplicate_schedule_ids` finds them.
    """
    alone = len(job.schedules) == 1
    return tuple(f"{job.job_id}:{_entry_name(spec, alone)}" for spec in job.schedules)


def duplicate_schedule_ids(job: Job) -> list[tuple[int, int, str]]:
    """(index of the first, index of the repeat, id) of each schedule entry whose id an earlier entry has."""
    first: dict[str, int] = {}
    ids = enumerate(schedule_ids(job))
    return [(first[entry], index, entry) for index, entry in ids if first.setdefault(entry, index) != index]


def _entry_name(spec: ScheduleSpec, alone: bool) -> str:
    if spec.name is not None:
        return spec.name
    return "default" if alone else digest([spec.kind, dict(spec.rule), spec.timezone])
