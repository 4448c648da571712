"""Jitter that every node computes alike: a hash of the schedule and the fire time, no random numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256


def jitter(schedule_id: str, fire_at: datetime, jitter_s: float) -> timedelta:
    """How much later than `fire_at` this fire starts: in [0, `jitter_s`), whole microseconds, uniform.

    Depends on the arguments only: the same on every node, after every restart and in every zone `fire_at` is given in.

    Args:
        schedule_id: identity of the schedule entry.
        fire_at: the fire time (aware).
        jitter_s: upper bound in seconds; 0 or less means none.
    """
    if jitter_s <= 0:
        return timedelta(0)
    text = f"{schedule_id}\n{fire_at.astimezone(UTC).isoformat()}"
    draw = int.from_bytes(sha256(text.encode()).digest()[:8], "big")
    return timedelta(microseconds=draw * round(jitter_s * 1_000_000) >> 64)
