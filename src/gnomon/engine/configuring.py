"""Which version of a configuration a run uses, and the arguments that come of it."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.configurations import configured_arguments, not_there
from gnomon.core.model import Job
from gnomon.core.ports import Reader
from gnomon.core.records import RunRecord
from gnomon.core.tasks import TaskType
from gnomon.core.values import JsonObject


def pinned(reader: Reader, run: RunRecord, job: Job | None) -> RunRecord:
    """The run with the version of its configuration: the current one at its first claim, the same from then on."""
    if job is None or job.task.use is None or run.configuration is not None:
        return run
    found = reader.configuration(job.task.use)
    return run if found is None else replace(run, configuration=(found.name, found.version))


def task_arguments(reader: Reader, run: RunRecord, job: Job, kind: TaskType) -> JsonObject:
    """The arguments of the job's task, with those of its configuration below them; references not filled yet.

    Raises:
        UsageError: the configuration is not there, or does not fit the task.
    """
    if job.task.use is None:
        return job.task.arguments
    found = None if run.configuration is None else reader.configuration_version(*run.configuration)
    if found is None:
        raise not_there(job.task.use, reader.configuration_names())
    return configured_arguments(job.task, found.type, found.arguments, kind)
