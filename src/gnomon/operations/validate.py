"""Looking at job files without a scheduler: what is wrong with them, and which jobs may run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import JsonObject
from gnomon.jobfiles.uses import Content
from gnomon.jobfiles.validating import judge_path

from .doubts import doubts, open_references, pool_doubts, unknown_channels, unknown_runs
from .views import problem_view


@dataclass(frozen=True, slots=True)
class Checked:
    """Jobs and problems of a file or a directory.

    `usable`: the jobs may be used although there are problems (a bare list, of which only bad entries are left out).
    """

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    usable: bool
    pools: Mapping[str, int] = field(default_factory=dict)
    configurations: Mapping[str, Content] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def view(self) -> JsonObject:
        """The JSON object of `gnomon validate`."""
        return {
            "ok": not self.problems,
            "jobs": [job.job_id for job in self.jobs],
            "errors": [problem_view(p) for p in self.problems],
            "warnings": [problem_view(p) for p in self.warnings],
        }


def check_path(
    path: Path,
    kinds: ScheduleKinds,
    task_types: TaskTypes,
    timezone: str,
    configured: Mapping[str, ConfigurationRecord] | None = None,
    channels: Collection[str] | None = None,
    pools: Mapping[str, int] | None = None,
) -> Checked:
    """Everything about the job files at `path`, judged together as at a first start.

    Args:
        configured: configurations of a database, which jobs may use as well.
        channels: those that alerts may go to; None: not known.
        pools: those of the settings, beside those of the files; None: not known.
    """
    jobs, problems, files = judge_path(path, kinds, task_types, default_timezone=timezone, configured=configured)
    unknown, beside = unknown_runs(jobs) if not problems else ([], [])
    unfilled = [problem for job in jobs for problem in doubts(job)]
    problems = (*problems, *(replace(p, file=str(path)) for p in (*unfilled, *unknown)))
    odd = [p for job in jobs for p in (*unknown_channels(job, channels), *open_references(job))]
    if pools is not None:
        slots = {**{name: size for parsed in files.values() for name, size in parsed.pools.items()}, **pools}
        odd += [p for job in jobs for p in pool_doubts(job, slots)]
    strange = (replace(p, file=str(path)) for p in (*odd, *beside))
    warnings = (*(warning for parsed in files.values() for warning in parsed.warnings), *strange)
    contents = {name: Content(record.type, record.arguments) for name, record in (configured or {}).items()}
    contents |= {
        name: Content.written(entry) for parsed in files.values() for name, entry in parsed.configurations.items()
    }
    parsed = files.get(str(path))
    if parsed is None:
        return Checked(jobs, problems, not problems, {}, contents, warnings)
    usable = not problems or (parsed.by_entry and bool(jobs))
    return Checked(jobs, problems, usable, parsed.pools, contents, warnings)
