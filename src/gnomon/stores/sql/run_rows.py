"""A run as a row of its table, and back."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Select, select

from gnomon.core.records import Cause, RunRecord
from gnomon.core.signatures import signature
from gnomon.core.states import State
from gnomon.core.values import EPOCH

from .schema import ACTIVE_RUN, runs
from .session import Row, given
from .values import clean, failure, instant, mapping, mapping_text, micros, text, value

RUN: Select[Row] = select(*runs.columns)
STATES = {state.value: state for state in State}
_CAUSES = {cause.value: cause for cause in Cause}

# What `update_runs` never rewrites: the identity of a run, which the indexes of history stand on.
FIXED = frozenset(
    {"id", "job_id", "run_key", "cause", "schedule_id", "fire_at", "due_at", "created_at", "actor", "retry_of"}
    | {"parent_id", "item"}
)
CHANGING = tuple(column.name for column in runs.columns if column.name not in FIXED)


def active_of_job() -> ColumnElement[bool]:
    """Whether a run is active and of the job given as `job_id`.

    Asked of the ids first: those come from the small index alone, where SQLite would else walk the job's history.
    """
    ids = select(runs.c.id).where(ACTIVE_RUN, runs.c.job_id == given("job_id"))
    return runs.c.id.in_(ids.correlate(None))


def run_from_row(row: Row) -> RunRecord:
    """The run of a row with all columns, in the order of the table. The signature of its error is not part of it."""
    return RunRecord(
        row[0],
        row[1],
        row[2],
        STATES[row[3]],
        _CAUSES[row[4]],
        row[5],
        EPOCH + timedelta(microseconds=row[6]),
        EPOCH + timedelta(microseconds=row[7]),
        row[8],
        row[9],
        row[10],
        instant(row[11]),
        -row[12],
        row[13],
        bool(row[14]),
        mapping(row[15]),
        row[16],
        instant(row[17]),
        instant(row[18]),
        instant(row[19]),
        instant(row[20]),
        instant(row[21]),
        row[22],
        row[23],
        row[24],
        mapping(row[25]),
        mapping(row[26]),
        row[27],
        row[28],
        value(row[29]),
        row[30],
        row[31],
        row[32],
        row[33],
        value(row[34]),
        failure(row[35], row[36]),
        row[37],
        row[38],
        instant(row[39]),
        row[40],
        row[41],
        None if row[42] is None else (row[42], row[43]),
    )


def run_to_row(run: RunRecord) -> tuple[object, ...]:
    """The row of a run: all columns, in the order of the table."""
    return (
        run.id,
        run.job_id,
        run.version,
        run.state._value_,
        run.cause._value_,
        run.run_key,
        micros(run.due_at),
        micros(run.created_at),
        run.flow_id,
        clean(run.actor),
        run.schedule_id,
        micros(run.fire_at),
        *_plan(run),
        run.retry_of,
        run.parent_id,
        text(run.item),
        *_course(run),
    )


def run_to_update(run: RunRecord) -> tuple[object, ...]:
    """The values of `CHANGING`, in that order."""
    return (run.version, run.state._value_, run.flow_id, *_plan(run), *_course(run))


def _plan(run: RunRecord) -> tuple[object, ...]:
    return (
        -run.priority,
        run.queue,
        1 if run.exclusive else 0,
        mapping_text(run.pools),
        run.max_active,
        micros(run.available_at),
        micros(run.deadline_at),
        micros(run.queued_at),
        micros(run.started_at),
        micros(run.finished_at),
        run.attempts,
        run.failures,
        run.lost,
        mapping_text(run.parameters),
        mapping_text(run.labels),
    )


def _course(run: RunRecord) -> tuple[object, ...]:
    error, configuration = run.error, run.configuration
    return (
        clean(run.waiting_for),
        clean(run.reason),
        clean(run.note),
        run.exit_code,
        text(run.result),
        None if error is None else clean(error.code),
        None if error is None else clean(error.message),
        run.lateness_s,
        run.duration_s,
        micros(run.cancel_requested_at),
        clean(run.cancel_actor),
        clean(run.cancel_reason),
        None if configuration is None else configuration[0],
        None if configuration is None else configuration[1],
        None if error is None else signature(error),
    )
