"""The words of disputes between files: two want one job, or dependencies do not work out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.records import SourceKind

from .graph import Fault
from .parsing import ParsedFile
from .tree import shown

_SOURCES = {SourceKind.PYTHON.value: "Python code", SourceKind.REST.value: "the API"}


def conflict_problem(version: ParsedFile, path: str, job_id: str, owner: str) -> Problem:
    """That a job of the file at `path` is another's; `owner`: the path of the file, or the kind of the source."""
    line, column = version.places.get(job_id, (1, 1))
    if owner in _SOURCES:
        message, code = f"the job {shown(job_id)} belongs to {_SOURCES[owner]}", "job_owned_elsewhere"
        hint = "give this one another id, or delete that one first"
    else:
        message, code = f"the job {shown(job_id)} is in {owner} already, and here in {path}", "duplicate_job_id"
        hint = "take it out of one of the two files"
    return Problem(code, message, "job_id", hint, path, line, column)


def fault_problem(
    version: ParsedFile, path: str, fault: Fault, job_id: str, edges: Mapping[str, Iterable[str]]
) -> Problem:
    """What is wrong with the dependencies of a job of the file at `path`, where that dependency stands."""
    upstream = fault.upstream
    if job_id != fault.job:
        upstream = next((name for name in edges.get(job_id, ()) if name in set(fault.jobs)), upstream)
    line, column = version.upstream_places.get((job_id, upstream), version.places.get(job_id, (1, 1)))
    message = f"job {shown(job_id)}: {fault.message}"
    return Problem(fault.code, message, "depends_on", fault.hint, path, line, column)


def missing_faults(
    lost: Iterable[str], path: str, wanted: Mapping[str, tuple[Job, str]], downstream: Mapping[str, list[str]]
) -> list[Fault]:
    """The faults of jobs in other files that depend on jobs of a file that is not applied."""
    return [
        Fault("unknown_dependency", f"the job {shown(name)} is in {path}, which is not applied", "", job, name, (job,))
        for name in lost
        for job in downstream.get(name, ())
        if job in wanted and wanted[job][1] != path
    ]
