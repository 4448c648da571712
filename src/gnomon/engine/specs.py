"""From a claimed run to what an executor gets: arguments with every `${…}` filled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast
from zoneinfo import ZoneInfo

from gnomon.core.attempts import AttemptSpec
from gnomon.core.errors import UsageError, usage
from gnomon.core.fanout import index_of
from gnomon.core.identity import schedule_ids
from gnomon.core.lifecycle import why_no_result
from gnomon.core.model import Job
from gnomon.core.ports import Reader
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.states import State
from gnomon.core.substitution import Absent, Received, references, substitute
from gnomon.core.tasks import TaskType, order_of, received_by
from gnomon.core.tracing import traceparent
from gnomon.core.values import Json, rfc3339

from .configuring import task_arguments
from .context import Context
from .upstreams import upstreams


def attempt_spec(
    context: Context, reader: Reader, run: RunRecord, job: Job, kind: TaskType, attempt: AttemptRecord
) -> AttemptSpec:
    """Describe `attempt` to the executor of its task type.

    Raises:
        UsageError: a reference names nothing, a required parameter has no value, or the filled arguments are not
            valid.
    """
    given = task_arguments(reader, run, job, kind)
    values = run_values(context, reader, run, job, dict(given)) | {"attempt": attempt.number}
    arguments = filled(dict(given), values, "task", received_by(kind, "task"))
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
        | ({} if job.timeout_s is None else {"GNOMON_TIMEOUT": str(job.timeout_s)})
        | ({"TRACEPARENT": traceparent(run.flow_id, run.id, attempt.number)} if context.settings.traces else {}),
        timeout_s=job.timeout_s,
        kill_grace_s=job.kill_grace_s,
        log_limit=context.settings.log_limit,
    )


def filled(value: Json, values: Mapping[str, Json], key: str, received: Received | None = None) -> Json:
    """`substitute`, with a better hint where a result is asked of a job that has no run in the flow."""
    try:
        return substitute(value, values, key=key, received=received)
    except UsageError as error:
        problem, known = error.problems[0], values.get("runs")
        name = problem.message.partition("${runs.")[2].partition("}")[0]
        if not name or (isinstance(known, Mapping) and any(f"{name}.".startswith(f"{job}.") for job in known)):
            raise
        hint = "no run of that job has begun in this flow: start the flow at its root"
        raise usage(problem.code, problem.message, key=problem.key, hint=hint) from None


def run_values(context: Context, reader: Reader, run: RunRecord, job: Job, text: Json) -> dict[str, Json]:
    """What `${…}` means in a run. `text`: what will be filled; results of others are read only if it asks for them.

    Raises:
        UsageError: `parameter_missing`, a required parameter that neither its schedule nor anybody gave a value.
    """
    fire = fire_of(reader, run)
    names = references(text)
    for parameter in job.parameters:
        if parameter.required and parameter.default is None and parameter.name not in run.parameters:
            hint = f"give it under `parameters` of the schedule, or with -p {parameter.name}=…"
            text_ = f"nobody gave a value for the required parameter {parameter.name!r}"
            raise usage("parameter_missing", text_, key=f"parameters.{parameter.name}", hint=hint)
    values: dict[str, Json] = {p.name: p.default for p in job.parameters}
    values |= dict(run.parameters)
    values |= {
        "fire_time": rfc3339(fire),
        "fire_date": _date(reader, fire, run, job),
        "run_id": run.id,
        "job_id": run.job_id,
    }
    if run.parent_id is not None:
        values |= {"item": run.item, "index": index_of(run)}
    if any(name.startswith("runs.") for name in names):
        values["runs"] = _upstream_results(context, reader, run, job)
    return values


def fire_of(reader: Reader, run: RunRecord) -> datetime:
    """The fire time that its flow began with; without one, when it was due."""
    if run.fire_at is not None or run.id == run.flow_id:
        return run.fire_at or run.due_at
    root = reader.run(run.flow_id)
    return run.due_at if root is None or root.fire_at is None else root.fire_at


def _date(reader: Reader, fire: datetime, run: RunRecord, job: Job) -> str:
    """The calendar day of the fire, in the zone of the schedule that fired; of a run by hand, of the job's."""
    begun = (None if run.id == run.flow_id or run.fire_at is not None else reader.run(run.flow_id)) or run
    began = job if begun.job_id == job.job_id else reader.definition(begun.job_id, begun.version) or job
    zones = {entry: spec.timezone for entry, spec in zip(schedule_ids(began), began.schedules, strict=True)}
    name = zones.get(begun.schedule_id or "") or next(iter(zones.values()), None)
    name = name or began.timezone or job.timezone or "UTC"
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    return fire.astimezone(UTC).astimezone(zone).date().isoformat()


def _upstream_results(context: Context, reader: Reader, run: RunRecord, job: Job) -> dict[str, Json]:
    """`runs.JOB.result`, `.state`, `.exit_code` of the run of each job that counts for this one."""
    found: dict[str, Json] = {}
    for job_id, member in upstreams(context, reader, run, job).items():
        if member.state is not State.WAITING:
            why = why_no_result(member)
            absent = f"run {member.id} of {job_id} succeeded, but its result was not kept: {why}"
            found[job_id] = {
                "result": cast(Json, Absent(absent)) if why else member.result,
                "state": str(member.state),
                "exit_code": member.exit_code,
                "run_id": member.id,
            }
    return found
