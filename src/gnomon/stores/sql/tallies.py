"""How many runs that are over were due in each minute and in each day, by state: kept, never counted by reading them.

Items are not counted. A run counts from its end until it is deleted, so the sums are those of the runs that are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, func, literal_column, select
from sqlalchemy.sql import ClauseElement

from gnomon.core.records import RunRecord
from gnomon.core.states import FINAL, State
from gnomon.core.values import to_micros

from .schema import ENDED_RUN, runs, tallies
from .session import INSERTS, Session, Statement, WriteSession, given, listed, within

MINUTE, DAY = 60, 86_400
_SECOND = 1_000_000


def _add(dialect: str) -> ClauseElement:
    adding = INSERTS[dialect](tallies)
    made: ClauseElement = adding.on_conflict_do_update(
        index_elements=["span", "at", "state"], set_={"count": tallies.c.count + adding.excluded.count}
    )
    return made


_ADD = Statement(_add)
_DROP_EMPTY = Statement(
    delete(tallies).where(
        tallies.c.span == given("span"),
        tallies.c.at == given("at"),
        tallies.c.state == given("state"),
        tallies.c.count <= literal_column("0"),
    )
)
_COUNTED = Statement(
    select(runs.c.due_at, runs.c.state).where(within(runs.c.id, "ids"), ENDED_RUN, runs.c.parent_id.is_(None))
)
_BY_BEGINNING = Statement(
    select(tallies.c.at, tallies.c.state, tallies.c.count).where(
        tallies.c.span == given("span"), tallies.c.at >= given("begin"), tallies.c.at < given("end")
    )
)
_SUMS = Statement(
    select(tallies.c.state, func.sum(tallies.c.count))
    .where(tallies.c.span == given("span"), tallies.c.at >= given("begin"), tallies.c.at < given("end"))
    .group_by(tallies.c.state)
)


class TallyReads(Session):
    """Questions about the counts."""

    def ended_by_minute(self, since: datetime, until: datetime) -> Mapping[tuple[int, State], int]:
        found = self.fetch(_BY_BEGINNING, span=MINUTE, begin=_floor(since, MINUTE), end=to_micros(until))
        return {(at // _SECOND, State(state)): count for at, state, count in found}

    def ended_counts(self, since: datetime, until: datetime) -> Mapping[State, int]:
        begin, end = _floor(since, MINUTE), -_floor_of(-to_micros(until), MINUTE)
        first, last = -_floor_of(-begin, DAY), _floor_of(end, DAY)
        parts = (
            [(MINUTE, begin, end)]
            if first >= last
            else [(MINUTE, begin, first), (DAY, first, last), (MINUTE, last, end)]
        )
        sums = Counter[State]()
        for span, low, high in parts:
            for state, count in self.fetch(_SUMS, span=span, begin=low, end=high) if low < high else ():
                sums[State(state)] += count
        return dict(sums)


class TallyWrites(WriteSession):
    """Keeping the counts."""

    def tally(self, ended: Iterable[RunRecord]) -> None:
        """These are over now."""
        self._change(((to_micros(run.due_at), run.state.value) for run in ended if _counts(run)), 1)

    def untally(self, run_ids: Collection[str]) -> None:
        """These are deleted next."""
        self._change(self.fetch(_COUNTED, ids=listed(run_ids)), -1)

    def _change(self, of: Iterable[tuple[int, str]], sign: int) -> None:
        sums = Counter((span, _floor_of(due, span), state) for due, state in of for span in (MINUTE, DAY))
        self.change_many(_ADD, [(*key, sign * count) for key, count in sums.items()])
        if sign < 0:
            self.change_many(_DROP_EMPTY, list(sums))


def _counts(run: RunRecord) -> bool:
    return run.state in FINAL and run.parent_id is None


def _floor(at: datetime, span: int) -> int:
    return _floor_of(to_micros(at), span)


def _floor_of(micros: int, span: int) -> int:
    """The beginning of the span that an instant lies in."""
    return micros - micros % (span * _SECOND)
