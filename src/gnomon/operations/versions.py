"""Definitions of jobs as they were."""

from __future__ import annotations

from gnomon.core.errors import NotFound, Problem, usage
from gnomon.core.model import Job
from gnomon.core.ports import Reader
from gnomon.core.records import JobRecord, Page
from gnomon.core.values import JsonObject
from gnomon.jobfiles.writing import job_to_mapping

from .context import Desk
from .lookup import find_job

_AT_ONCE = 500
"""How many versions are asked for at once: most are not kept."""


def list_definitions(desk: Desk, job_id: str, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """The definitions of a job that are kept (the present one, and those that runs refer to), newest first.

    Raises:
        NotFound: there is no such job. UsageError: `bad_cursor`.
    """

    def work(reader: Reader) -> Page[JsonObject]:
        record = find_job(reader, job_id)
        top = record.version if cursor is None else min(_number(cursor) - 1, record.version)
        found: list[JsonObject] = []
        while top > 0:
            bottom = max(0, top - _AT_ONCE)
            kept = reader.definitions([(record.job_id, version) for version in range(bottom + 1, top + 1)])
            for _, version in sorted(kept, reverse=True):
                if len(found) == limit:
                    return Page(tuple(found), str(found[-1]["version"]))
                found.append(_view(desk, record, version, kept[record.job_id, version]))
            top = bottom
        return Page(tuple(found))

    return desk.store.read(work)


def show_definition(desk: Desk, job_id: str, version: int) -> JsonObject:
    """One definition.

    Raises:
        NotFound: no such job, or that version is not kept.
    """

    def work(reader: Reader) -> JsonObject:
        record = find_job(reader, job_id)
        job = reader.definition(record.job_id, version)
        if job is None:
            text = f"version {version} of job {job_id!r} is not kept"
            hint = f"it is at version {record.version}; older ones are kept as long as a run refers to them"
            raise NotFound(Problem("definition_not_found", text, "version", hint))
        return _view(desk, record, version, job)

    return desk.store.read(work)


def _view(desk: Desk, record: JobRecord, version: int, job: Job) -> JsonObject:
    return {
        "job_id": record.job_id,
        "version": version,
        "current": version == record.version,
        "definition": job_to_mapping(job, desk.kinds),
    }


def _number(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 12:
        raise usage("bad_cursor", f"{cursor[:80]!r} is no cursor of this list", key="cursor", hint="begin without one")
    return int(cursor)
