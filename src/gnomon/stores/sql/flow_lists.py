"""The filtered lists of flows and of skips."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from sqlalchemy import ColumnElement, FromClause, Subquery, exists, func, not_, select, tuple_

from gnomon.core.filters import FlowFilter, SkipFilter
from gnomon.core.records import Page, SkipRecord

from .paging import Key, Stream, next_cursor, scope_of, start_of, walk
from .schema import runs, skips
from .session import Session, Statement, given, listed, within
from .skips import skip_from_row
from .text_conditions import has_word, word_values
from .values import micros

FLOWS_LOOKED_AT = 1_000
"""How many flows a page looks at: each costs a few look-ups."""
_NUMBER = re.compile(r"[0-9]+$")
_INDEX = ("INDEXED BY ix_runs_flow", "sqlite")


def _newest(below: ColumnElement[str] | None) -> ColumnElement[str | None]:
    """The greatest flow id, or the next one below: ids grow with time. Flows of one run have no entry in the index."""
    joined = runs.alias()
    query = select(func.max(joined.c.flow_id)).with_hint(joined, *_INDEX).where(*_joined(joined))
    if below is not None:
        query = query.where(joined.c.flow_id < below)
    return query.scalar_subquery()


def _joined(run: FromClause) -> tuple[ColumnElement[bool], ...]:
    """`JOINED_RUN`, of an alias."""
    return run.c.flow_id != run.c.id, run.c.parent_id.is_(None)


def _ids(after: bool) -> Subquery:
    """Ids of flows, newest first, one step of the index each, however many runs they have."""
    chain = select(_newest(given("after") if after else None).label("id")).cte("chain", recursive=True)
    chain = chain.union_all(select(_newest(chain.c.id)).where(chain.c.id.is_not(None)))
    return select(chain.c.id).where(chain.c.id.is_not(None)).limit(given("looked_at")).subquery()


def _has_job(flow_id: ColumnElement[str]) -> ColumnElement[bool]:
    """The job runs in the flow after others."""
    joined = runs.alias()
    own = (joined.c.flow_id == flow_id, joined.c.job_id == given("job_id"))
    return exists(select(joined.c.id).with_hint(joined, *_INDEX).where(*_joined(joined), *own))


@lru_cache(maxsize=128)
def _flow_keys(names: frozenset[str], after: bool) -> Statement:
    """Ids of the flows that match."""
    ids = _ids(after)
    root = runs.alias("root")
    conditions: list[ColumnElement[bool]] = []
    for name in sorted(names):
        match _NUMBER.sub("", name):
            case "job_id":
                conditions.append(_has_job(ids.c.id))
            case "since":
                conditions.append(root.c.due_at >= given("since"))
            case "until":
                conditions.append(root.c.due_at < given("until"))
            case "word":
                conditions.append(has_word(root.c.job_id, name))
            case _:
                conditions.append(not_(has_word(root.c.job_id, name)))
    query = select(ids.c.id).select_from(ids).order_by(ids.c.id.desc()).limit(given("limit"))
    if names - {"job_id"}:
        query = query.join(root, root.c.id == ids.c.id)
    return Statement(query.where(*conditions))


@lru_cache(maxsize=4)
def _flow_last(after: bool) -> Statement:
    ids = _ids(after)
    return Statement(select(ids.c.id).order_by(ids.c.id.desc()).limit(1).offset(given("skipped")))


_SKIP_CONDITIONS: Mapping[str, Callable[[str], ColumnElement[bool]]] = {
    "schedule_id": lambda name: skips.c.schedule_id == given(name),
    "reasons": lambda name: within(skips.c.reason, name),
    "since": lambda name: skips.c.last_at >= given(name),
    "until": lambda name: skips.c.first_at < given(name),
    "word": lambda name: has_word(skips.c.job_id, name),
    "not_word": lambda name: not_(has_word(skips.c.job_id, name)),
}
_SKIPS_BY_ID = Statement(
    select(*skips.columns).where(within(skips.c.id, "ids")).order_by(skips.c.last_at.desc(), skips.c.id.desc())
)


@lru_cache(maxsize=128)
def _skip_keys(names: frozenset[str], bounds: frozenset[str], *, last: bool = False) -> Statement:
    """Keys of the skips that match; `last`: the key of the last one that may be looked at."""
    index = "ix_skips_job" if "job_id" in names else "ix_skips_last"
    query = select(skips.c.last_at, skips.c.id).with_hint(skips, f"INDEXED BY {index}", "sqlite")
    query = query.order_by(skips.c.last_at.desc(), skips.c.id.desc())
    if "job_id" in names:
        query = query.where(skips.c.job_id == given("job_id"))
    if "since" in names:
        query = query.where(skips.c.last_at >= given("since"))
    for name, sign in (("after", "<"), ("upto", ">=")):
        if name in bounds:
            key = tuple_(given(f"{name}_at"), given(f"{name}_id"))
            query = query.where(tuple_(skips.c.last_at, skips.c.id).op(sign, is_comparison=True)(key))
    if last:
        return Statement(query.limit(1).offset(given("skipped")))
    rest = sorted(names - {"job_id", "since"})
    return Statement(query.where(*(_SKIP_CONDITIONS[_NUMBER.sub("", n)](n) for n in rest)).limit(given("limit")))


class FlowLists(Session):
    """The lists."""

    def flow_ids(self, where: FlowFilter, limit: int = 50, cursor: str | None = None) -> Page[str]:
        bounds = {"job_id": where.job_id, "since": micros(where.since), "until": micros(where.until)}
        values: dict[str, object] = {name: value for name, value in bounds.items() if value is not None}
        values |= word_values(where.words) | word_values(where.not_words, "not_word")
        names, scope = frozenset(values), scope_of("flows", where)

        def keys(after: Key | None, upto: Key | None, limit: int) -> Sequence[Key]:
            looked_at = limit if not names else FLOWS_LOOKED_AT
            statement, begin = _flow_keys(names, after is not None), after and after[0]
            rows = self.fetch(statement, after=begin, looked_at=looked_at, limit=limit, **values)
            return [row for row in rows if upto is None or row >= upto]

        def last(after: Key | None, skipped: int) -> Key | None:
            begin = after and after[0]
            return self.first(_flow_last(after is not None), after=begin, looked_at=skipped + 1, skipped=skipped)

        stream = Stream(keys, last if names else None)
        walked = walk([stream], limit, start_of(cursor, scope, str), stretches=(FLOWS_LOOKED_AT,))
        return Page(tuple(key[0] for key in walked.keys), next_cursor(walked, scope), walked.partial)

    def skip_page(self, where: SkipFilter, limit: int = 50, cursor: str | None = None) -> Page[SkipRecord]:
        asked = {
            "job_id": where.job_id,
            "schedule_id": where.schedule_id,
            "reasons": listed([reason.value for reason in where.reasons]) if where.reasons else None,
            "since": micros(where.since),
            "until": micros(where.until),
        }
        if where.schedule_id is not None and where.job_id is None:
            asked["job_id"] = where.schedule_id.partition(":")[0]
        values: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
        values |= word_values(where.words) | word_values(where.not_words, "not_word")
        names, scope = frozenset(values), scope_of("skips", where)

        def bounded(after: Key | None, upto: Key | None) -> tuple[frozenset[str], dict[str, object]]:
            found: dict[str, object] = {}
            for name, key in (("after", after), ("upto", upto)):
                if key is not None:
                    found |= {f"{name}_at": key[0], f"{name}_id": key[1]}
            return frozenset(name for name, key in (("after", after), ("upto", upto)) if key is not None), found

        def keys(after: Key | None, upto: Key | None, limit: int) -> Sequence[Key]:
            bounds, ends = bounded(after, upto)
            return self.fetch(_skip_keys(names, bounds), limit=limit, **values, **ends)

        def last(after: Key | None, skipped: int) -> Key | None:
            bounds, ends = bounded(after, None)
            return self.first(_skip_keys(names, bounds, last=True), skipped=skipped, **values, **ends)

        stream = Stream(keys, last if names - {"job_id", "since"} else None)
        walked = walk([stream], limit, start_of(cursor, scope, int, int))
        rows = self.fetch(_SKIPS_BY_ID, ids=listed([key[1] for key in walked.keys]))
        return Page(tuple(skip_from_row(row) for row in rows), next_cursor(walked, scope), walked.partial)
