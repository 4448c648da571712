"""From the keys of a job (arguments of `add_job`, a body of REST) to a definition: read and judged like job files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from gnomon.core.errors import Problem, UsageError
from gnomon.core.model import Job
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import Json
from gnomon.jobfiles.fields import FILE_KEYS
from gnomon.jobfiles.parsing import parse_bytes

_SOURCE = "job.json"


def build_job(document: Mapping[str, object], kinds: ScheduleKinds, task_types: TaskTypes, timezone: str) -> Job:
    """The job that `document` (keys of a job file) describes.

    Raises:
        UsageError: every mistake, with its key.
    """
    beside = [key for key in document if key in FILE_KEYS]
    if beside:
        hint = "write the keys of one job here; those of a file stay in files"
        raise UsageError(
            *(Problem("misplaced_key", f"{key!r} is a key of a job file, not of a job", key, hint) for key in beside)
        )
    keys = {key: plain(value, key) for key, value in document.items() if value is not None}
    parsed = parse_bytes(json.dumps(keys).encode(), _SOURCE, kinds, task_types, default_timezone=timezone)
    if parsed.problems:
        raise UsageError(*(replace(p, file=None, line=None, column=None) for p in parsed.problems))
    return parsed.jobs[0]


def plain(value: object, key: str) -> Json:
    """JSON of a Python value: tuples become lists, timedeltas seconds, names text.

    Raises:
        UsageError: there is none.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(name): plain(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, f"{key}[{i}]") for i, item in enumerate(value)]
    kind = type(value).__name__
    hint = "arguments must be JSON: they are kept in the database and may be used by another process"
    raise UsageError(Problem("not_json", f"a {kind} cannot be stored", key, hint))
