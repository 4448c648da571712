"""A scheduler in memory, and one on a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon import Scheduler


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """In memory, not started."""
    made = Scheduler()
    yield made
    made.shutdown(wait=False)


@pytest.fixture
def on_file(tmp_path: Path) -> Iterator[Callable[..., Scheduler]]:
    """Makes schedulers on one database file."""
    made: list[Scheduler] = []

    def make(**options: Any) -> Scheduler:
        made.append(Scheduler(tmp_path / "jobs.db", **options))
        return made[-1]

    yield make
    for one in made:
        one.shutdown(wait=False)
