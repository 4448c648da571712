"""Jobs: list, make, change, pause, delete; when they fire, why they ran, what they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gnomon.remote.answers import Changed, Deletion, Fires, Job, JobDefinition, Skip, Why
from gnomon.remote.answers_summary import JobSummaries

from .call import Call, Listed, When, Words, edit, get, listed, post, words


def list_jobs(
    *,
    id: Words = (),
    type: Words = (),
    label: Words = (),
    due_from: When | None = None,
    due_until: When | None = None,
    paused: bool | None = None,
    retired: bool = False,
    q: str | None = None,
    limit: int = 50,
) -> Listed[Job]:
    """Jobs by id. `q`: the filter language."""
    return listed(
        "list_jobs",
        "/jobs",
        id=words(id),
        type=words(type),
        label=words(label),
        due_from=due_from,
        due_until=due_until,
        paused=paused,
        retired=retired or None,
        q=q,
        limit=limit,
    )


def create_job(definition: Mapping[str, Any]) -> Call[Job]:
    """Add a job, with the keys of a job file; one that exists is not changed."""
    return replace(post("create_job", "/jobs", keyed=True), body=dict(definition))


def get_job(job_id: str) -> Call[Job]:
    """One job."""
    return get("get_job", "/jobs/{job_id}", {"job_id": job_id})


def put_job(job_id: str, definition: Mapping[str, Any], *, if_match: Job | str | None = None) -> Call[Job]:
    """Make this the whole definition, or add the job. `if_match`: only if it is still as it was read."""
    return edit("put_job", "PUT", "/jobs/{job_id}", {"job_id": job_id}, dict(definition), if_match)


def delete_job(job_id: str, *, if_match: Job | str | None = None) -> Call[None]:
    """Delete a job that no file owns, with its history."""
    return edit("delete_job", "DELETE", "/jobs/{job_id}", {"job_id": job_id}, None, if_match)


def pause_job(job_id: str, reason: str | None = None) -> Call[Job]:
    """No more fires until resumed."""
    body = None if reason is None else {"reason": reason}
    return post("pause_job", "/jobs/{job_id}/pause", {"job_id": job_id}, body, repeatable=True)


def resume_job(job_id: str) -> Call[Job]:
    """Fire again, from now on."""
    return post("resume_job", "/jobs/{job_id}/resume", {"job_id": job_id}, repeatable=True)


def delete_jobs(
    *,
    ids: Sequence[str] = (),
    type: Words = (),
    label: Words = (),
    due_from: When | None = None,
    due_until: When | None = None,
    retired: bool | None = None,
    q: str | None = None,
    dry_run: bool = False,
) -> Call[Deletion]:
    """Delete jobs that are named, or all that match; says which stay, and why."""
    body = _selection(ids, type, label, due_from, due_until, retired, q, dry_run)
    return post("delete_jobs", "/jobs/delete", body=body, repeatable=dry_run)


def pause_jobs(
    *,
    ids: Sequence[str] = (),
    type: Words = (),
    label: Words = (),
    due_from: When | None = None,
    due_until: When | None = None,
    retired: bool | None = None,
    q: str | None = None,
    dry_run: bool = False,
    reason: str | None = None,
) -> Call[Changed]:
    """Pause jobs that are named, or all that match."""
    body = {**_selection(ids, type, label, due_from, due_until, retired, q, dry_run), "reason": reason}
    return post("pause_jobs", "/jobs/pause", body=body, repeatable=dry_run)


def resume_jobs(
    *,
    ids: Sequence[str] = (),
    type: Words = (),
    label: Words = (),
    due_from: When | None = None,
    due_until: When | None = None,
    retired: bool | None = None,
    q: str | None = None,
    dry_run: bool = False,
) -> Call[Changed]:
    """Resume jobs that are named, or all that match."""
    body = _selection(ids, type, label, due_from, due_until, retired, q, dry_run)
    return post("resume_jobs", "/jobs/resume", body=body, repeatable=dry_run)


def get_job_next(job_id: str, *, after: When | None = None, count: int = 5) -> Call[Fires]:
    """When a job fires next."""
    return get("get_job_next", "/jobs/{job_id}/next", {"job_id": job_id}, after=after, count=count)


def explain_job(job_id: str, at: When | None = None) -> Call[Why]:
    """Why a job ran, waits, or did not run; then, or the newest."""
    return get("explain_job", "/jobs/{job_id}/why", {"job_id": job_id}, at=at)


def list_job_skips(
    job_id: str,
    *,
    reason: Words = (),
    since: When | None = None,
    until: When | None = None,
    q: str | None = None,
    limit: int = 50,
) -> Listed[Skip]:
    """Fire times of a job that made no run, newest first."""
    said: dict[str, Any] = {"reason": words(reason), "since": since, "until": until, "q": q, "limit": limit}
    return listed("list_job_skips", "/jobs/{job_id}/skips", {"job_id": job_id}, **said)


def get_job_summaries(*, id: Words = (), bars: int = 30) -> Call[JobSummaries]:
    """The newest runs and usual durations of jobs."""
    return get("get_job_summaries", "/summary/jobs", id=words(id), bars=bars)


def list_definitions(job_id: str, *, limit: int = 50) -> Listed[JobDefinition]:
    """What a job is and was, newest first."""
    return listed("list_definitions", "/jobs/{job_id}/definitions", {"job_id": job_id}, limit=limit)


def get_definition(job_id: str, version: int) -> Call[JobDefinition]:
    """What a job was in a version."""
    return get("get_definition", "/jobs/{job_id}/definitions/{version}", {"job_id": job_id, "version": version})


def _selection(
    ids: Sequence[str],
    type_: Words,
    label: Words,
    due_from: When | None,
    due_until: When | None,
    retired: bool | None,
    q: str | None,
    dry_run: bool,
) -> dict[str, Any]:
    return {
        "ids": list(ids) or None,
        "type": words(type_) or None,
        "label": words(label) or None,
        "due_from": due_from,
        "due_until": due_until,
        "retired": retired,
        "q": q,
        "dry_run": dry_run or None,
    }
