"""Attempts and their fencing tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, literal_column, select, update

from gnomon.core.attempts import Handle, Outcome
from gnomon.core.records import AttemptRecord
from gnomon.core.values import from_micros, to_micros

from .schema import LIVE_ATTEMPT, RATED_ATTEMPT, attempts, jobs, runs, settings
from .session import Row, Session, Statement, WriteSession, given, indexed_by, insert, listed, must, upsert, within
from .values import clean, failure, instant, mapping, micros, text

_ALL = select(*attempts.columns)
_OF_RUNS = Statement(_ALL.where(within(attempts.c.run_id, "run_ids")).order_by(attempts.c.run_id, attempts.c.number))
_ONE = Statement(_ALL.where(attempts.c.run_id == given("run_id"), attempts.c.number == given("number")))
_LIVE = Statement(
    _ALL.where(LIVE_ATTEMPT, attempts.c.node_id == given("node_id")).order_by(attempts.c.run_id, attempts.c.number)
)
_LIVE_COUNT = Statement(select(func.count()).where(LIVE_ATTEMPT, attempts.c.node_id == given("node_id")))
_LIVE_BY_EXECUTOR = Statement(
    select(attempts.c.executor, func.count())
    .where(LIVE_ATTEMPT, attempts.c.node_id == given("node_id"))
    .group_by(attempts.c.executor)
)
_IS_RATED = Statement(
    select(jobs.c.job_id).where(jobs.c.rated == literal_column("1"), jobs.c.job_id == given("job_id"))
)
_STARTS = Statement(
    select(attempts.c.claimed_at)
    .where(RATED_ATTEMPT, attempts.c.rated_job == given("job_id"), attempts.c.claimed_at > given("since"))
    .order_by(attempts.c.claimed_at)
)
_newest = (
    select(runs.c.id)
    .with_hint(runs, *indexed_by("ix_runs_job"))
    .where(runs.c.job_id == given("job_id"))
    .order_by(runs.c.due_at.desc(), runs.c.id.desc())
    .limit(literal_column("1000"))
    .subquery("newest")
)
_STARTS_UNRATED = Statement(
    select(attempts.c.claimed_at)
    .join_from(_newest, attempts, attempts.c.run_id == _newest.c.id)
    .where(attempts.c.claimed_at > given("since"))
    .order_by(attempts.c.claimed_at)
)


def _from_row(row: Row) -> AttemptRecord:
    return AttemptRecord(
        row[0],
        row[1],
        row[2],
        row[3],
        from_micros(row[4]),
        row[5],
        instant(row[6]),
        instant(row[7]),
        None if row[8] is None else Outcome(row[8]),
        None if row[9] is None else Handle(row[9], mapping(row[10])),
        row[11],
        failure(row[12], row[13]),
        row[14],
        row[15],
    )


def _course(record: AttemptRecord) -> tuple[object, ...]:
    """What changes, from the token on."""
    handle, error, outcome = record.handle, record.error, record.outcome
    return (
        record.token,
        record.node_id,
        to_micros(record.claimed_at),
        record.executor,
        micros(record.started_at),
        micros(record.finished_at),
        None if outcome is None else outcome.value,
        None if handle is None else handle.worker,
        None if handle is None else text(dict(handle.process)),
        record.exit_code,
        None if error is None else clean(error.code),
        None if error is None else clean(error.message),
        record.duration_s,
        record.log_bytes,
    )


class AttemptReads(Session):
    """Questions about attempts."""

    def attempts(self, run_ids: Collection[str]) -> Mapping[str, tuple[AttemptRecord, ...]]:
        found: dict[str, list[AttemptRecord]] = {}
        if run_ids:
            for row in self.fetch(_OF_RUNS, run_ids=listed(run_ids)):
                found.setdefault(row[0], []).append(_from_row(row))
        return {run_id: tuple(records) for run_id, records in found.items()}

    def attempt(self, run_id: str, number: int) -> AttemptRecord | None:
        row = self.first(_ONE, run_id=run_id, number=number)
        return None if row is None else _from_row(row)

    def live_attempts(self, node_id: str) -> Sequence[AttemptRecord]:
        return [_from_row(row) for row in self.fetch(_LIVE, node_id=node_id)]

    def live_count(self, node_id: str) -> int:
        row = self.first(_LIVE_COUNT, node_id=node_id)
        return 0 if row is None else int(row[0])

    def live_by_executor(self, node_id: str) -> Mapping[str, int]:
        return {row[0]: row[1] for row in self.fetch(_LIVE_BY_EXECUTOR, node_id=node_id)}

    def starts_since(self, job_id: str, since: datetime) -> Sequence[datetime]:
        indexed = self.first(_IS_RATED, job_id=job_id) is not None
        rows = self.fetch(_STARTS if indexed else _STARTS_UNRATED, job_id=job_id, since=micros(since))
        return [from_micros(row[0]) for row in rows]


_INSERT = insert(attempts)
_RATED_JOBS = Statement(select(jobs.c.job_id).where(jobs.c.rated == literal_column("1")).limit(1))
_RATED_RUNS = Statement(
    select(runs.c.id, runs.c.job_id)
    .join_from(runs, jobs, jobs.c.job_id == runs.c.job_id)
    .where(within(runs.c.id, "run_ids"), jobs.c.rated == literal_column("1"))
)
_LIVE_TOKENS = Statement(
    select(attempts.c.run_id, attempts.c.number, attempts.c.token).where(
        within(attempts.c.run_id, "run_ids"), attempts.c.outcome.is_(None)
    )
)
_COURSE = [column.name for column in attempts.columns if column.name not in ("run_id", "number", "rated_job")]
_UPDATE = Statement(
    update(attempts)
    .values({name: given(f"v_{name}") for name in _COURSE})
    .where(attempts.c.run_id == given("k_run_id"), attempts.c.number == given("k_number"))
)
_TOKEN = Statement(select(settings.c.value).where(settings.c.name == given("name")))
_PUT_SETTING = upsert(settings)
_TOKEN_NAME = "store.token"


class AttemptWrites(WriteSession):
    """Changes to attempts."""

    def insert_attempts(self, records: Sequence[AttemptRecord]) -> None:
        if not records:
            return
        rated: dict[str, str] = {}
        if self.first(_RATED_JOBS) is not None:
            run_ids = listed([record.run_id for record in records])
            rated = {row[0]: row[1] for row in self.fetch(_RATED_RUNS, run_ids=run_ids)}
        rows = [(r.run_id, r.number, *_course(r), rated.get(r.run_id)) for r in records]
        must(self.change_many(_INSERT, rows), len(rows), "insert_attempts")
        self.touch("runs", [record.run_id for record in records])

    def update_attempts(
        self, records: Sequence[AttemptRecord], *, token: Mapping[tuple[str, int], int] | None = None
    ) -> Collection[tuple[str, int]]:
        if not records:
            return ()
        asked = listed(list({record.run_id for record in records}))
        stored: dict[tuple[str, int], int] = {
            (run_id, number): held for run_id, number, held in self.fetch(_LIVE_TOKENS, run_ids=asked)
        }
        rows, done, refused = [], [], []
        for record in records:
            key = (record.run_id, record.number)
            expected = record.token if token is None else token.get(key, record.token)
            if stored.get(key) != expected:
                refused.append(key)
                continue
            if record.outcome is None:
                stored[key] = record.token
            else:
                del stored[key]
            rows.append((*_course(record), *key))
            done.append(record.run_id)
        must(self.change_many(_UPDATE, rows), len(rows), "update_attempts")
        self.touch("runs", done)
        return refused

    def next_token(self) -> int:
        if self.tokens is None:
            row = self.first(_TOKEN, name=_TOKEN_NAME)
            self.tokens = 0 if row is None else int(row[0])
        self.tokens += 1
        return self.tokens

    def keep_tokens(self) -> None:
        """Write the counter down; called before the work of a transaction is kept."""
        if self.tokens is not None:
            self.change_many(_PUT_SETTING, [(_TOKEN_NAME, str(self.tokens))])
            self.tokens = None
