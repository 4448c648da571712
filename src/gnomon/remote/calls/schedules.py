"""Schedule entries, and what a schedule means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gnomon.remote.answers import Deletion, Fires, Schedule, Skip

from .call import Call, Listed, When, Words, edit, get, listed, post, words

_ONE = "/schedules/{schedule_id}"


def list_schedules(
    *, job: Words = (), paused: bool | None = None, q: str | None = None, limit: int = 50
) -> Listed[Schedule]:
    """Schedule entries by id."""
    return listed("list_schedules", "/schedules", job=words(job), paused=paused, q=q, limit=limit)


def create_schedule(job_id: str, schedule: Any) -> Call[Schedule]:
    """Give a job one more entry: anything a `schedule:` of a job file takes."""
    path = "/jobs/{job_id}/schedules"
    return post("create_schedule", path, {"job_id": job_id}, {"schedule": schedule}, keyed=True)


def get_schedule(schedule_id: str) -> Call[Schedule]:
    """One entry; a job's id means its only one."""
    return get("get_schedule", _ONE, {"schedule_id": schedule_id})


def put_schedule(schedule_id: str, schedule: Any, *, if_match: Schedule | str | None = None) -> Call[Schedule]:
    """Give an entry another rule."""
    return edit("put_schedule", "PUT", _ONE, {"schedule_id": schedule_id}, {"schedule": schedule}, if_match)


def delete_schedule(schedule_id: str, *, if_match: Schedule | str | None = None) -> Call[None]:
    """Delete an entry that no file owns; its job stays."""
    return edit("delete_schedule", "DELETE", _ONE, {"schedule_id": schedule_id}, None, if_match)


def pause_schedule(schedule_id: str) -> Call[Schedule]:
    """No more fires of it until resumed."""
    return post("pause_schedule", _ONE + "/pause", {"schedule_id": schedule_id}, repeatable=True)


def resume_schedule(schedule_id: str) -> Call[Schedule]:
    """Fire again, from now on."""
    return post("resume_schedule", _ONE + "/resume", {"schedule_id": schedule_id}, repeatable=True)


def reset_schedule(schedule_id: str) -> Call[Schedule]:
    """After the clock was set wrongly: the next fire is the first from now on."""
    return post("reset_schedule", _ONE + "/reset", {"schedule_id": schedule_id}, repeatable=True)


def delete_schedules(
    *, ids: Sequence[str] = (), job: str | None = None, all: bool = False, dry_run: bool = False
) -> Call[Deletion]:
    """Delete entries that are named, those of a job, or all; says which stay, and why."""
    body = {"ids": list(ids) or None, "job": job, "all": all or None, "dry_run": dry_run or None}
    return post("delete_schedules", "/schedules/delete", body=body, repeatable=dry_run)


def get_schedule_next(schedule_id: str, *, after: When | None = None, count: int = 5) -> Call[Fires]:
    """When an entry fires next."""
    return get("get_schedule_next", _ONE + "/next", {"schedule_id": schedule_id}, after=after, count=count)


def preview_schedule(
    schedule: Any, *, timezone: str | None = None, after: When | None = None, count: int = 5
) -> Call[Fires]:
    """When a schedule that is saved nowhere would fire."""
    body = {"schedule": schedule, "timezone": timezone, "after": after, "count": count}
    return post("preview_schedule", "/next", body=body, repeatable=True)


def list_skips(
    *,
    schedule: str | None = None,
    reason: Words = (),
    since: When | None = None,
    until: When | None = None,
    q: str | None = None,
    limit: int = 50,
) -> Listed[Skip]:
    """Fire times that made no run, newest first."""
    said: dict[str, Any] = {"schedule": schedule, "reason": words(reason), "since": since, "until": until, "q": q}
    return listed("list_skips", "/skips", **said, limit=limit)
