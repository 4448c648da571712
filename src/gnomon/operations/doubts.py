"""What a valid definition cannot do: references that nobody fills, channels that nobody declared."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast

from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.substitution import references_in, unclosed
from gnomon.core.values import Json

from .alert_settings import channel_hint

_GIVEN = ("fire_time", "fire_date", "run_id", "job_id", "attempt")
_MOST = 200


def doubts(job: Job) -> list[Problem]:
    """Problems that would show at the first run only."""
    found: list[Problem] = []
    known = {p.name for p in job.parameters} | {name for s in job.schedules for name in s.parameters}
    known.update(_GIVEN)
    found += _unfilled(job, "for_each", job.for_each, known - {"attempt"})
    given = known | ({"item", "index"} if job.for_each is not None else set())
    return found + _unfilled(job, "task", dict(job.task.arguments), given)


def unknown_runs(jobs: Iterable[Job]) -> tuple[list[Problem], list[Problem]]:
    """References to runs of jobs that do not exist (problems), or that are not upstream (warnings)."""
    all_ = {job.job_id: job for job in jobs}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for job in all_.values():
        above: set[str] | None = None
        for key, name in _references(job):
            if not name.startswith("runs."):
                continue
            named = _job_of(name.removeprefix("runs."), all_)
            if named is None and len(problems) < _MOST:
                problems.append(_no_such_run(job, key, name, all_))
            elif named is not None and len(warnings) < _MOST:
                above = _above(job, all_) if above is None else above
                if named not in above:
                    text = f"job {job.job_id!r} takes ${{{name}}} and does not run after {named!r}"
                    hint = f"add {named} to its depends_on"
                    warnings.append(Problem("reference_not_upstream", text, key, hint))
    return problems, warnings


def open_references(job: Job) -> list[Problem]:
    """Texts with a `${` that begins no reference: they are passed on as they are, which is rarely meant."""
    texts = [*_texts("for_each", job.for_each), *_texts("task", dict(job.task.arguments))]
    return [
        Problem(
            "reference_unclosed",
            f"job {job.job_id!r}: {_short(text)} has a `${{` that no `}}` closes: it is passed on as it is",
            key,
            "close it, as in ${name}; a literal is $${",
        )
        for key, text in texts
        if unclosed(text)
    ]


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


def pool_doubts(job: Job, pools: Mapping[str, int]) -> list[Problem]:
    """Pools that nobody declares: a run waits for them for ever. And wishes that are larger than the pool."""
    found = []
    for pool, slots in job.pools.items():
        size = pools.get(pool)
        if size is None:
            near = difflib.get_close_matches(pool, sorted(pools), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"write `pools: {{{pool}: 2}}` in a file or gnomon.toml"
            text = f"job {job.job_id!r}: pool {pool!r} is declared nowhere here: its runs wait until it is"
            found.append(Problem("pool_undeclared", text, "pool", hint))
        elif slots > size:
            text = f"job {job.job_id!r} wants {slots} of the {size} slots of pool {pool!r}: it runs alone in it"
            found.append(Problem("pool_too_small", text, f"pool.{pool}", f"at most {size}"))
    return found


def _unfilled(job: Job, root: str, value: Json, known: Collection[str]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for key, name in ((key, name) for key, text in _texts(root, value) for name in references_in(text)):
        head = name.split(".")[0].split("[")[0]
        if head == "runs" or head in known or name in known or name in found:
            continue
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean ${{{near[0]}}}?" if near else f"declare it under `parameters:`; a literal is $${{{name}}}"
        text = f"job {job.job_id!r}: nothing fills ${{{name}}}"
        found[name] = Problem("unknown_reference", text, key, hint)
    return [found[name] for name in sorted(found)]


def _no_such_run(job: Job, key: str, name: str, jobs: Mapping[str, Job]) -> Problem:
    wanted = name.removeprefix("runs.").split(".")[0].split("[")[0]
    near = difflib.get_close_matches(wanted, list(jobs)[:2000], n=1)
    text = f"job {job.job_id!r}: there is no job {wanted!r} for ${{{name}}}"
    hint = f"did you mean ${{runs.{near[0]}.result}}?" if near else "name a job of its depends_on"
    return Problem("unknown_reference", text, key, hint)


def _references(job: Job) -> Iterator[tuple[str, str]]:
    for key, text in (*_texts("for_each", job.for_each), *_texts("task", dict(job.task.arguments))):
        for name in references_in(text):
            yield key, name


def _job_of(name: str, jobs: Mapping[str, Job]) -> str | None:
    """The job that a dotted name begins with; the longest id wins, since ids may hold dots."""
    parts = name.replace("[", ".[").split(".")
    for length in range(len(parts), 0, -1):
        if (job_id := ".".join(parts[:length])) in jobs:
            return job_id
    return None


def _above(job: Job, jobs: Mapping[str, Job]) -> set[str]:
    """Every job it waits for, directly or through others."""
    seen: set[str] = set()
    level = [d.job for d in job.depends_on]
    while level:
        job_id = level.pop()
        if job_id not in seen:
            seen.add(job_id)
            level += [d.job for d in jobs[job_id].depends_on] if job_id in jobs else []
    return seen


def _texts(key: str, value: Json) -> Iterator[tuple[str, str]]:
    """Every text below `value`, with its dotted key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(f"{key}.{name}", item)
    elif isinstance(value, Sequence):
        for number, item in enumerate(value):
            yield from _texts(f"{key}[{number}]", item)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
