"""What a server answers: the objects of `--json`, as types. Made from the OpenAPI document.

`python -m tests.support.answers` makes it anew. A server that is newer than this client may send more keys.
"""

from __future__ import annotations

from typing import Any, TypedDict


class About(TypedDict):
    """Version, database, zone, and the settings that are no secrets."""

    version: str
    database: str
    timezone: str
    schedule_kinds: list[str]
    task_types: list[str]
    pools: dict[str, int]
    channels: list[str]
    settings: dict[str, Any]


class Attempt(TypedDict):
    """One try of a run. `outcome` is null while it goes on."""

    number: int
    outcome: str | None
    error: RunError | None
    claimed_at: str
    started_at: str | None
    finished_at: str | None
    duration_s: float | None
    exit_code: int | None
    node: str
    worker: str | None
    log_bytes: int


class AuditEntry(TypedDict):
    """A change: who, when, from where, what, and how it was before and after."""

    id: int
    at: str
    actor: str
    address: str | None
    action: str
    object: str
    before: Any
    after: Any


class Backfill(TypedDict):
    """What a backfill made. `there`: fire times left out because they have a run."""

    job_id: str
    fires: list[BackfillFire]
    there: int
    dry_run: bool


class BackfillFire(TypedDict):
    """A fire time and the run it has, or null in a dry run."""

    at: str
    local: str
    schedule_id: str
    run_id: str | None


class Changed(TypedDict):
    """What is changed (of a dry run: would be), and what stays."""

    dry_run: bool
    changed: list[str]
    kept: list[Kept]


class Configuration(TypedDict):
    """Named arguments of tasks. `used_by`: ids of the jobs whose task builds on it."""

    name: str
    version: int
    type: str | None
    arguments: dict[str, Any]
    source: JobSource
    used_by: list[str]
    created_at: str
    updated_at: str


class ConfigurationVersion(TypedDict):
    """A configuration as it was."""

    name: str
    version: int
    type: str | None
    arguments: dict[str, Any]
    at: str
    actor: str


class Confirmed(TypedDict):
    """It is noted."""

    confirmed: bool


class Deleted(TypedDict):
    """What was (or would be) deleted, and what stays."""

    deleted: list[str]
    kept: list[Kept]
    dry_run: bool


class Deletion(TypedDict):
    """What is deleted (of a dry run: would be), and what is kept. `runs`: gone with their jobs."""

    dry_run: bool
    deleted: list[str]
    kept: list[Kept]
    runs: int


