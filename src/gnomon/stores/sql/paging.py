"""Pages by key, with a budget: a page costs the same wherever it is, and however few entries match.

A list is one stream of keys in order, or several whose entries are merged. Where a condition has to be asked of each
entry, streams are read in stretches: first where the stretch ends, then what matches in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gnomon.core.values import digest

from .values import from_cursor, to_cursor

STRETCHES = (1_000, 3_000, 8_000, 8_000)
"""In which steps a page looks at entries: 20,000 at most, unless more are wanted."""
_FEWEST = 40
_TIMES = frozenset({"since", "until", "due_from", "due_until"})
Key: TypeAlias = "tuple[Any, ...]"


@dataclass(frozen=True, slots=True)
class Stream:
    """Entries in the order of an index.

    Attributes:
        keys: (after, upto, limit): the keys that match behind `after`, up to and with `upto`.
        last: (after, skipped): the key that lies so many entries behind `after`, matching or not; None: there are
            fewer. Without it every entry matches.
        cost: how many entries of another stream one of this counts for: those whose rows lie far from each other.
    """

    keys: Callable[[Key | None, Key | None, int], Sequence[Key]]
    last: Callable[[Key | None, int], Key | None] | None = None
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Walked:
    """Keys of a page. `after`: where to go on, or None at the end."""

    keys: list[Key]
    after: Key | None = None
    partial: bool = False


def walk(
    streams: Sequence[Stream],
    limit: int,
    after: Key | None,
    *,
    newest_first: bool = True,
    stretches: Sequence[int] = STRETCHES,
) -> Walked:
    """The next `limit` keys of all streams together, within the budget."""
    found: list[Key] = []
    shares = sum(stream.cost for stream in streams)
    if limit > sum(stretches):  # whoever wants so many has them looked for as long
        stretches = (*stretches, limit - sum(stretches))
    for stretch in stretches if streams else ():
        share = max(_FEWEST, stretch // shares)
        ends: list[Key] = []
        batch: list[Key] = []
        for stream in streams:
            end = stream.last(after, share - 1) if stream.last is not None else None
            batch += stream.keys(after, end, limit - len(found) + 1)
            if end is not None:
                ends.append(end)
        horizon = (max(ends) if newest_first else min(ends)) if ends else None
        if horizon is not None:  # beyond it not every stream was looked at
            batch = [key for key in batch if (key >= horizon if newest_first else key <= horizon)]
        found += sorted(batch, reverse=newest_first) if len(streams) > 1 else batch
        if len(found) > limit:
            return Walked(found[:limit], found[limit - 1])
        if horizon is None:
            return Walked(found)
        after = horizon
    return Walked(found, after, partial=True) if streams else Walked(found)


def scope_of(kind: str, where: object | None = None) -> str:
    """What a cursor belongs to: the list, and its filter but for times (`since:2h` moves from page to page)."""
    if where is None:
        return kind
    assert dataclasses.is_dataclass(where)
    values = {f.name: _plain(getattr(where, f.name)) for f in dataclasses.fields(where) if f.name not in _TIMES}
    return f"{kind}:{digest({name: value for name, value in values.items() if value not in ('', '()', '{}', 'None')})}"


def next_cursor(walked: Walked, scope: str) -> str | None:
    """The cursor of the next page."""
    return None if walked.after is None else to_cursor(scope, *walked.after)


def start_of(cursor: str | None, scope: str, *kinds: type) -> Key | None:
    """The key a cursor stands for. Raises UsageError `bad_cursor`."""
    return None if cursor is None else from_cursor(cursor, scope, *kinds)


def _plain(value: object) -> str:
    return str(sorted(value.items())) if isinstance(value, Mapping) else str(value)
