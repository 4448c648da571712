"""The tables, and every index with the question it answers.

Instants are whole microseconds since 1970 UTC, JSON is text, enums are their text. A partial index holds only
rows that still matter, so the hot path costs the same with millions of finished runs beside it.
A change here needs a migration (`gnomon.stores.migrations`); a test compares the two.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text

from gnomon.core.fanout import PARENTS
from gnomon.core.states import ACTIVE, FINAL, State

metadata = sa.MetaData()

# SQLite numbers rows by itself only for a column of exactly the type INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")


def constant(value: str) -> sa.ColumnElement[str]:
    """A literal in the text of a statement: only so can a planner match it with a partial index."""
    return sa.literal_column("'" + value.replace("'", "''") + "'")


def among(column: sa.ColumnElement[str], states: frozenset[State]) -> sa.ColumnElement[bool]:
    """Whether the state is one of `states`, always in the same words (the planner compares texts)."""
    return column.in_([constant(state.value) for state in State if state in states])


def _instant(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, primary_key=primary_key)


def _maybe(name: str) -> Column[str]:
    return Column(name, Text, nullable=True)


def _flag(name: str) -> Column[int]:
    return Column(name, sa.SmallInteger, nullable=False)


def _partial(name: str, where: sa.ColumnElement[bool], *columns: sa.ColumnElement[object]) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


jobs = Table(
    "jobs",
    metadata,
    _text("job_id", primary_key=True),
    Column("version", Integer, nullable=False),
    _flag("enabled"),
    _flag("rated"),  # its definition has a rate limit: its attempts are indexed by claim time
    _text("task_type"),
    _maybe("labels"),
    _text("source_kind"),
    _maybe("source_path"),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("paused_at", nullable=True),
    _maybe("paused_by"),
    _maybe("pause_reason"),
    _instant("retired_at", nullable=True),
    Column("failure_streak", Integer, nullable=False),
    _maybe("configuration"),  # the name its task builds on
)
USING_JOB = jobs.c.configuration.is_not(None)
_partial("ix_jobs_configuration", USING_JOB, jobs.c.configuration, jobs.c.job_id)
_partial("ix_jobs_rated", jobs.c.rated == sa.literal_column("1"), jobs.c.job_id)

job_definitions = Table(
    "job_definitions",
    metadata,
    _text("job_id"),
    Column("version", Integer, nullable=False),
    _text("task_type"),
    _text("definition"),
    sa.PrimaryKeyConstraint("job_id", "version"),
)
Index("ix_job_definitions_type", job_definitions.c.task_type, job_definitions.c.job_id)

dependencies = Table(
    "dependencies",
    metadata,
    _text("upstream"),
    _text("job_id"),
    sa.PrimaryKeyConstraint("upstream", "job_id"),
)
Index("ix_dependencies_job", dependencies.c.job_id)

schedules = Table(
    "schedules",
    metadata,
    _text("schedule_id", primary_key=True),
    _text("job_id"),
    Column("position", Integer, nullable=False),
    _text("spec"),
    _instant("anchor"),
    _instant("cursor", nullable=True),
    _instant("due_at", nullable=True),
    Column("revision", Integer, nullable=False),
    _instant("paused_at", nullable=True),
    _maybe("paused_by"),
)
Index("ix_schedules_job", schedules.c.job_id, schedules.c.position)
_partial("ix_schedules_due", schedules.c.due_at.is_not(None), schedules.c.due_at)

runs = Table(
    "runs",
    metadata,
    _text("id", primary_key=True),
    _text("job_id"),
    Column("version", Integer, nullable=False),
    _text("state"),
    _text("cause"),
    _text("run_key"),
    _instant("due_at"),
    _instant("created_at"),
    _text("flow_id"),
    _text("actor"),
    _maybe("schedule_id"),
    _instant("fire_at", nullable=True),
    Column("rank", Integer, nullable=False),  # minus the priority: the queue in ascending order
    _text("queue"),
    _flag("exclusive"),
    _maybe("pools"),
    Column("max_active", Integer),
    _instant("available_at", nullable=True),
    _instant("deadline_at", nullable=True),
    _instant("queued_at", nullable=True),
    _instant("started_at", nullable=True),
    _instant("finished_at", nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("lost", Integer, nullable=False),
    _maybe("parameters"),
    _maybe("labels"),
    _maybe("retry_of"),
    _maybe("parent_id"),
    _maybe("item"),
    _maybe("waiting_for"),
    _maybe("reason"),
    _maybe("note"),
    Column("exit_code", Integer),
    _maybe("result"),
    _maybe("error_code"),
    _maybe("error_message"),
    Column("lateness_s", Float),
    Column("duration_s", Float),
    _instant("cancel_requested_at", nullable=True),
    _maybe("cancel_actor"),
    _maybe("cancel_reason"),
    _maybe("configuration"),
    Column("configuration_version", Integer),
    _maybe("error_signature"),  # of its error (core.signatures): what is grouped together
)

ACTIVE_RUN = among(runs.c.state, ACTIVE)
ARRIVING_RUN = sa.and_(
    among(runs.c.state, frozenset({State.SCHEDULED, State.RETRY_WAIT})), runs.c.available_at.is_not(None)
)
QUEUED_RUN = runs.c.state == constant(State.QUEUED.value)
EXPIRING_RUN = sa.and_(
    runs.c.deadline_at.is_not(None),
    runs.c.attempts == sa.literal_column("0"),
    among(runs.c.state, frozenset({State.SCHEDULED, State.WAITING, State.QUEUED})),
)
CANCELLING_RUN = sa.and_(runs.c.cancel_requested_at.is_not(None), ACTIVE_RUN)
POOLED_RUN = sa.and_(runs.c.pools.is_not(None), runs.c.state == constant(State.RUNNING.value))
TROUBLED = frozenset({State.FAILED, State.CANCELLED, State.SKIPPED})
TROUBLED_RUN = among(runs.c.state, TROUBLED)
ENDED_RUN = among(runs.c.state, FINAL)
USING_RUN = runs.c.configuration.is_not(None)
JOINED_RUN = sa.and_(  # a run that is a flow of its own needs no entry, and items are their parent's
    runs.c.flow_id != runs.c.id, runs.c.parent_id.is_(None)
)
ITEM_RUN = runs.c.parent_id.is_not(None)
# Runs that count otherwise than others of their job: parents, items, and those of a backfill.
ASIDE_RUN = sa.and_(
    ACTIVE_RUN, sa.or_(ITEM_RUN, runs.c.queue == constant(PARENTS), runs.c.cause == constant("backfill"))
)

Index("ux_runs_key", runs.c.run_key, unique=True)
# Lists leave items out: the index alone tells which they are.
Index("ix_runs_job", runs.c.job_id, runs.c.due_at, runs.c.id, runs.c.parent_id)
Index("ix_runs_due", runs.c.due_at, runs.c.id, runs.c.parent_id)
_partial("ix_runs_active", ACTIVE_RUN, runs.c.job_id, runs.c.due_at, runs.c.id, runs.c.state, runs.c.parent_id)
_partial("ix_runs_open", ACTIVE_RUN, runs.c.due_at, runs.c.id, runs.c.state, runs.c.parent_id)
_partial("ix_runs_queued", QUEUED_RUN, runs.c.queue, runs.c.rank, runs.c.due_at, runs.c.id)
_partial("ix_runs_arriving", ARRIVING_RUN, runs.c.available_at)
_partial("ix_runs_expiring", EXPIRING_RUN, runs.c.deadline_at)
_partial("ix_runs_cancelling", CANCELLING_RUN, runs.c.cancel_requested_at)
_partial("ix_runs_pooled", POOLED_RUN, runs.c.job_id)
_partial(
    "ix_runs_troubled",
    TROUBLED_RUN,
    runs.c.due_at,
    runs.c.id,
    runs.c.state,
    runs.c.parent_id,
    runs.c.job_id,
    runs.c.error_signature,
)
# Written once, at the end of a run: bars, durations and outcomes of a job without its rows.
_partial(
    "ix_runs_ended",
    ENDED_RUN,
    runs.c.job_id,
    runs.c.due_at,
    runs.c.id,
    runs.c.parent_id,
    runs.c.state,
    runs.c.duration_s,
    runs.c.lateness_s,
)
_partial("ix_runs_flow", JOINED_RUN, runs.c.flow_id, runs.c.job_id)
_partial("ix_runs_items", ITEM_RUN, runs.c.parent_id, runs.c.state)
_partial("ix_runs_aside", ASIDE_RUN, runs.c.job_id, runs.c.state, runs.c.cause, runs.c.queue, runs.c.parent_id)
_partial(
    "ix_runs_configuration",
    USING_RUN,
    runs.c.configuration,
    runs.c.configuration_version,
    runs.c.due_at,
    runs.c.id,
    runs.c.parent_id,
)

tallies = Table(  # how many runs that are over (no items) were due in each minute, hour and day
    "tallies",
    metadata,
    Column("span", Integer, nullable=False),  # seconds: 60, 3,600 or 86,400
    _instant("at"),  # where the span begins
    _text("state"),
    Column("count", Integer, nullable=False),
    sa.PrimaryKeyConstraint("span", "at", "state"),
)

attempts = Table(
    "attempts",
    metadata,
    _text("run_id"),
    Column("number", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    _text("node_id"),
    _instant("claimed_at"),
    _text("executor"),
    _instant("started_at", nullable=True),
    _instant("finished_at", nullable=True),
    _maybe("outcome"),
    _maybe("worker"),
    _maybe("process"),
    Column("exit_code", Integer),
    _maybe("error_code"),
    _maybe("error_message"),
    Column("duration_s", Float),
    Column("log_bytes", BigInteger, nullable=False),
    _maybe("rated_job"),  # the job's id, if it has a rate limit
    sa.PrimaryKeyConstraint("run_id", "number"),
)
LIVE_ATTEMPT = attempts.c.outcome.is_(None)
RATED_ATTEMPT = attempts.c.rated_job.is_not(None)
_partial("ix_attempts_live", LIVE_ATTEMPT, attempts.c.node_id)
_partial("ix_attempts_rated", RATED_ATTEMPT, attempts.c.rated_job, attempts.c.claimed_at)

skips = Table(
    "skips",
    metadata,
    Column("id", _Serial, primary_key=True),
    _text("schedule_id"),
    _text("job_id"),
    _instant("first_at"),
    _instant("last_at"),
    Column("count", Integer, nullable=False),
    _text("reason"),
    _text("detail"),
    _instant("decided_at"),
)
Index("ux_skips_first", skips.c.schedule_id, skips.c.first_at, unique=True)
Index("ix_skips_job", skips.c.job_id, skips.c.last_at)
Index("ix_skips_last", skips.c.last_at)

nodes = Table(
    "nodes",
    metadata,
    _text("node_id", primary_key=True),
    _text("host"),
    Column("pid", Integer, nullable=False),
    _text("boot_id"),
    _maybe("lock_path"),
    _instant("started_at"),
    _instant("lease_until"),
    Column("concurrency", Integer, nullable=False),
    _text("version"),
    _instant("stopped_at", nullable=True),
)

leader = Table(
    "leader",
    metadata,
    Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),  # always 1
    _text("node_id"),
    Column("epoch", BigInteger, nullable=False),
    _instant("lease_until"),
)

job_files = Table(
    "job_files",
    metadata,
    _text("path", primary_key=True),
    _text("digest"),
    _flag("ok"),
    _instant("seen_at"),
    _maybe("problems"),
)

pools = Table(
    "pools",
    metadata,
    _text("owner"),
    _text("name"),
    Column("size", Integer, nullable=False),
    sa.PrimaryKeyConstraint("owner", "name"),
)

configurations = Table(
    "configurations",
    metadata,
    _text("name", primary_key=True),
    Column("version", Integer, nullable=False),
    _text("source_kind"),
    _maybe("source_path"),
    _instant("created_at"),
    _instant("updated_at"),
)

configuration_versions = Table(
    "configuration_versions",
    metadata,
    _text("name"),
    Column("version", Integer, nullable=False),
    _maybe("type"),
    _maybe("arguments"),
    _instant("at"),
    _text("actor"),
    sa.PrimaryKeyConstraint("name", "version"),
)

incidents = Table(
    "incidents",
    metadata,
    _text("id", primary_key=True),
    _text("job_id"),
    _text("kind"),
    _instant("opened_at"),
    _instant("last_at"),
    Column("count", Integer, nullable=False),
    _text("text"),
    _instant("told_at"),
    _maybe("run_id"),
    _instant("closed_at", nullable=True),
    _instant("acknowledged_at", nullable=True),
    _maybe("acknowledged_by"),
)
OPEN_INCIDENT = incidents.c.closed_at.is_(None)
Index("ix_incidents_job", incidents.c.job_id, incidents.c.opened_at)
Index("ix_incidents_opened", incidents.c.opened_at, incidents.c.id)
Index(
    "ux_incidents_open",
    incidents.c.job_id,
    incidents.c.kind,
    unique=True,
    sqlite_where=OPEN_INCIDENT,
    postgresql_where=OPEN_INCIDENT,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Serial, primary_key=True),
    _text("channel"),
    _text("event"),
    _text("job_id"),
    _text("payload"),
    _instant("created_at"),
    _instant("expires_at"),
    _instant("next_at", nullable=True),
    _maybe("run_id"),
    _maybe("incident_id"),
    Column("attempts", Integer, nullable=False),
    _instant("delivered_at", nullable=True),
    _maybe("error"),
)
PENDING_DELIVERY = deliveries.c.next_at.is_not(None)
_partial("ix_deliveries_pending", PENDING_DELIVERY, deliveries.c.next_at, deliveries.c.id)
_partial("ix_deliveries_lane", PENDING_DELIVERY, deliveries.c.channel, deliveries.c.incident_id, deliveries.c.id)
Index("ix_deliveries_incident", deliveries.c.incident_id)
Index("ix_deliveries_created", deliveries.c.created_at)
Index("ix_deliveries_job", deliveries.c.job_id)

settings = Table("settings", metadata, _text("name", primary_key=True), _text("value"))

audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    _instant("at"),
    _text("actor"),
    _text("action"),
    _text("object"),
    _maybe("before"),
    _maybe("after"),
    _maybe("address"),
)
Index("ix_audit_at", audit.c.at, audit.c.id)
Index("ix_audit_actor", audit.c.actor, audit.c.at, audit.c.id)
Index("ix_audit_action", audit.c.action, audit.c.at, audit.c.id)
Index("ix_audit_object", audit.c.object, audit.c.at, audit.c.id)

changes = Table(
    "changes",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _instant("at"),
    _text("ids"),
)
