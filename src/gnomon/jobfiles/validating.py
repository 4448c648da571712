"""`gnomon validate PATH`: every job of a file or directory, and everything that is wrong with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.records import Source, SourceKind
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes
from gnomon.core.texts import is_whole

from .applying import plan_files
from .looking import look, misnamed, read_file
from .parsing import ParsedFile, parse_bytes

_ELSEWHERE = Source(SourceKind.REST)


def validate_path(
    path: str | os.PathLike[str], kinds: ScheduleKinds, task_types: TaskTypes, *, default_timezone: str = "UTC"
) -> tuple[tuple[Job, ...], tuple[Problem, ...]]:
    """The valid jobs of a file or directory by id, and all problems by file. No problems: `validate` exits 0.

    Everything is judged together as at a first start: ids, dependencies, cycles across files. Problems name files as
    `path` was written (relative stays relative).
    """
    jobs, problems, _ = judge_path(path, kinds, task_types, default_timezone=default_timezone)
    return jobs, problems


def judge_path(
    path: str | os.PathLike[str],
    kinds: ScheduleKinds,
    task_types: TaskTypes,
    *,
    default_timezone: str = "UTC",
    configured: Mapping[str, ConfigurationRecord] | None = None,
) -> tuple[tuple[Job, ...], tuple[Problem, ...], Mapping[str, ParsedFile]]:
    """`validate_path`, and every file that could be read, as it was parsed.

    Args:
        configured: configurations that jobs may use although no file here has them.
    """
    root = os.fspath(path)
    files, problems = _files(root)
    good: dict[str, ParsedFile] = {}
    for file in sorted(files):
        data = read_file(file)
        if data is None:
            continue
        if isinstance(data, Problem):
            problems.append(data)
            continue
        parsed = parse_bytes(data, file, kinds, task_types, default_timezone=default_timezone)
        problems.extend(parsed.problems)
        good[file] = parsed
    return (*_together(good, problems, task_types, configured, root), good)


def judge_text(
    data: bytes,
    file: str,
    kinds: ScheduleKinds,
    task_types: TaskTypes,
    *,
    default_timezone: str = "UTC",
    configured: Mapping[str, ConfigurationRecord] | None = None,
    known: Collection[str] = (),
) -> tuple[tuple[Job, ...], tuple[Problem, ...], ParsedFile]:
    """The same for the bytes of one file, which need not exist; `file` names the format by its extension.

    Args:
        known: jobs that dependencies may name although they are not in it.
    """
    parsed = parse_bytes(data, file, kinds, task_types, default_timezone=default_timezone)
    problems = list(parsed.problems)
    return (*_together({file: parsed}, problems, task_types, configured, None, known), parsed)


def _together(
    good: Mapping[str, ParsedFile],
    problems: list[Problem],
    task_types: TaskTypes,
    configured: Mapping[str, ConfigurationRecord] | None,
    root: str | None,
    known: Collection[str] = (),
) -> tuple[tuple[Job, ...], tuple[Problem, ...]]:
    """The jobs that fit together, and all problems, those of the single files included."""
    bad = {name for parsed in good.values() for name in parsed.skipped if name is not None}
    own = {name for parsed in good.values() for name in parsed.configurations}
    others = {name: replace(r, source=_ELSEWHERE) for name, r in (configured or {}).items() if name not in own}
    plan = plan_files({}, good, root=root, known={*bad, *known}, configured=others, task_types=task_types)
    for items in plan.problems.values():
        problems.extend(items)
    for items in plan.warnings.values():
        problems.extend(items)
    jobs = tuple(job for job, _ in plan.upserts)
    return jobs, tuple(sorted(dict.fromkeys(problems), key=_place))


def _files(root: str) -> tuple[list[str], list[Problem]]:
    if os.path.isdir(root):
        snapshot = look(root)
        return list(snapshot.files), [*snapshot.blocked.values(), *([snapshot.fault] if snapshot.fault else [])]
    if not os.path.lexists(root):
        return [], [Problem("file_missing", f"{root} does not exist", "", "check the path", root)]
    return ([root], []) if is_whole(root) else ([], [misnamed(root)])


def _place(problem: Problem) -> tuple[str, int, int]:
    """In the order of the files; how many more there are comes behind what it counts on from."""
    last = sys.maxsize if problem.code == "too_many_problems" else 0
    return (problem.file or "", problem.line or last, problem.column or 0)
