"""What a valid definition cannot do: features that this version does not have, references that nobody fills."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.substitution import references

_GIVEN = ("fire_time", "fire_date", "run_id", "job_id", "attempt")
_UNBUILT = "not_in_this_version"


def doubts(job: Job) -> list[Problem]:
    """Problems that would show at the first run only."""
    found = [
        Problem(
            _UNBUILT, f"job {job.job_id!r}: `{key}` is not carried out by this version", key, "take it out until then"
        )
        for key, present in (("alerts", bool(job.alerts)),)
        if present
    ]
    known = {p.name for p in job.parameters} | {name for s in job.schedules for name in s.parameters}
    known.update(_GIVEN)
    found += _unfilled(job, "for_each", references(job.for_each), known - {"attempt"})
    given = known | ({"item", "index"} if job.for_each is not None else set())
    return found + _unfilled(job, "task", references(dict(job.task.arguments)), given)


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
