"""Configurations of a whole set of files: who owns which, and whether the jobs that use them are right. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gnomon.core.configurations import ConfigurationRecord, configured_arguments, not_there, type_of
from gnomon.core.errors import Problem, UsageError
from gnomon.core.model import Job
from gnomon.core.records import SourceKind
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import JsonObject

from .parsing import ParsedFile
from .tree import shown

Refusal = tuple[str, str, Problem]
"""Path of a file, id of a job in it ("" if it is not about one), and why the file does not count."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a configuration holds."""

    type: str | None
    arguments: JsonObject

    @classmethod
    def written(cls, entry: JsonObject) -> Content:
        """Of an entry of `configurations:`, where the type stands among the arguments."""
        kind = entry.get("type")
        return cls(None if kind is None else str(kind), {key: item for key, item in entry.items() if key != "type"})


def claim(
    files: Mapping[str, ParsedFile], stored: Mapping[str, ConfigurationRecord], keeping: Iterable[str]
) -> tuple[dict[str, tuple[Content, str]], list[Refusal]]:
    """Configuration → (content, path of its file), and who does not get one because another has it.

    Args:
        files: what counts so far, by path.
        keeping: paths of files that keep what they own although no version of them counts.
    """
    claims: dict[str, list[str]] = {}
    for path in sorted(files):
        for name in files[path].configurations:
            claims.setdefault(name, []).append(path)
    wanted: dict[str, tuple[Content, str]] = {}
    refused: list[Refusal] = []
    for name, paths in claims.items():
        owner = _owner(stored.get(name), paths, set(keeping))
        for path in paths:
            if path == (owner or paths[0]):
                wanted[name] = Content.written(files[path].configurations[name]), path
            else:
                refused.append((path, "", _conflict(files[path], path, name, owner or paths[0])))
    return wanted, refused


def _owner(record: ConfigurationRecord | None, claimants: list[str], keeping: set[str]) -> str | None:
    """The path (or the kind of another source) that holds it and does not give it up; None: it is free."""
    if record is None:
        return None
    path = record.source.path
    if record.source.kind is not SourceKind.FILE or path is None:
        return record.source.kind.value
    return path if path in claimants or path in keeping else None


def _conflict(version: ParsedFile, path: str, name: str, owner: str) -> Problem:
    line, column = version.configuration_places.get(name, (1, 1))
    key = f"configurations.{name}"
    if owner in list(SourceKind):
        said = "Python code" if owner == SourceKind.PYTHON.value else "the command line"
        hint = f"give this one another name, or `gnomon configurations delete {name}` first"
        message = f"the configuration {shown(name)} was saved by {said} already"
        return Problem("configuration_owned_elsewhere", message, key, hint, path, line, column)
    message = f"the configuration {shown(name)} is in {owner} already, and here in {path}"
    hint = "take it out of one of the two files"
    return Problem("duplicate_configuration", message, key, hint, path, line, column)


def settled(job: Job, find: Callable[[str], Content | None], names: Iterable[str], types: TaskTypes) -> Job:
    """The job with the type of its task, if that comes from a configuration.

    Raises:
        UsageError: there is no such configuration, the types differ, or the arguments together are not valid.
    """
    task = job.task
    if task.use is None:
        return job
    content = find(task.use)
    if content is None:
        raise not_there(task.use, list(names))
    name = type_of(task, content.type)
    kind = types.resolve(name)
    if kind is not None:
        configured_arguments(task, content.type, content.arguments, kind)
    return job if task.type else replace(job, task=replace(task, type=name))


def problems_of(error: UsageError, version: ParsedFile, path: str, job_id: str) -> list[Problem]:
    """What is wrong with the task of a job in a file, where the job stands."""
    line, column = version.places.get(job_id, (1, 1))
    return [
        replace(p, message=f"job {job_id!r}: {p.message}", key=f"task.{p.key}", file=path, line=line, column=column)
        for p in error.problems
    ]
