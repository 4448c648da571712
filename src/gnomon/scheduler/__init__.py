"""The scheduler as a library, for embedding in any application.

`scheduler` the class, `asking` its other half · `schedules` `cron`, `every`, `at` · `views` what it tells about jobs
and runs · `functions` how functions are named · `registering` task types of
the program · `session` what is held open, forks. Builds on `app`.
"""

import logging

from .policies import Policies
from .preview import next_fires
from .registering import register_task
from .scheduler import Scheduler
from .schedules import Duration, Schedule, at, cron, every
from .views import Attempt, Job, Run, ScheduleEntry

logging.getLogger("gnomon").addHandler(logging.NullHandler())  # what is logged is the application's to show

__all__ = [
    "Attempt",
    "Duration",
    "Job",
    "Policies",
    "Run",
    "Schedule",
    "ScheduleEntry",
    "Scheduler",
    "at",
    "cron",
    "every",
    "next_fires",
    "register_task",
]
