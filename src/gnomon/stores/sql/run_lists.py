"""The filtered list of runs: by an index where there is one, else within a budget of rows read."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import ColumnElement, and_, exists, select, tuple_, union_all

from gnomon.core.records import Page, RunFilter, RunRecord
from gnomon.core.states import ACTIVE

from .run_rows import RUN, active_of_job, run_from_row
from .schema import ACTIVE_RUN, JOINED_RUN, TROUBLED, TROUBLED_RUN, job_definitions, runs
from .schema import schedules as schedules_table
from .session import Session, Statement, given, listed, within
from .values import from_cursor, label_text, micros, to_cursor

SCAN_BUDGET = 20_000
_FLOW_IDS = Statement(
    union_all(
        select(runs.c.id).where(JOINED_RUN, runs.c.flow_id == given("flow_id")),
        select(runs.c.id).where(runs.c.id == given("flow_id"), runs.c.flow_id == runs.c.id),
    )
)
_NEWEST = (runs.c.due_at.desc(), runs.c.id.desc())
_BASE = frozenset({"active", "troubled", "job_id", "ids", "since", "until", "after_due", "after_id", "parent_id"})
_REST = frozenset({"states", "schedule_id", "causes", "task_types"})
_JOB_OF = Statement(select(schedules_table.c.job_id).where(schedules_table.c.schedule_id == given("schedule_id")))


def _base(shape: frozenset[str]) -> ColumnElement[bool]:
    """What an index answers by itself: the rows that are read."""
    items = "parent_id" in shape
    conditions: list[ColumnElement[bool]] = [
        runs.c.parent_id == given("parent_id") if items else runs.c.parent_id.is_(None)
    ]
    if shape >= {"active", "job_id"}:
        conditions.append(active_of_job())
    elif "active" in shape:
        conditions.append(ACTIVE_RUN)
    if "troubled" in shape:
        conditions.append(TROUBLED_RUN)
    if "job_id" in shape and "active" not in shape:
        conditions.append(runs.c.job_id == given("job_id"))
    if "ids" in shape:
        conditions.append(within(runs.c.id, "ids"))
    if "since" in shape:
        conditions.append(runs.c.due_at >= given("since"))
    if "until" in shape:
        conditions.append(runs.c.due_at < given("until"))
    if "after_id" in shape:
        conditions.append(tuple_(runs.c.due_at, runs.c.id) < tuple_(given("after_due"), given("after_id")))
    return and_(*conditions)


def _rest(shape: frozenset[str], label_count: int) -> list[ColumnElement[bool]]:
    """What is asked of each row that is read."""
    conditions: list[ColumnElement[bool]] = []
    if "states" in shape:
        conditions.append(within(runs.c.state, "states"))
    if "schedule_id" in shape:
        conditions.append(runs.c.schedule_id == given("schedule_id"))
    if "causes" in shape:
        conditions.append(within(runs.c.cause, "causes"))
    if "task_types" in shape:
        same = and_(
            job_definitions.c.job_id == runs.c.job_id,
            job_definitions.c.version == runs.c.version,
            within(job_definitions.c.task_type, "task_types"),
        )
        conditions.append(exists(select(job_definitions.c.version).where(same)))
    conditions += [runs.c.labels.contains(given(f"label{number}")) for number in range(label_count)]
    return conditions


@lru_cache(maxsize=256)
def _page(shape: frozenset[str], label_count: int) -> Statement:
    """The page; with "last_id" in `shape` it ends at that row."""
    conditions = [_base(shape), *_rest(shape, label_count)]
    if "last_id" in shape:
        conditions.append(tuple_(runs.c.due_at, runs.c.id) >= tuple_(given("last_due"), given("last_id")))
    return Statement(RUN.where(*conditions).order_by(*_NEWEST).limit(given("limit")))


@lru_cache(maxsize=64)
def _last(shape: frozenset[str]) -> Statement:
    """The key of the last row that the budget allows to read."""
    query = select(runs.c.due_at, runs.c.id).where(_base(shape)).order_by(*_NEWEST)
    return Statement(query.limit(1).offset(given("skipped")))


class RunLists(Session):
    """The filtered list."""

    def runs(self, where: RunFilter, limit: int = 50, cursor: str | None = None) -> Page[RunRecord]:
        values = self._values(where, cursor)
        labels = {f"label{n}": label_text(*entry) for n, entry in enumerate(where.labels.items())}
        shape = frozenset(values)
        last = self.first(_last(shape & _BASE), skipped=SCAN_BUDGET - 1, **values) if shape & _REST or labels else None
        if last is not None:
            values["last_due"], values["last_id"] = last
        rows = self.fetch(_page(frozenset(values), len(labels)), limit=limit + 1, **values, **labels)
        found = [run_from_row(row) for row in rows[:limit]]
        following = None if last is None else to_cursor(*last)
        if len(rows) > limit:
            following = to_cursor(rows[limit - 1][6], rows[limit - 1][0])
        wanted = where.labels.items()
        return Page(tuple(run for run in found if wanted <= run.labels.items()), following)

    def _values(self, where: RunFilter, cursor: str | None) -> dict[str, object]:
        values: dict[str, object] = {}
        if cursor is not None:
            values["after_due"], values["after_id"] = from_cursor(cursor, int, str)
        if where.states:
            states = frozenset(where.states)
            values["states"] = listed([state.value for state in states])
            if states <= ACTIVE:
                values["active"] = True
                if states == ACTIVE:
                    del values["states"]
            elif states <= TROUBLED and where.job_id is None:
                values["troubled"] = True
        if where.job_id is not None:
            values["job_id"] = where.job_id
        if where.schedule_id is not None:
            values["schedule_id"] = where.schedule_id
            owner = self.first(_JOB_OF, schedule_id=where.schedule_id)
            if owner is not None and where.job_id is None:
                values["job_id"] = owner[0]
        if where.flow_id is not None:
            values["ids"] = listed([row[0] for row in self.fetch(_FLOW_IDS, flow_id=where.flow_id)])
        if where.parent_id is not None:
            values["parent_id"] = where.parent_id
        bounds = {"since": micros(where.since), "until": micros(where.until)}
        if where.task_types:
            values["task_types"] = listed(where.task_types)
        if where.causes:
            values["causes"] = listed([cause.value for cause in where.causes])
        return values | {name: bound for name, bound in bounds.items() if bound is not None}
