"""The rooms job files are read with, and short ways to read them."""

from __future__ import annotations

from collections.abc import Mapping

from gnomon.core.errors import Problem, UsageError
from gnomon.core.model import Job
from gnomon.core.tasks import TaskTypeRegistry
from gnomon.core.values import Json
from gnomon.jobfiles.parsing import ParsedFile, parse_bytes
from gnomon.schedules import Kinds
from gnomon.tasks import BUILTIN


class PlainType:
    """A task type that takes anything but what it is told to refuse."""

    executor = "commands"

    def __init__(self, name: str, aliases: tuple[str, ...] = (), required: str = "") -> None:
        self.name, self.aliases, self.required = name, aliases, required

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        if self.required and self.required not in arguments:
            raise UsageError(Problem("missing_key", f"{self.name} needs {self.required}", self.required))
        if arguments.get("bad"):
            raise UsageError(Problem("bad_value", "this is bad", "bad.deep[1]", "make it good"))
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Json]) -> str:
        return self.name


TASKS = TaskTypeRegistry((*BUILTIN, PlainType("plain")))
KINDS = Kinds()


def parsed(text: str | bytes, file: str = "jobs.yaml") -> ParsedFile:
    data = text.encode() if isinstance(text, str) else text
    return parse_bytes(data, file, KINDS, TASKS)


def jobs(text: str | bytes, file: str = "jobs.yaml") -> dict[str, Job]:
    """The jobs of a file that has no problems."""
    found = parsed(text, file)
    assert found.problems == ()
    return {job.job_id: job for job in found.jobs}


def job(keys: str) -> Job:
    """The one job with these further keys (YAML lines)."""
    task = (
        ""
        if "task:" in keys or "task_type" in keys or "function" in keys
        else "task: {type: command, command: [date]}\n"
    )
    return next(iter(jobs(f"job_id: a\n{task}{keys}").values()))


def problems(text: str | bytes, file: str = "jobs.yaml") -> list[Problem]:
    return list(parsed(text, file).problems)


def only(text: str | bytes, file: str = "jobs.yaml") -> Problem:
    """The one problem of a file."""
    found = problems(text, file)
    assert len(found) == 1, found
    return found[0]
