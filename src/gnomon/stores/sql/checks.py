"""Facts that contradict each other: none of these questions has an answer in a database that only gnomon wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from gnomon.core.fanout import PARENTS
from gnomon.core.states import State

from .schema import (
    LIVE_ATTEMPT,
    attempts,
    configuration_versions,
    constant,
    job_definitions,
    jobs,
    nodes,
    runs,
    schedules,
)
from .session import Session, Statement, given


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A question, `meaning` what its answers would be, and some ids that are."""

    name: str
    meaning: str
    ids: Sequence[str]


_RUNNING = runs.c.state == constant(State.RUNNING.value)
_parent = runs.alias("parent")


def _none(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return ~exists().where(and_(*conditions))


_QUESTIONS: tuple[tuple[str, str, Select[tuple[str]]], ...] = (
    (
        "jobs_without_definition",
        "jobs whose definition is missing",
        select(jobs.c.job_id).where(
            _none(job_definitions.c.job_id == jobs.c.job_id, job_definitions.c.version == jobs.c.version)
        ),
    ),
    (
        "schedules_without_job",
        "schedule entries of jobs that do not exist",
        select(schedules.c.schedule_id).where(_none(jobs.c.job_id == schedules.c.job_id)),
    ),
    (
        "runs_without_job",
        "runs of jobs that do not exist",
        select(runs.c.id).where(_none(jobs.c.job_id == runs.c.job_id)),
    ),
    (
        "runs_without_definition",
        "runs whose definition is missing",
        select(runs.c.id).where(
            _none(job_definitions.c.job_id == runs.c.job_id, job_definitions.c.version == runs.c.version)
        ),
    ),
    (
        "runs_without_configuration",
        "runs whose version of a configuration is missing",
        select(runs.c.id).where(
            runs.c.configuration.is_not(None),
            _none(
                configuration_versions.c.name == runs.c.configuration,
                configuration_versions.c.version == runs.c.configuration_version,
            ),
        ),
    ),
    (
        "items_without_parent",
        "items of for_each runs that do not exist",
        select(runs.c.id).where(runs.c.parent_id.is_not(None), _none(_parent.c.id == runs.c.parent_id)),
    ),
    (
        "attempts_without_run",
        "attempts of runs that do not exist",
        select(attempts.c.run_id).where(_none(runs.c.id == attempts.c.run_id)),
    ),
    (
        "live_attempts_of_ended_runs",
        "attempts that go on although their run does not",
        select(attempts.c.run_id).where(LIVE_ATTEMPT, _none(runs.c.id == attempts.c.run_id, _RUNNING)),
    ),
    (
        "running_without_attempt",
        "running runs of which no attempt goes on",
        select(runs.c.id).where(
            _RUNNING, runs.c.queue != constant(PARENTS), _none(attempts.c.run_id == runs.c.id, LIVE_ATTEMPT)
        ),
    ),
    (
        "stranded_attempts",
        "attempts that no scheduler will ever take over: their node is unknown, or left long ago",
        select(attempts.c.run_id).where(
            LIVE_ATTEMPT,
            _none(
                nodes.c.node_id == attempts.c.node_id,
                or_(nodes.c.stopped_at.is_(None), nodes.c.stopped_at >= given("since")),
            ),
        ),
    ),
)
_STATEMENTS = tuple((name, meaning, Statement(query.limit(given("most")))) for name, meaning, query in _QUESTIONS)


def contradictions(session: Session, since: int, most: int) -> Iterator[Contradiction]:
    """Every question with at most `most` ids.

    Args:
        since: nodes that stopped before are looked at by nobody (microseconds).
    """
    for name, meaning, statement in _STATEMENTS:
        rows = session.fetch(statement, since=since, most=most)
        yield Contradiction(name, meaning, [str(row[0]) for row in rows])
