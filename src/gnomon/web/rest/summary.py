"""Sums for a dashboard, each at a bounded cost whatever the length of the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gnomon.core.access import Permission
from gnomon.operations import summary
from gnomon.operations.filters import RUNS
from gnomon.web.answers import answers, ok
from gnomon.web.asking import Asked, needs
from gnomon.web.models.summary import EXAMPLE_JOB_SUMMARY, EXAMPLE_SUMMARY, Count, JobSummaries, Summary

from .common import Asking, chosen, moment
from .runs import Word, Words

router = APIRouter(prefix="/summary", tags=["summary"])
_PERIOD = timedelta(hours=16)
_FIRST = datetime.min.replace(tzinfo=UTC)


@router.get(
    "",
    operation_id="get_summary",
    summary="How things went in a period, and stand now",
    description="Success rate, start delay, capacity, the oldest queued run, runs over time, failures by kind.",
    responses=answers(Summary, examples=[EXAMPLE_SUMMARY]),
)
def get_summary(
    asked: Annotated[Asked, needs(Permission.READ)],
    since: Word = None,
    until: Word = None,
    buckets: Annotated[int, Query(ge=1, le=200, description="At most so many stretches of time.")] = 96,
) -> Response:
    """The last 16 hours, unless a period is given."""
    desk = asked.desk
    end = moment(desk, until, "query.until") or desk.clock.now()
    begin = moment(desk, since, "query.since") or max(end, _FIRST + _PERIOD) - _PERIOD
    return ok(summary.overview(desk, begin, end, buckets))


@router.get(
    "/jobs",
    operation_id="get_job_summaries",
    summary="The newest runs and usual durations of jobs",
    responses=answers(JobSummaries, examples=[{"jobs": {"report": EXAMPLE_JOB_SUMMARY}}]),
)
def get_job_summaries(
    asked: Annotated[Asked, needs(Permission.READ)],
    id: Words = [],  # noqa: B006
    bars: Annotated[int, Query(ge=1, le=100, description="So many runs of each.")] = 30,
) -> Response:
    """Of these jobs, or of the first 200."""
    desk = asked.desk
    return ok({"jobs": summary.of_jobs(desk, id or summary.all_jobs(desk), bars)})


@router.get(
    "/count",
    operation_id="count_runs",
    summary="How many runs match a filter",
    responses=answers(Count, examples=[{"count": 41, "exact": True}]),
)
def count_runs(asked: Annotated[Asked, needs(Permission.READ)], q: Asking = None) -> Response:
    """Counted up to a bound, for the header of a list."""
    return ok(summary.count(asked.desk, chosen(RUNS, asked.desk, {}, q)))
