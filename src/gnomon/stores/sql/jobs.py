"""Jobs, their definitions and who depends on whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Select, and_, delete, select, update

from gnomon.core.model import Job
from gnomon.core.records import JobRecord, Source, SourceKind

from .schema import attempts, deliveries, dependencies, incidents, job_definitions, jobs, runs, schedules, skips
from .session import Row, Session, Statement, WriteSession, given, insert, listed, one, upsert, within
from .values import instant, job_text, job_value, mapping_text, micros

_DEFINITION = and_(job_definitions.c.job_id == jobs.c.job_id, job_definitions.c.version == jobs.c.version)
JOB: Select[Row] = select(
    job_definitions.c.definition,
    jobs.c.version,
    jobs.c.source_kind,
    jobs.c.source_path,
    jobs.c.created_at,
    jobs.c.updated_at,
    jobs.c.paused_at,
    jobs.c.paused_by,
    jobs.c.pause_reason,
    jobs.c.retired_at,
    jobs.c.failure_streak,
).join_from(jobs, job_definitions, _DEFINITION)

_BY_ID = Statement(JOB.where(jobs.c.job_id == given("job_id")))
_BY_IDS = Statement(JOB.where(within(jobs.c.job_id, "job_ids")))
_ONE_DEFINITION = Statement(
    select(job_definitions.c.definition).where(
        job_definitions.c.job_id == given("job_id"), job_definitions.c.version == given("version")
    )
)
_DEFINITIONS = Statement(
    select(job_definitions.c.job_id, job_definitions.c.version, job_definitions.c.definition).where(
        within(job_definitions.c.job_id, "job_ids"), within(job_definitions.c.version, "versions")
    )
)
_DOWNSTREAM = Statement(
    select(dependencies.c.upstream, dependencies.c.job_id)
    .join_from(dependencies, jobs, jobs.c.job_id == dependencies.c.job_id)
    .where(within(dependencies.c.upstream, "job_ids"), jobs.c.retired_at.is_(None))
)


def job_from_row(row: Row) -> JobRecord:
    """The job of a row of `JOB`."""
    definition, version, kind, path, created, updated, paused, paused_by, pause_reason, retired, streak = row
    made, changed = instant(created), instant(updated)
    assert made is not None
    assert changed is not None
    return JobRecord(
        job_value(definition),
        version,
        Source(SourceKind(kind), path),
        made,
        changed,
        instant(paused),
        paused_by,
        pause_reason,
        instant(retired),
        streak,
    )


def _to_row(record: JobRecord) -> tuple[object, ...]:
    job = record.job
    return (
        job.job_id,
        record.version,
        one(job.enabled),
        one(job.rate is not None),
        job.task.type,
        mapping_text(job.labels),
        record.source.kind.value,
        record.source.path,
        micros(record.created_at),
        micros(record.updated_at),
        micros(record.paused_at),
        record.paused_by,
        record.pause_reason,
        micros(record.retired_at),
        record.failure_streak,
        job.task.use,
    )


class JobReads(Session):
    """Questions about jobs."""

    def job(self, job_id: str) -> JobRecord | None:
        row = self.first(_BY_ID, job_id=job_id)
        return None if row is None else job_from_row(row)

    def jobs_by_id(self, job_ids: Collection[str]) -> Mapping[str, JobRecord]:
        if not job_ids:
            return {}
        records = map(job_from_row, self.fetch(_BY_IDS, job_ids=listed(job_ids)))
        return {record.job_id: record for record in records}

    def definition(self, job_id: str, version: int) -> Job | None:
        row = self.first(_ONE_DEFINITION, job_id=job_id, version=version)
        return None if row is None else job_value(row[0])

    def definitions(self, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Job]:
        if not keys:
            return {}
        asked = set(keys)
        job_ids, versions = {key[0] for key in asked}, {key[1] for key in asked}
        rows = self.fetch(_DEFINITIONS, job_ids=listed(job_ids), versions=listed(versions))
        return {(job_id, version): job_value(kept) for job_id, version, kept in rows if (job_id, version) in asked}

    def downstream(self, job_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {job_id: [] for job_id in job_ids}
        if found:
            for upstream, job_id in self.fetch(_DOWNSTREAM, job_ids=listed(list(found))):
                found[upstream].append(job_id)
        return {upstream: tuple(sorted(ids)) for upstream, ids in found.items() if ids}


_PUT = upsert(jobs)
_PUT_DEFINITION = upsert(job_definitions)
_WAS_RATED = Statement(select(jobs.c.rated).where(jobs.c.job_id == given("job_id")))
_RATE_ATTEMPTS = Statement(
    update(attempts)
    .values(rated_job=given("rated_job"))
    .where(attempts.c.run_id.in_(select(runs.c.id).where(runs.c.job_id == given("of"))))
)
_DROP_EDGES = Statement(delete(dependencies).where(dependencies.c.job_id == given("job_id")))
_ADD_EDGE = insert(dependencies)
_DROP = [
    Statement(delete(table).where(table.c.job_id == given("job_id")))
    for table in (jobs, job_definitions, dependencies, schedules, skips, incidents, deliveries)
]
_SCHEDULES_OF = Statement(select(schedules.c.schedule_id).where(schedules.c.job_id == given("job_id")))


class JobWrites(WriteSession):
    """Changes to jobs."""

    def insert_job(self, record: JobRecord) -> None:
        job = record.job
        before = self.first(_WAS_RATED, job_id=job.job_id)
        self.change_many(_PUT, [_to_row(record)])
        self.change_many(_PUT_DEFINITION, [(job.job_id, record.version, job.task.type, job_text(job))])
        self.change(_DROP_EDGES, job_id=job.job_id)
        self.change_many(_ADD_EDGE, [(upstream, job.job_id) for upstream in sorted({d.job for d in job.depends_on})])
        if job.rate is not None and before is not None and not before[0]:
            self.change(_RATE_ATTEMPTS, rated_job=job.job_id, of=job.job_id)
        self.touch("jobs", (job.job_id,))

    def update_job(self, record: JobRecord) -> None:
        self.change_many(_PUT, [_to_row(record)])
        self.touch("jobs", (record.job_id,))

    def delete_job(self, job_id: str) -> None:
        self.touch("schedules", [row[0] for row in self.fetch(_SCHEDULES_OF, job_id=job_id)])
        for statement in _DROP:
            self.change(statement, job_id=job_id)
        self.touch("jobs", (job_id,))
