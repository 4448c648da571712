"""The JSON objects of jobs, schedules, runs and skips: the same from the CLI, Python and REST.

Times are RFC 3339 UTC with `Z`, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gnomon.core.errors import Problem
from gnomon.core.fanout import index_of
from gnomon.core.planning import stands_still
from gnomon.core.records import AttemptRecord, JobRecord, NodeRecord, RunRecord, ScheduleRecord, SkipRecord
from gnomon.core.rules import Fire, ScheduleKinds
from gnomon.core.states import State
from gnomon.core.values import JsonObject, rfc3339
from gnomon.engine.context import Rules
from gnomon.jobfiles.writing import job_to_mapping


def job_view(record: JobRecord, entries: Sequence[ScheduleRecord], kinds: ScheduleKinds) -> JsonObject:
    """A job: `job_id, description, enabled, paused, task, schedules, depends_on, source, definition_version, labels`
    and the whole definition under `definition`, with the keys of a job file."""
    job = record.job
    return {
        "job_id": job.job_id,
        "description": job.description,
        "enabled": job.enabled,
        "paused": record.paused_at is not None,
        "paused_at": rfc3339(record.paused_at),
        "paused_by": record.paused_by,
        "pause_reason": record.pause_reason,
        "retired_at": rfc3339(record.retired_at),
        "failure_streak": record.failure_streak,
        "task": {"type": job.task.type, **({"use": job.task.use} if job.task.use else {}), **dict(job.task.arguments)},
        "schedules": [schedule_view(e, kinds) for e in entries],
        "depends_on": [{"job": d.job, "when": str(d.when)} for d in job.depends_on],
        "source": {"kind": str(record.source.kind), "path": record.source.path},
        "definition_version": record.version,
        "definition": job_to_mapping(job, kinds),
        "labels": dict(job.labels),
        "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at),
    }


def schedule_view(entry: ScheduleRecord, kinds: ScheduleKinds) -> JsonObject:
    """A schedule entry: `id, job_id, rule, kind, timezone, enabled, paused, next_fire_at, fault` (it stands still)."""
    return {
        "id": entry.schedule_id,
        "job_id": entry.job_id,
        "rule": kinds.describe(entry.spec),
        **dict(kinds.dump(entry.spec)),
        "kind": entry.spec.kind,
        "timezone": entry.spec.timezone,
        "enabled": entry.spec.enabled,
        "paused": entry.paused_at is not None,
        "paused_by": entry.paused_by,
        "anchor": rfc3339(entry.anchor),
        "next_fire_at": rfc3339(entry.cursor) if entry.due_at is not None else None,
        "next_start_at": rfc3339(entry.due_at),
        "fault": Rules(kinds).fault(entry) if stands_still(entry) else None,
    }


def run_view(run: RunRecord, attempts: Sequence[AttemptRecord], items: Mapping[State, int] | None = None) -> JsonObject:
    """A run with its attempts. `items`: of a `for_each` run, how many of its items are in which state."""
    return {
        "id": run.id,
        "job_id": run.job_id,
        "state": str(run.state),
        "cause": str(run.cause),
        "schedule_id": run.schedule_id,
        "flow_id": run.flow_id,
        "fire_at": rfc3339(run.fire_at),
        "due_at": rfc3339(run.due_at),
        "queued_at": rfc3339(run.queued_at),
        "started_at": rfc3339(run.started_at),
        "finished_at": rfc3339(run.finished_at),
        "lateness_s": run.lateness_s,
        "duration_s": run.duration_s,
        "exit_code": run.exit_code,
        "result": run.result,
        "error": None if run.error is None else {"code": run.error.code, "message": run.error.message},
        "reason": run.reason,
        "waiting_for": run.waiting_for,
        "note": run.note,
        "parameters": dict(run.parameters),
        "actor": run.actor,
        "retry_of": run.retry_of,
        "parent_id": run.parent_id,
        "item": run.item,
        "index": None if run.parent_id is None else index_of(run),
        "items": None if items is None else {str(state): count for state, count in sorted(items.items())},
        "labels": dict(run.labels),
        "priority": run.priority,
        "definition_version": run.version,
        "configuration": _configuration(run),
        "next_attempt_at": rfc3339(run.available_at),
        "cancel_requested_at": rfc3339(run.cancel_requested_at),
        "cancel_actor": run.cancel_actor,
        "attempts": [attempt_view(a) for a in attempts],
    }


def attempt_view(attempt: AttemptRecord) -> JsonObject:
    """One attempt; `outcome` null while it is live."""
    error = attempt.error
    return {
        "number": attempt.number,
        "outcome": None if attempt.outcome is None else str(attempt.outcome),
        "error": None if error is None else {"code": error.code, "message": error.message},
        "claimed_at": rfc3339(attempt.claimed_at),
        "started_at": rfc3339(attempt.started_at),
        "finished_at": rfc3339(attempt.finished_at),
        "duration_s": attempt.duration_s,
        "exit_code": attempt.exit_code,
        "node": attempt.node_id,
        "worker": None if attempt.handle is None else attempt.handle.worker,
        "log_bytes": attempt.log_bytes,
    }


def skip_view(skip: SkipRecord) -> JsonObject:
    """Fire times that made no run."""
    return {
        "schedule_id": skip.schedule_id,
        "job_id": skip.job_id,
        "first_at": rfc3339(skip.first_at),
        "last_at": rfc3339(skip.last_at),
        "count": skip.count,
        "reason": str(skip.reason),
        "detail": skip.detail,
        "decided_at": rfc3339(skip.decided_at),
    }


def node_view(node: NodeRecord) -> JsonObject:
    """A scheduler process."""
    return {
        "id": node.node_id,
        "host": node.host,
        "pid": node.pid,
        "started_at": rfc3339(node.started_at),
        "lease_until": rfc3339(node.lease_until),
        "stopped_at": rfc3339(node.stopped_at),
        "concurrency": node.concurrency,
        "version": node.version,
    }


def fire_view(fire: Fire) -> JsonObject:
    """One fire time: the instant, the same in the schedule's zone, and what is unusual about it."""
    note = fire.note if fire.excluded is None else f"excluded: {fire.excluded}"
    return {"at": rfc3339(fire.at), "local": fire.local.isoformat(), "note": note}


def problem_view(problem: Problem) -> JsonObject:
    """One thing that is wrong with an input."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    }


def _configuration(run: RunRecord) -> JsonObject | None:
    return None if run.configuration is None else {"name": run.configuration[0], "version": run.configuration[1]}
