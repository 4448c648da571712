"""The filtered list of runs: which indexes give it, and what is asked of each entry.

A list is made of streams (`paging`): all runs, those of a job, those that are active, …, each in the order of one
index, which the statement names, so that no planner chooses otherwise. What the index does not answer is asked of each
row, within the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_, union_all

from gnomon.core.filters import ANY
from gnomon.core.records import Page, RunFilter, RunRecord
from gnomon.core.states import ACTIVE, State

from .paging import Key, Stream, Walked, next_cursor, scope_of, start_of, walk
from .run_conditions import rest_conditions, rest_values
from .run_rows import RUN, run_from_row
from .schema import (
    ACTIVE_RUN,
    ENDED_RUN,
    JOINED_RUN,
    TROUBLED,
    TROUBLED_RUN,
    USING_RUN,
    configuration_versions,
    job_definitions,
    jobs,
    runs,
)
from .session import Row, Session, Statement, given, listed, within
from .text_conditions import has_word, word_values
from .values import micros

MOST_STREAMS = 50
"""Of more jobs (or versions of a configuration) than that, entries are found by looking through all."""
MOST_JOBS = 50_000
"""Of more jobs than that, words are not looked for among their ids first."""
_FLOW_IDS = Statement(
    union_all(
        select(runs.c.id).where(JOINED_RUN, runs.c.flow_id == given("flow_id")),
        select(runs.c.id).where(runs.c.id == given("flow_id"), runs.c.flow_id == runs.c.id),
    )
)
_BY_IDS = Statement(RUN.where(within(runs.c.id, "ids")))
_VERSIONS = Statement(
    select(configuration_versions.c.version)
    .where(configuration_versions.c.name == given("name"))
    .limit(MOST_STREAMS + 1)
)
_SCATTERED = frozenset({"job", "job:ended", "configuration"})
"""Streams whose rows lie far from each other in the table: to look at one costs some four times as much."""
_IN_ENDED = frozenset(
    {"states"} | {f"{n}_{e}" for n in ("duration_s", "lateness_s") for e in ("over", "least", "under", "most")}
)
"""What the index of a job's ended runs answers without the row."""
_NEWEST = (runs.c.due_at.desc(), runs.c.id.desc())

