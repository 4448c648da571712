"""Running one http task in this process, as the worker does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gnomon.tasks.http import HTTP
from gnomon.tasks.http_run import run
from gnomon.tasks.net_addresses import Gate
from gnomon.tasks.performing import TaskFailed, Work

RUN_ID = "0190-run"


def perform(arguments: Mapping[str, Any], gate: Gate | None = None, log: list[str] | None = None) -> Any:
    """The result of a task with these arguments (validated before, as in a job file)."""
    return perform_filled(HTTP.validate(arguments), gate, log)


def perform_filled(arguments: Mapping[str, Any], gate: Gate | None = None, log: list[str] | None = None) -> Any:
    """The same with arguments as a worker gets them."""
    lines = [] if log is None else log
    return asyncio.run(run(Work(arguments, lines.append, {"GNOMON_RUN_ID": RUN_ID}), gate))


def failed(arguments: Mapping[str, Any], gate: Gate | None = None) -> TaskFailed:
    """How it failed."""
    try:
        result = perform(arguments, gate)
    except TaskFailed as failure:
        return failure
    raise AssertionError(f"it did not fail: {result}")
