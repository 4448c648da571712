"""Names of traces and spans (W3C Trace Context), computed from ids: nobody has to remember them over a restart."""

from __future__ import annotations

import hashlib


def trace_id(flow_id: str) -> int:
    """128 bits: one trace for all runs of a flow."""
    return _bits(f"flow {flow_id}", 16)


def run_span(run_id: str) -> int:
    """64 bits: the span of a run, from when it could begin to its end."""
    return _bits(f"run {run_id}", 8)


def attempt_span(run_id: str, number: int) -> int:
    """64 bits: the span of one attempt."""
    return _bits(f"attempt {run_id} {number}", 8)


def traceparent(flow_id: str, run_id: str, number: int) -> str:
    """What an attempt is given as `TRACEPARENT`: spans that its program makes are children of the attempt's."""
    return f"00-{trace_id(flow_id):032x}-{attempt_span(run_id, number):016x}-01"


def _bits(text: str, size: int) -> int:
    """Never 0, which means "none"."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1
