"""The one filter language of every list: `job:nightly state:failed since:2h`; CLI options and REST come through it.

where = RUNS.parse("state:failed since:2h", reading_of(desk))
RUNS.write(where)
"""

from __future__ import annotations

from .languages import AUDIT, CONFIGURATIONS, FLOWS, JOBS, LANGUAGES, RUNS, SCHEDULES, SKIPS, Language
from .reading import Reading, reading_of, task_types

__all__ = [
    "AUDIT",
    "CONFIGURATIONS",
    "FLOWS",
    "JOBS",
    "LANGUAGES",
    "RUNS",
    "SCHEDULES",
    "SKIPS",
    "Language",
    "Reading",
    "reading_of",
    "task_types",
]
