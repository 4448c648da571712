"""The filtered lists of jobs, schedule entries and configurations, by id, within the budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, not_, select

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.filters import ConfigurationFilter, JobFilter, ScheduleFilter
from gnomon.core.records import JobRecord, Page, ScheduleRecord

from .configurations import CONFIGURATION, configuration_from_row
from .jobs import JOB, job_from_row
from .paging import Key, Stream, Walked, next_cursor, scope_of, start_of, walk
from .schedules import ALL_SCHEDULES, schedule_from_row
from .schema import USING_JOB, configuration_versions, configurations, jobs, runs, schedules
from .session import Row, Session, Statement, given, listed, one, within
from .text_conditions import has_word, holds, label_values, word_values
from .values import micros

_BY_INDEX = frozenset({"job_ids", "configuration"})
"""Conditions that an index answers: few entries, all of which may be looked at."""
_NUMBER = re.compile(r"[0-9]+$")
Conditions = Mapping[str, Callable[[str], ColumnElement[bool]]]


def _has_due(names: frozenset[str]) -> ColumnElement[bool]:
    """The job has a run due in the period."""
    due = select(runs.c.id).where(runs.c.job_id == jobs.c.job_id)
    if "due_from" in names:
        due = due.where(runs.c.due_at >= given("due_from"))
    if "due_until" in names:
        due = due.where(runs.c.due_at < given("due_until"))
    return exists(due)


_PAUSED: Conditions = {
    "paused:yes": lambda name: jobs.c.paused_at.is_not(None),
    "paused:no": lambda name: jobs.c.paused_at.is_(None),
}
_OF_JOBS: Conditions = {
    "job_ids": lambda name: within(jobs.c.job_id, name),
    "not_job_ids": lambda name: not_(within(jobs.c.job_id, name)),
    "task_types": lambda name: within(jobs.c.task_type, name),
    "not_task_types": lambda name: not_(within(jobs.c.task_type, name)),
    "source": lambda name: jobs.c.source_kind == given(name),
    "enabled": lambda name: jobs.c.enabled == given(name),
    "configuration": lambda name: jobs.c.configuration == given(name),
    "retired:yes": lambda name: jobs.c.retired_at.is_not(None),
    "retired:no": lambda name: jobs.c.retired_at.is_(None),
    "label": lambda name: holds(jobs.c.labels, name),
    "not_label": lambda name: not_(holds(jobs.c.labels, name)),
    "word": lambda name: has_word(jobs.c.job_id, name),
    "not_word": lambda name: not_(has_word(jobs.c.job_id, name)),
    **_PAUSED,
}
_OF_SCHEDULES: Conditions = {
    "job_ids": lambda name: within(schedules.c.job_id, name),
    "not_job_ids": lambda name: not_(within(schedules.c.job_id, name)),
    "paused:yes": lambda name: schedules.c.paused_at.is_not(None),
    "paused:no": lambda name: schedules.c.paused_at.is_(None),
    "word": lambda name: has_word(schedules.c.schedule_id, name),
    "not_word": lambda name: not_(has_word(schedules.c.schedule_id, name)),
}
_USED = exists(
    select(jobs.c.job_id).where(USING_JOB, jobs.c.configuration == configurations.c.name, jobs.c.retired_at.is_(None))
)
_OF_CONFIGURATIONS: Conditions = {
    "types": lambda name: exists(
        select(configuration_versions.c.name).where(
            and_(
                configuration_versions.c.name == configurations.c.name,
                configuration_versions.c.version == configurations.c.version,
                within(configuration_versions.c.type, name),
            )
        )
    ),
    "source": lambda name: configurations.c.source_kind == given(name),
    "used:yes": lambda name: _USED,
    "used:no": lambda name: not_(_USED),
    "word": lambda name: has_word(configurations.c.name, name),
    "not_word": lambda name: not_(has_word(configurations.c.name, name)),
}
_LISTS: Mapping[str, tuple[ColumnElement[str], Conditions]] = {
    "jobs": (jobs.c.job_id, _OF_JOBS),
    "schedules": (schedules.c.schedule_id, _OF_SCHEDULES),
    "configurations": (configurations.c.name, _OF_CONFIGURATIONS),
}


@lru_cache(maxsize=512)
def _keys(kind: str, names: frozenset[str], after: bool, upto: bool) -> Statement:
    """Ids of the entries that match."""
    column, known = _LISTS[kind]
    query = _behind(column, after).limit(given("limit"))
    conditions = [known[_NUMBER.sub("", name)](name) for name in sorted(names) if not name.startswith("due_")]
    if names & {"due_from", "due_until"}:
        conditions.append(_has_due(names))
    if upto:
        query = query.where(column <= given("upto"))
    return Statement(query.where(*conditions))


@lru_cache(maxsize=8)
def _last(kind: str, after: bool) -> Statement:
    """The id of the last entry that may be looked at."""
    return Statement(_behind(_LISTS[kind][0], after).limit(1).offset(given("skipped")))


def _behind(column: ColumnElement[str], after: bool) -> Select[str]:
    query = select(column).order_by(column)
    return query.where(column > given("after")) if after else query


def _by_ids(query: Select[Row], column: ColumnElement[str]) -> Statement:
    return Statement(query.where(within(column, "ids")).order_by(column))


_JOBS = _by_ids(JOB, jobs.c.job_id)
_SCHEDULES = _by_ids(ALL_SCHEDULES, schedules.c.schedule_id)
_CONFIGURATIONS = _by_ids(CONFIGURATION, configurations.c.name)


class JobLists(Session):
    """The lists."""

    def jobs(self, where: JobFilter, limit: int = 50, cursor: str | None = None) -> Page[JobRecord]:
        values = _listed(
            job_ids=where.job_ids,
            not_job_ids=where.not_job_ids,
            task_types=where.task_types,
            not_task_types=where.not_task_types,
        )
        values |= _flags(paused=where.paused, retired=where.retired)
        values |= label_values(where.labels.items(), "label") | label_values(where.not_labels, "not_label")
        values |= word_values(where.words) | word_values(where.not_words, "not_word")
        singles = {
            "source": where.source and where.source.value,
            "enabled": None if where.enabled is None else one(where.enabled),
            "configuration": where.configuration,
            "due_from": micros(where.due_from),
            "due_until": micros(where.due_until),
        }
        values |= {name: value for name, value in singles.items() if value is not None}
        rows, following, partial = self._page("jobs", where, values, _JOBS, limit, cursor)
        return Page(tuple(job_from_row(row) for row in rows), following, partial)

    def schedules(self, where: ScheduleFilter, limit: int = 50, cursor: str | None = None) -> Page[ScheduleRecord]:
        job_ids = (where.job_id,) if where.job_id is not None else where.job_ids
        values = _listed(job_ids=job_ids, not_job_ids=where.not_job_ids) | _flags(paused=where.paused)
        values |= word_values(where.words) | word_values(where.not_words, "not_word")
        rows, following, partial = self._page("schedules", where, values, _SCHEDULES, limit, cursor)
        return Page(tuple(schedule_from_row(row) for row in rows), following, partial)

    def configurations(
        self, limit: int = 50, cursor: str | None = None, where: ConfigurationFilter | None = None
    ) -> Page[ConfigurationRecord]:
        where = where or ConfigurationFilter()
        values = _listed(types=where.types) | _flags(used=where.used)
        values |= {} if where.source is None else {"source": where.source.value}
        values |= word_values(where.words) | word_values(where.not_words, "not_word")
        rows, following, partial = self._page("configurations", where, values, _CONFIGURATIONS, limit, cursor)
        return Page(tuple(configuration_from_row(row) for row in rows), following, partial)

    def _page(
        self, kind: str, where: object, values: dict[str, object], rows: Statement, limit: int, cursor: str | None
    ) -> tuple[Sequence[Row], str | None, bool]:
        """Rows of a page, the cursor of the next one, and whether it ended for lack of budget."""
        scope = scope_of(kind, where)
        walked = self._walk_ids(kind, values, limit, start_of(cursor, scope, str))
        found = self.fetch(rows, ids=listed([key[0] for key in walked.keys])) if walked.keys else []
        return found, next_cursor(walked, scope), walked.partial

    def _walk_ids(self, kind: str, values: dict[str, Any], limit: int, after: Key | None) -> Walked:
        names = frozenset(values)

        def keys(after: Key | None, upto: Key | None, limit: int) -> Sequence[Key]:
            statement = _keys(kind, names, after is not None, upto is not None)
            bounds = {"after": after and after[0], "upto": upto and upto[0]}
            return self.fetch(statement, limit=limit, **bounds, **values)

        def last(after: Key | None, skipped: int) -> Key | None:
            return self.first(_last(kind, after is not None), skipped=skipped, after=after and after[0])

        direct = not names or names & _BY_INDEX
        return walk([Stream(keys, None if direct else last)], limit, after, newest_first=False)


def _listed(**lists: Sequence[str]) -> dict[str, object]:
    return {name: listed(some) for name, some in lists.items() if some}


def _flags(**flags: bool | None) -> dict[str, object]:
    return {f"{name}:{'yes' if flag else 'no'}": True for name, flag in flags.items() if flag is not None}
