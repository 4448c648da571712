"""What an operator can set about a node's engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Attributes (seconds where `_s`):

    concurrency: slots of this node: attempts that run at once.
    lease_s: how long a node may be silent before another takes over its work.
    drain_timeout_s: how long a graceful stop waits for running work before leaving it to a successor.
    retention_days, retention_runs: how long, and how many newest runs per job, history is kept.
    retention_audit_days: how long it is kept who changed what.
    log_limit: bytes of output kept per attempt.
    queues: named lines this node serves.
    claims_ahead: most short calls claimed and not ended at one time, beyond the slots (docs/decisions/0005).
    housekeeping: whether this node removes old history.
    traces: attempts are told the span they belong to (`TRACEPARENT`).
    """

    concurrency: int = 10
    lease_s: float = 30.0
    drain_timeout_s: float = 3.0
    retention_days: float = 90.0
    retention_runs: int = 1000
    retention_audit_days: float = 365.0
    log_limit: int = 10_000_000
    queues: tuple[str, ...] = ("default",)
    claims_ahead: int = 1000
    housekeeping: bool = True
    traces: bool = False
