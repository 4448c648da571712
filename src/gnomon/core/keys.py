"""Identities of runs: ids that sort by time, and the run keys that make a second run impossible."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .values import to_micros

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_BITS = 80


def time_ordered_id(now: datetime, bits: int) -> str:
    """A 26-character id (Crockford base 32, lower case) that sorts by `now` (millisecond), then by `bits`.

    Args:
        bits: `ID_BITS` random bits.
    """
    number = (max(to_micros(now), 0) // 1000) << ID_BITS | bits
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def fire_key(schedule_id: str, fire_at: datetime) -> str:
    """Key of the run that a fire time makes."""
    return f"fire|{schedule_id}|{to_micros(fire_at)}"


def startup_key(schedule_id: str, node_id: str) -> str:
    """Key of the run that a node's start makes."""
    return f"startup|{schedule_id}|{node_id}"


def caller_key(job_id: str, idempotency_key: str) -> str:
    """Key of a run asked for with a caller's own key: asking again finds it."""
    return f"caller|{job_id}|{idempotency_key}"


def flow_key(flow_id: str, job_id: str, item: str = "", generation: int = 0) -> str:
    """Key of a job's run within a flow; a person's rerun is the next generation."""
    return f"flow|{flow_id}|{job_id}|{item}|{generation}"


def backfill_key(schedule_id: str, fire_at: datetime, generation: int = 0) -> str:
    """Key of the run by which a backfill makes good for a fire time; doing it again is the next generation."""
    return f"backfill|{schedule_id}|{to_micros(fire_at)}|{generation}"


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a key of a run within a flow says; of another key nothing."""

    item: str = ""
    generation: int = 0


def key_parts(run_key: str) -> KeyParts:
    """Item and generation of a `flow_key`."""
    parts = run_key.rsplit("|", 2)
    if len(parts) != 3 or not run_key.startswith("flow|") or not parts[2].isdecimal():
        return KeyParts()
    return KeyParts(parts[1], int(parts[2]))
