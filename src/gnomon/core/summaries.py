"""What dashboards are told: runs in a few words, and numbers about many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .states import State


class RunBrief(NamedTuple):
    """A run in a few words."""

    id: str
    due_at: datetime
    state: State
    duration_s: float | None = None
    lateness_s: float | None = None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed runs whose errors have one signature; `run_id`: of the newest one."""

    signature: str | None
    count: int
    first_due_at: datetime
    last_due_at: datetime
    run_id: str
    job_ids: frozenset[str]


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
