"""Runs, their output, backfills and flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gnomon.remote.answers import Backfill, Deleted, Flow, FlowDetail, Run, RunIncident, Why
from gnomon.remote.answers_summary import Count, Summary

from .call import Answer, Call, Followed, Listed, When, Words, edit, get, listed, post, words

_ONE = "/runs/{run_id}"
_FLOW = "/flows/{run_id}"


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of the output of an attempt. `next`: the offset to go on from. `complete`: nothing more will come."""

    data: bytes
    next: int
    complete: bool

    @property
    def text(self) -> str:
        """As text; bytes that are no UTF-8 are replaced."""
        return self.data.decode("utf-8", "replace")


def list_runs(
    *,
    q: str | None = None,
    job: Words = (),
    state: Words = (),
    type: Words = (),
    label: Words = (),
    since: When | None = None,
    until: When | None = None,
    cause: Words = (),
    schedule: str | None = None,
    flow: str | None = None,
    parent: str | None = None,
    limit: int = 50,
) -> Listed[Run]:
    """Runs, newest due first. `q`: the filter language. `parent`: the items of that run."""
    return listed(
        "list_runs",
        "/runs",
        q=q,
        job=words(job),
        state=words(state),
        type=words(type),
        label=words(label),
        since=since,
        until=until,
        cause=words(cause),
        schedule=schedule,
        flow=flow,
        parent=parent,
        limit=limit,
    )


def start_run(job_id: str, parameters: Mapping[str, Any] | None = None) -> Call[Run]:
    """Run a job now, whatever its schedules say."""
    body = None if parameters is None else {"parameters": dict(parameters)}
    return post("start_run", "/jobs/{job_id}/runs", {"job_id": job_id}, body, keyed=True)


def backfill_job(
    job_id: str,
    since: When,
    until: When,
    *,
    schedule_id: str | None = None,
    concurrency: int = 1,
    again: bool = False,
    newest_first: bool = False,
    parameters: Mapping[str, Any] | None = None,
    dry_run: bool = False,
) -> Call[Backfill]:
    """A run for every fire time from `since` until before `until` that has none."""
    body = {
        "from": since,
        "until": until,
        "schedule_id": schedule_id,
        "concurrency": concurrency,
        "again": again,
        "newest_first": newest_first,
        "parameters": None if parameters is None else dict(parameters),
        "dry_run": dry_run,
    }
    path = "/jobs/{job_id}/backfill"
    return post("backfill_job", path, {"job_id": job_id}, body, keyed=not dry_run, repeatable=dry_run)


def get_run(run_id: str) -> Call[Run]:
    """One run with its attempts; a beginning of its id will do."""
    return get("get_run", _ONE, {"run_id": run_id})


def delete_run(run_id: str) -> Call[None]:
    """Delete a run that is over, with its output."""
    return edit("delete_run", "DELETE", _ONE, {"run_id": run_id})


def cancel_run(run_id: str) -> Call[Run]:
    """End a run, and everything it started."""
    return post("cancel_run", _ONE + "/cancel", {"run_id": run_id})


def retry_run(run_id: str) -> Call[Run]:
    """Run again what is over: a new run of the same flow."""
    return post("retry_run", _ONE + "/retry", {"run_id": run_id}, keyed=True)


def skip_run(run_id: str) -> Call[Run]:
    """Take a run that has not begun out of its flow."""
    return post("skip_run", _ONE + "/skip", {"run_id": run_id})


def delete_runs(*, ids: Sequence[str] | None = None, q: str | None = None, dry_run: bool = False) -> Call[Deleted]:
    """Delete runs that are named, or all that a filter matches (the empty one: all)."""
    body = {"ids": None if ids is None else list(ids), "q": q, "dry_run": dry_run}
    return post("delete_runs", "/runs/delete", body=body, repeatable=dry_run)


def explain_run(run_id: str) -> Call[Why]:
    """Why a run is as it is."""
    return get("explain_run", _ONE + "/why", {"run_id": run_id})


def list_run_incidents(run_id: str) -> Listed[RunIncident]:
    """What went wrong with a run, and who was told."""
    return listed("list_run_incidents", _ONE + "/incidents", {"run_id": run_id})


def get_run_log(
    run_id: str, *, attempt: int | None = None, offset: int = 0, limit: int = 1 << 20, download: bool = False
) -> Call[LogPart]:
    """A part of the output of an attempt (the newest), at most 1 MiB from `offset`."""
    said = {"attempt": attempt, "offset": offset, "limit": limit, "download": download or None}
    return replace(get("get_run_log", _ONE + "/log", {"run_id": run_id}, **said), read=_log_part)


def _log_part(answer: Answer) -> LogPart:
    following, complete = answer.headers["x-gnomon-next-offset"], answer.headers["x-gnomon-complete"]
    return LogPart(answer.content, int(following), complete == "true")


def follow_run_log(
    run_id: str, *, attempt: int | None = None, offset: int = 0, last_event_id: str | None = None
) -> Followed:
    """The output as it grows: `output` events (`offset`, `text`), `attempt` when the next one begins, `complete`."""
    call = get("follow_run_log", _ONE + "/log/events", {"run_id": run_id}, attempt=attempt, offset=offset)
    return Followed(_after(call, last_event_id), frozenset({"complete"}))


def follow_events(*, after: int | None = None, last_event_id: str | None = None) -> Followed:
    """What is changed, live: `change` for every commit (`runs`, `jobs`, …), `reset` when some were missed."""
    return Followed(_after(get("follow_events", "/events", after=after), last_event_id))


def _after(call: Call[None], last_event_id: str | None) -> Call[None]:
    return call if last_event_id is None else replace(call, headers={"Last-Event-ID": last_event_id})


def count_runs(q: str | None = None) -> Call[Count]:
    """How many runs match a filter, up to a bound."""
    return get("count_runs", "/summary/count", q=q)


def get_summary(*, since: When | None = None, until: When | None = None, buckets: int = 96) -> Call[Summary]:
    """How things went in a period (the last 16 hours), and stand now."""
    return get("get_summary", "/summary", since=since, until=until, buckets=buckets)


def list_flows(
    *,
    job: str | None = None,
    since: When | None = None,
    until: When | None = None,
    q: str | None = None,
    limit: int = 50,
) -> Listed[Flow]:
    """Flows of more than one run, newest first."""
    return listed("list_flows", "/flows", job=job, since=since, until=until, q=q, limit=limit)


def get_flow(run_id: str) -> Call[FlowDetail]:
    """A flow with its runs; the id of any of them will do."""
    return get("get_flow", _FLOW, {"run_id": run_id})


def cancel_flow(run_id: str) -> Call[FlowDetail]:
    """Cancel every run of a flow that is not over."""
    return post("cancel_flow", _FLOW + "/cancel", {"run_id": run_id})


def retry_flow(run_id: str) -> Call[FlowDetail]:
    """Rerun a flow from the failed jobs."""
    return post("retry_flow", _FLOW + "/retry", {"run_id": run_id}, keyed=True)
