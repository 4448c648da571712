"""What a valid definition cannot do: references that nobody fills, channels that nobody declared."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import cast

from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.substitution import references

from .alert_settings import channel_hint

_GIVEN = ("fire_time", "fire_date", "run_id", "job_id", "attempt")


def doubts(job: Job) -> list[Problem]:
    """Problems that would show at the first run only."""
    found: list[Problem] = []
    known = {p.name for p in job.parameters} | {name for s in job.schedules for name in s.parameters}
    known.update(_GIVEN)
    found += _unfilled(job, "for_each", references(job.for_each), known - {"attempt"})
    given = known | ({"item", "index"} if job.for_each is not None else set())
    return found + _unfilled(job, "task", references(dict(job.task.arguments)), given)


def unknown_channels(job: Job, channels: Collection[str] | None) -> list[Problem]:
    """Channels that the job's alerts name and the settings do not declare. None: nobody knows the settings."""
    named = cast("Sequence[str]", job.alerts.get("channels", ())) if isinstance(job.alerts, Mapping) else ()
    return [
        Problem(
            "channel_unknown",
            f"job {job.job_id!r}: there is no channel {name!r}: its alerts reach nobody there",
            "alerts",
            channel_hint(name, channels),
        )
        for name in named
        if channels is not None and name not in channels
    ]


def _unfilled(job: Job, key: str, names: Collection[str], known: Collection[str]) -> list[Problem]:
    found = []
    for name in sorted(names):
        head = name.split(".")[0].split("[")[0]
        if head == "runs" or head in known or name in known:
            continue
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean ${{{near[0]}}}?" if near else f"declare it under `parameters:`; a literal is $${{{name}}}"
        text = f"job {job.job_id!r}: nothing fills ${{{name}}}"
        found.append(Problem("unknown_reference", text, key, hint))
    return found
