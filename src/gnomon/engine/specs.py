"""From a claimed run to what an executor gets: arguments with every `${…}` filled."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gnomon.core.attempts import AttemptSpec
from gnomon.core.fanout import index_of
from gnomon.core.flows import newest_of
from gnomon.core.model import Job
from gnomon.core.ports import Reader
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.states import State
from gnomon.core.substitution import references, substitute
from gnomon.core.tasks import TaskType, order_of, received_by
from gnomon.core.values import Json, rfc3339

from .configuring import task_arguments
from .settings import EngineSettings


def attempt_spec(
    reader: Reader, run: RunRecord, job: Job, kind: TaskType, attempt: AttemptRecord, settings: EngineSettings
) -> AttemptSpec:
    """Describe `attempt` to the executor of its task type.

    Raises:
        UsageError: a reference names nothing, or the filled arguments are not valid.
    """
    given = task_arguments(reader, run, job, kind)
    values = run_values(reader, run, job, dict(given)) | {"attempt": attempt.number}
    arguments = substitute(dict(given), values, key="task", received=received_by(kind, "task"))
    assert isinstance(arguments, dict)
    return AttemptSpec(
        run_id=run.id,
        number=attempt.number,
        token=attempt.token,
        job_id=run.job_id,
        task_type=kind.name,
        arguments=order_of(kind, arguments),
        environment={
            "GNOMON_RUN_ID": run.id,
            "GNOMON_JOB_ID": run.job_id,
            "GNOMON_ATTEMPT": str(attempt.number),
            "GNOMON_FENCE": str(attempt.token),
            "GNOMON_FIRE_TIME": rfc3339(fire_of(reader, run)) or "",
        }
        | ({} if job.timeout_s is None else {"GNOMON_TIMEOUT": str(job.timeout_s)}),
        timeout_s=job.timeout_s,
        kill_grace_s=job.kill_grace_s,
        log_limit=settings.log_limit,
    )


def run_values(reader: Reader, run: RunRecord, job: Job, text: Json) -> dict[str, Json]:
    """What `${…}` means in a run. `text`: what will be filled; results of others are read only if it asks for them."""
    fire = fire_of(reader, run)
    names = references(text)
    values: dict[str, Json] = {p.name: p.default for p in job.parameters}
    values |= dict(run.parameters)
    values |= {
        "fire_time": rfc3339(fire),
        "fire_date": _date(fire, run, job),
        "run_id": run.id,
        "job_id": run.job_id,
    }
    if run.parent_id is not None:
        values |= {"item": run.item, "index": index_of(run)}
    if any(name.startswith("runs.") for name in names):
        values["runs"] = _upstream_results(reader, run)
    return values


def fire_of(reader: Reader, run: RunRecord) -> datetime:
    """The fire time that its flow began with; without one, when it was due."""
    if run.fire_at is not None or run.id == run.flow_id:
        return run.fire_at or run.due_at
    root = reader.run(run.flow_id)
    return run.due_at if root is None or root.fire_at is None else root.fire_at


def _date(fire: datetime, run: RunRecord, job: Job) -> str:
    """The calendar day of the fire, in the zone of its schedule."""
    name = next((s.timezone for s in job.schedules), None) or job.timezone or "UTC"
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    return fire.astimezone(UTC).astimezone(zone).date().isoformat()


def _upstream_results(reader: Reader, run: RunRecord) -> Json:
    """`runs.JOB.result`, `.state`, `.exit_code` of the newest run of each job in the flow."""
    found: dict[str, Json] = {}
    for job_id, member in newest_of(reader.flow(run.flow_id)).items():
        if member.state is not State.WAITING:
            found[job_id] = {
                "result": member.result,
                "state": str(member.state),
                "exit_code": member.exit_code,
                "run_id": member.id,
            }
    return found
