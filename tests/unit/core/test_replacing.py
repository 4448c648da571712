"""Copies with changes: as `dataclasses.replace` makes them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from gnomon.core.records import AttemptRecord, Cause, RunRecord
from gnomon.core.replacing import replace
from gnomon.core.states import State

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RUN = RunRecord("r", "a", 1, State.QUEUED, Cause.SCHEDULE, "k", T0, T0, "r", "schedule", labels={"x": "y"})
ATTEMPT = AttemptRecord("r", 1, 7, "n", T0, "pool")


def test_a_copy_has_the_changes_and_all_else() -> None:
    changes = {"state": State.RUNNING, "started_at": T0, "attempts": 1}
    assert replace(RUN, **changes) == dataclasses.replace(RUN, **changes)  # type: ignore[arg-type]
    assert replace(ATTEMPT, token=8) == dataclasses.replace(ATTEMPT, token=8)
    assert replace(RUN) == RUN
    assert replace(RUN) is not RUN


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="no field 'stat'"):
        replace(RUN, stat=1)
    with pytest.raises(TypeError):
        replace("text", x=1)


@dataclasses.dataclass
class Odd:
    a: int
    b: int = dataclasses.field(init=False, default=1)


def test_what_it_can_not_copy_is_refused() -> None:
    with pytest.raises(TypeError, match="dataclasses"):
        replace(Odd(1), a=2)