class Document(TypedDict):
    """What can be asked, and what is answered."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


class Fault(TypedDict):
    """One thing that is wrong: what, where, and what to do about it."""

    code: str
    message: str
    key: str
    hint: str
    file: str | None
    line: int | None
    column: int | None


class Fire(TypedDict):
    """One fire time, also in the zone of its schedule. `note`: what is unusual about it."""

    at: str
    local: str
    note: str | None


class Fires(TypedDict):
    """Fires that come next. `removed`: what exclusions take out of them. `why`: in words, why there are none."""

    fires: list[Fire]
    removed: list[Fire]
    description: str
    why: str | None


class Flow(TypedDict):
    """The runs of one pipeline firing."""

    id: str
    state: str
    due_at: str
    started_at: str | None
    finished_at: str | None
    counts: dict[str, int]


class FlowDetail(TypedDict):
    """A flow with its runs, in the order of their dependencies."""

    id: str
    state: str
    due_at: str
    started_at: str | None
    finished_at: str | None
    counts: dict[str, int]
    runs: list[Run]


class Gate(TypedDict):
    """One question that the scheduler asked, and what the answer was."""

    name: str
    passed: bool | None
    evidence: str
    at: str | None


class Incident(TypedDict):
    """Something that went wrong with a job, from its first sign to its recovery."""

    id: str
    job_id: str
    kind: str
    open: bool
    opened_at: str
    last_at: str
    count: int
    text: str
    run_id: str | None
    closed_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None


class Job(TypedDict):
    """A job: what it does, when, and under which policies."""

    job_id: str
    description: str
    enabled: bool
    paused: bool
    paused_at: str | None
    paused_by: str | None
    pause_reason: str | None
    retired_at: str | None
    failure_streak: int
    task: dict[str, Any]
    schedules: list[Schedule]
    depends_on: list[Upstream]
    source: JobSource
    definition_version: int
    definition: dict[str, Any]
    labels: dict[str, str]
    created_at: str
    updated_at: str


class JobDefinition(TypedDict):
    """What a job was in a version, with the keys of a job file."""

    job_id: str
    version: int
    current: bool
    definition: dict[str, Any]


class JobFile(TypedDict):
    """A job file as the scheduler last saw it, and what is wrong with it."""

    path: str
    ok: bool
    seen_at: str
    problems: list[Fault]


class JobSource(TypedDict):
    """Who owns a job: a file (then only the file changes it), Python code, or REST and the dashboard."""

    kind: str
    path: str | None


class Kept(TypedDict):
    """Something that stays, and why."""

    id: str
    reason: str


class NewToken(TypedDict):
    """A new token; `token` is the text itself, shown this once."""

    id: str
    name: str
    user: str | None
    role: str
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    token: str


class Node(TypedDict):
    """A scheduler process."""

    id: str
    host: str
    pid: int
    started_at: str
    lease_until: str
    stopped_at: str | None
    concurrency: int
    version: str
    leader: bool


class Run(TypedDict):
    """One occurrence of a job, with its attempts."""

    id: str
    job_id: str
    state: str
    cause: str
    schedule_id: str | None
    flow_id: str
    fire_at: str | None
    due_at: str
    queued_at: str | None
    started_at: str | None
    finished_at: str | None
    lateness_s: float | None
    duration_s: float | None
    exit_code: int | None
    result: Any
    error: RunError | None
    reason: str | None
    waiting_for: str | None
    note: str | None
    parameters: dict[str, Any]
    actor: str
    retry_of: str | None
    parent_id: str | None
    item: Any
    index: int | None
    items: dict[str, int] | None
    labels: dict[str, str]
    priority: int
    definition_version: int
    configuration: RunConfiguration | None
    next_attempt_at: str | None
    cancel_requested_at: str | None
    cancel_actor: str | None
    attempts: list[Attempt]


class RunConfiguration(TypedDict):
    """The configuration its task used."""

    name: str
    version: int


class RunError(TypedDict):
    """Why it did not succeed."""

    code: str
    message: str


class RunIncident(TypedDict):
    """An incident that a run began or belongs to, and who was told of it."""

    id: str
    job_id: str
    kind: str
    open: bool
    opened_at: str
    last_at: str
    count: int
    text: str
    run_id: str | None
    closed_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    told: list[Told]


class Schedule(TypedDict):
    """A schedule entry: when a job fires. The keys of its rule stand beside these."""

    id: str
    job_id: str
    rule: str
    kind: str
    timezone: str
    enabled: bool
    paused: bool
    paused_by: str | None
    anchor: str
    next_fire_at: str | None
    next_start_at: str | None
    fault: str | None


class Session(TypedDict):
    """Who is signed in."""

    name: str
    role: str
    user: str | None
    expires_at: str | None


class Skip(TypedDict):
    """Fire times that made no run: `count` of them from `first_at` to `last_at`."""

    schedule_id: str
    job_id: str
    first_at: str
    last_at: str
    count: int
    reason: str
    detail: str
    decided_at: str


class TaskType(TypedDict):
    """A kind of task."""

    name: str
    aliases: list[str]
    executor: str
    description: str


class Token(TypedDict):
    """A token, without its secret."""

    id: str
    name: str
    user: str | None
    role: str
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class Told(TypedDict):
    """The newest message to a channel that says so; `error`: why it did not arrive."""

    channel: str
    state: str
    error: str | None
    delivered_at: str | None


class Upstream(TypedDict):
    """A job that this one waits for."""

    job: str
    when: str


class User(TypedDict):
    """A person, who has tokens."""

    name: str
    role: str
    disabled: bool
    disabled_at: str | None
    tokens: list[str]
    created_at: str
    created_by: str


class Validation(TypedDict):
    """What is wrong with it, each with line and column. `jobs`: ids of those that are right."""

    ok: bool
    jobs: list[str]
    errors: list[Fault]
    warnings: list[Fault]


class Why(TypedDict):
    """A verdict, and the gates in the order in which the scheduler asked."""

    verdict: str
    outcome: str
    run_id: str | None
    gates: list[Gate]