# Where the entries of a stream come from: what the index answers, and the index.
_SOURCES: dict[str, tuple[str | None, tuple[ColumnElement[bool], ...]]] = {
    "all": ("ix_runs_due", ()),
    "open": ("ix_runs_open", (ACTIVE_RUN,)),
    "troubled": ("ix_runs_troubled", (TROUBLED_RUN,)),
    "job": ("ix_runs_job", (runs.c.job_id == given("of_job"),)),
    "job:open": ("ix_runs_active", (ACTIVE_RUN, runs.c.job_id == given("of_job"))),
    "job:ended": ("ix_runs_ended", (ENDED_RUN, runs.c.job_id == given("of_job"))),
    "configuration": (
        "ix_runs_configuration",
        (USING_RUN, runs.c.configuration == given("of_name"), runs.c.configuration_version == given("of_version")),
    ),
    "items": ("ix_runs_items", (runs.c.parent_id == given("of_parent"),)),
    "ids": (None, (within(runs.c.id, "of_ids"),)),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """Streams as (source, values), and what is asked of each entry: names and values."""

    sources: list[tuple[str, dict[str, object]]]
    rest: frozenset[str]
    values: dict[str, object] = field(default_factory=dict)


@lru_cache(maxsize=1024)
def _keys(source: str, shape: frozenset[str], rest: frozenset[str]) -> Statement:
    """Keys of the entries that match; `shape`: which bounds there are."""
    query = _ordered(source, shape).where(*rest_conditions(rest)).limit(given("limit"))
    if "upto_id" in shape:
        query = query.where(tuple_(runs.c.due_at, runs.c.id) >= tuple_(given("upto_due"), given("upto_id")))
    return Statement(query)


@lru_cache(maxsize=256)
def _last(source: str, shape: frozenset[str]) -> Statement:
    """The key of the last entry that may be looked at."""
    return Statement(_ordered(source, shape).limit(1).offset(given("skipped")))


def _ordered(source: str, shape: frozenset[str]) -> Select[Row]:
    index, conditions = _SOURCES[source]
    query = select(runs.c.due_at, runs.c.id).where(*conditions).order_by(*_NEWEST)
    if index is not None:
        query = query.with_hint(runs, f"INDEXED BY {index}", "sqlite")
    if source != "items":
        query = query.where(runs.c.parent_id.is_(None))
    if "since" in shape:
        query = query.where(runs.c.due_at >= given("since"))
    if "until" in shape:
        query = query.where(runs.c.due_at < given("until"))
    if "after_id" in shape:
        query = query.where(tuple_(runs.c.due_at, runs.c.id) < tuple_(given("after_due"), given("after_id")))
    return query


@lru_cache(maxsize=16)
def _jobs_with(words: int) -> Statement:
    """Ids of the jobs with these words in it."""
    conditions = (has_word(jobs.c.job_id, f"word{number}") for number in range(words))
    return Statement(select(jobs.c.job_id).where(*conditions).order_by(jobs.c.job_id).limit(MOST_STREAMS + 1))


_MANY_JOBS = Statement(select(jobs.c.job_id).order_by(jobs.c.job_id).limit(1).offset(MOST_JOBS))
_JOBS_OF_TYPES = Statement(
    select(job_definitions.c.job_id)
    .distinct()
    .with_hint(job_definitions, "INDEXED BY ix_job_definitions_type", "sqlite")
    .where(within(job_definitions.c.task_type, "task_types"))
    .limit(MOST_STREAMS + 1)
)


class RunLists(Session):
    """The filtered list."""

    def runs(self, where: RunFilter, limit: int = 50, cursor: str | None = None) -> Page[RunRecord]:
        scope = scope_of("runs", where)
        walked = self._walk_runs(where, limit, start_of(cursor, scope, int, str))
        found = {row[0]: row for row in self.fetch(_BY_IDS, ids=listed([key[1] for key in walked.keys]))}
        items = tuple(run_from_row(found[key[1]]) for key in walked.keys)
        return Page(items, next_cursor(walked, scope), walked.partial)

    def count_runs(self, where: RunFilter, most: int) -> tuple[int, bool]:
        walked = self._walk_runs(where, most, None)
        return len(walked.keys), walked.after is None

    def _walk_runs(self, where: RunFilter, limit: int, after: Key | None) -> Walked:
        plan = self._plan(where)
        bounds = {"since": micros(where.since), "until": micros(where.until)}
        values = plan.values | {name: bound for name, bound in bounds.items() if bound is not None}
        return walk([self._stream(plan, source, values | own) for source, own in plan.sources], limit, after)

    def _stream(self, plan: _Plan, source: str, values: dict[str, object]) -> Stream:
        shape = frozenset({"since", "until"} & values.keys())

        def behind(after: Key | None) -> tuple[frozenset[str], dict[str, Any]]:
            if after is None:
                return shape, values
            return shape | {"after_id"}, values | {"after_due": after[0], "after_id": after[1]}

        def keys(after: Key | None, upto: Key | None, limit: int) -> Sequence[Key]:
            bounded, given_values = behind(after)
            if upto is not None:
                bounded |= {"upto_id"}
                given_values = given_values | {"upto_due": upto[0], "upto_id": upto[1]}
            return self.fetch(_keys(source, bounded, plan.rest), limit=limit, **given_values)

        def last(after: Key | None, skipped: int) -> Key | None:
            bounded, given_values = behind(after)
            return self.first(_last(source, bounded), skipped=skipped, **given_values)

        scattered = source in _SCATTERED and not plan.rest <= _IN_ENDED
        return Stream(keys, last if plan.rest and source not in ("items", "ids") else None, 4 if scattered else 1)

    def _plan(self, where: RunFilter) -> _Plan:
        values = rest_values(where)
        if where.parent_id is not None:
            return _Plan([("items", {"of_parent": where.parent_id})], frozenset(values), values)
        if where.flow_id is not None:
            ids = listed([row[0] for row in self.fetch(_FLOW_IDS, flow_id=where.flow_id)])
            return _Plan([("ids", {"of_ids": ids})], frozenset(values), values)
        job_ids, answers = self._jobs_of(where)
        states = _states_of(where)
        sources: list[tuple[str, dict[str, object]]]
        if job_ids is not None and len(job_ids) <= MOST_STREAMS:
            answered = {name for name in values if answers and name.startswith(answers)}
            sources = [(source, {"of_job": job}) for job in job_ids for source in _of_job(where, states)]
        else:
            versions = self._versions_of(where)
            answered = set() if versions is None else {"configuration", "configuration_version"}
            sources = [(source, {}) for source in _of_all(states)] if versions is None else versions
        rest = {name: value for name, value in values.items() if name not in answered}
        if states is None or not (where.timed_out or _needs_states(states, [source for source, _ in sources])):
            rest.pop("states", None)
        return _Plan(sources, frozenset(rest), rest)

    def _jobs_of(self, where: RunFilter) -> tuple[list[str] | None, str]:
        """The only jobs that can have such runs (None: any), and which condition said so."""
        named = [where.job_id] if where.job_id is not None else list(dict.fromkeys(where.job_ids))
        if where.schedule_id is not None and not named:
            named = [where.schedule_id.partition(":")[0]]
        if named:
            return named, "job_ids"
        if where.words and self.first(_MANY_JOBS) is None:
            found = [row[0] for row in self.fetch(_jobs_with(len(where.words)), **word_values(where.words))]
            if len(found) <= MOST_STREAMS:
                return found, "word"
        if where.task_types:
            return [row[0] for row in self.fetch(_JOBS_OF_TYPES, task_types=listed(where.task_types))], ""
        return None, ""

    def _versions_of(self, where: RunFilter) -> list[tuple[str, dict[str, object]]] | None:
        """A stream for each version of the configuration that is asked for; None: none is, or too many."""
        if where.configuration is None:
            return None
        name, version = where.configuration
        numbers = [(version,)] if version is not None else self.fetch(_VERSIONS, name=name)
        if len(numbers) > MOST_STREAMS:
            return None
        return [("configuration", {"of_name": name, "of_version": number}) for (number,) in numbers]


def _states_of(where: RunFilter) -> frozenset[State] | None:
    """The states such runs can have; None: any."""
    states = frozenset(where.states) | ({State.FAILED} if where.timed_out else frozenset())
    if not states and (where.errors or where.signature is not None):
        return frozenset(State) - {State.SUCCEEDED}  # success has no error
    return states or None


def _of_job(where: RunFilter, states: frozenset[State] | None) -> Iterable[str]:
    """Streams for one job: its history, or what is over apart, where the index has states and durations."""
    if states is None and where.duration_s == ANY and where.lateness_s == ANY:
        return ["job"]
    wanted = states or frozenset(State)
    return [name for name, some in (("job:open", ACTIVE), ("job:ended", frozenset(State) - ACTIVE)) if wanted & some]


def _of_all(states: frozenset[State] | None) -> Iterable[str]:
    """Streams for all jobs."""
    if states is None or State.SUCCEEDED in states:
        return ["all"]
    return [name for name, some in (("open", ACTIVE), ("troubled", TROUBLED)) if states & some]


def _needs_states(states: frozenset[State], sources: Sequence[str]) -> bool:
    """Whether these streams have entries in other states."""
    streams = {"open": ACTIVE, "troubled": TROUBLED, "job:open": ACTIVE, "job:ended": frozenset(State) - ACTIVE}
    return any(not streams.get(source, frozenset(State)) <= states for source in sources)
