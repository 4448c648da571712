"""How many runs that are over were due in each minute, hour and day, by state: kept, never counted by reading them.

Items are not counted. A run counts from its end until it is deleted, so the sums are those of the runs that are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, literal_column, select
from sqlalchemy.sql import ClauseElement

from gnomon.core.records import RunRecord
from gnomon.core.states import FINAL, State
from gnomon.core.values import to_micros

from .schema import ENDED_RUN, runs, tallies
from .session import INSERTS, Session, Statement, WriteSession, given, listed, within

MINUTE, HOUR, DAY = 60, 3_600, 86_400
SPANS = (DAY, HOUR, MINUTE)
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
_IN_PERIOD = (tallies.c.span == given("span"), tallies.c.at >= given("begin"), tallies.c.at < given("end"))
_BUCKET = (tallies.c.at - given("origin")).op("/", precedence=8)(given("width"))  # whole numbers
_BUCKETS = Statement(
    select(_BUCKET, tallies.c.state, func.sum(tallies.c.count))
    .where(*_IN_PERIOD)
    .group_by(literal_column("1"), tallies.c.state)
)
_SUMS = Statement(select(tallies.c.state, func.sum(tallies.c.count)).where(*_IN_PERIOD).group_by(tallies.c.state))


class TallyReads(Session):
    """Questions about the counts."""

    def ended_by_bucket(self, since: datetime, until: datetime, width_s: int) -> Mapping[tuple[int, State], int]:
        begin, span = to_micros(since), next(span for span in SPANS if width_s % span == 0)
        bounds = {"begin": _floor_of(begin, span), "end": to_micros(until), "origin": begin}
        rows = self.fetch(_BUCKETS, span=span, width=width_s * _SECOND, **bounds)
        return {(int(number), State(state)): count for number, state, count in rows}

    def ended_counts(self, since: datetime, until: datetime) -> Mapping[State, int]:
        sums = Counter[State]()
        begin, end = _floor_of(to_micros(since), MINUTE), _ceiling_of(to_micros(until), MINUTE)
        for span, low, high in _parts(begin, end, SPANS):
            for state, count in self.fetch(_SUMS, span=span, begin=low, end=high):
                sums[State(state)] += count
        return dict(sums)


def _parts(begin: int, end: int, spans: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """A period as whole spans, the longest in its middle: (span, begin, end) each."""
    span, *shorter = spans
    first, last = _ceiling_of(begin, span), _floor_of(end, span)
    if first >= last:
        yield from _parts(begin, end, shorter) if shorter and begin < end else ()
        return
    yield span, first, last
    if shorter:
        yield from _parts(begin, first, shorter)
        yield from _parts(last, end, shorter)


class TallyWrites(WriteSession):
    """Keeping the counts."""

    def tally(self, ended: Iterable[RunRecord]) -> None:
        """These are over now."""
        self._change(((to_micros(run.due_at), run.state.value) for run in ended if _counts(run)), 1)

    def untally(self, run_ids: Collection[str]) -> None:
        """These are deleted next."""
        self._change(self.fetch(_COUNTED, ids=listed(run_ids)), -1)

    def _change(self, of: Iterable[tuple[int, str]], sign: int) -> None:
        sums = Counter((span, _floor_of(due, span), state) for due, state in of for span in SPANS)
        self.change_many(_ADD, [(*key, sign * count) for key, count in sums.items()])
        if sign < 0:
            self.change_many(_DROP_EMPTY, list(sums))


def _counts(run: RunRecord) -> bool:
    return run.state in FINAL and run.parent_id is None


def _floor_of(micros: int, span: int) -> int:
    """The beginning of the span that an instant lies in."""
    return micros - micros % (span * _SECOND)


def _ceiling_of(micros: int, span: int) -> int:
    """The same, or the next one unless it begins just then."""
    return -_floor_of(-micros, span)
