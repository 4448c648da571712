"""Live events."""

from __future__ import annotations

EXAMPLE_EVENT = """id: 4711
event: change
data: {"seq":4711,"at":"2026-11-21T10:00:00Z","runs":[{"id":"01k…","job_id":"report","state":"running"}]}
"""
