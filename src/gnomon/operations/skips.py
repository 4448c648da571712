"""Skips: the list of decisions that fire times make no run."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.filters import SkipFilter
from gnomon.core.records import Page
from gnomon.core.values import JsonObject

from .context import Desk
from .lookup import find_job
from .views import skip_view


def list_skips(desk: Desk, where: SkipFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Skips as objects, newest first."""
    page = desk.store.read(lambda reader: reader.skip_page(where, limit, cursor))
    return Page(tuple(skip_view(skip) for skip in page.items), page.next, page.partial)


def list_skips_of(
    desk: Desk, job_id: str, where: SkipFilter, limit: int = 50, cursor: str | None = None
) -> Page[JsonObject]:
    """The same of one job.

    Raises:
        NotFound: there is no such job.
    """
    record = desk.store.read(lambda reader: find_job(reader, job_id))
    return list_skips(desk, replace(where, job_id=record.job_id), limit, cursor)
