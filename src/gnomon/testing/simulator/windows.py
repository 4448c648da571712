"""Wider flows, and a job that has dependencies as well as a schedule of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gnomon.core.model import Dependency, When
from gnomon.core.records import RunRecord
from gnomon.core.states import FINAL, State

from .oracle import Every
from .parts import Part, Seen, demand

if TYPE_CHECKING:
    from .author import Author

REPORT = "report"
RULE = Every(120.0)


class Windows(Part):
    """`report` fires by itself and begins after what its upstreams did since its fire before."""

    def __init__(self) -> None:
        self._anchor = datetime.max.replace(tzinfo=UTC)

    def begin(self, author: Author) -> None:
        self._anchor = author.desk.clock.now()
        pick = author.random.choice
        upstreams = [job_id for job_id in ("job0", "job1") if job_id in author.known]
        needs = tuple(Dependency(job_id, pick(list(When))) for job_id in upstreams)
        author.schedule(REPORT, {"x": RULE}, depends_on=needs, dependency_timeout_s=pick([30.0, 119.0, 300.0]))
        below = [str(job_id) for job_id in ("below", "always") if job_id in author.known]
        for number in range(author.random.randint(0, 3) if below else 0):
            chosen = author.random.sample(below, author.random.randint(1, min(3, len(below))))
            job_id = f"wide{number}"
            author.follow(job_id, tuple(Dependency(one, pick(list(When))) for one in chosen))
            below.append(job_id)

    def may_wait(self, run: RunRecord, now: datetime) -> bool:
        return (
            run.job_id == REPORT
            and run.state is State.WAITING
            and run.deadline_at is not None
            and run.deadline_at > now
        )

    def after_step(self, seen: Seen) -> None:
        reports = {run.id for run, attempt in seen.claims() if run.job_id == REPORT and attempt.number == 1}
        for run in seen.runs:
            if run.id in reports and run.schedule_id is not None and run.retry_of is None:
                self._began(seen, run)

    def _began(self, seen: Seen, run: RunRecord) -> None:
        fire = run.fire_at or run.due_at
        since = fire - timedelta(seconds=RULE.seconds)
        if since <= self._anchor:  # its first fire: everything before counts
            since = datetime.min.replace(tzinfo=fire.tzinfo)
        for needed in seen.job_of(run).depends_on:
            ups = [up for up in seen.runs if up.job_id == needed.job and since < up.due_at <= fire]
            mates = {up.flow_id for up in ups}
            ups += [up for up in seen.runs if up.job_id == needed.job and up.flow_id in mates]
            good = any(_satisfies(up, needed.when) for up in ups)
            demand(good, f"own schedule: {run.id} of {REPORT} began at {fire} without {needed.job} {needed.when}")


def _satisfies(run: RunRecord, when: When) -> bool:
    match when:
        case When.SUCCEEDED:
            return run.state is State.SUCCEEDED
        case When.FINISHED:
            return run.state in FINAL
        case When.FAILED:
            return run.state is State.FAILED
