"""The jobs of the project. Importing this starts nothing: management commands may do so."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections, connection

from gnomon import Scheduler

P = ParamSpec("P")
R = TypeVar("R")
scheduler = Scheduler(settings.JOBS_DB)


def with_database(func: Callable[P, R]) -> Callable[P, R]:
    """Around a function that uses models: no request opens and closes Django's connections for it."""

    @wraps(func)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return func(*args, **kwargs)
        finally:
            connection.close()

    return call


@scheduler.job(interval=1)
@with_database
def tick() -> int:
    """Ask Django's database for something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 40 + 2")
        return int(cursor.fetchone()[0])
