"""What dashboards are told: runs in a few words, and numbers about many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


class FailureBrief(NamedTuple):
    """A failed run: whose it is, and the signature of its error."""

    id: str
    due_at: datetime
    job_id: str
    signature: str | None


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
