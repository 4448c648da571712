"""The part of `Scheduler` for pipelines: flows, skipping, rerunning, backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gnomon.core.errors import usage
from gnomon.core.values import Json, JsonObject
from gnomon.operations import flows as flow_operations
from gnomon.operations import runs as run_operations
from gnomon.operations.backfill import Wish
from gnomon.operations.backfill import backfill as make_good

from .reading import instant, read_run
from .session import Session
from .views import Run


class Flows:
    """What can be asked of flows: the runs of one firing of a pipeline."""

    _session: Session

    def flow(self, id: str) -> JsonObject:
        """A flow as it is now: `{"id", "state", "root", "jobs", "counts", "runs", …}`.

        Args:
            id: of the flow (`run.flow_id`), or of any of its runs.

        Raises:
            NotFound: there is none.

        >>> scheduler.flow(scheduler.run("hello").flow_id)["state"]
        'running'
        """
        return flow_operations.show_flow(self._session.desk, id)

    def flows(
        self,
        job_id: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int = 50,
    ) -> list[JsonObject]:
        """Flows of more than one job, newest first, without their runs.

        Args:
            job_id: only those in which this job runs after others.
            since, until: with a run of such a job due in this period (aware; its end is no part of it).
            limit: at most so many.

        Raises:
            UsageError: a time has no zone.

        >>> after = scheduler.add_job("after", "json:dumps", depends_on="hello", args=[1])
        >>> run = scheduler.run("hello")
        >>> [flow["jobs"] for flow in scheduler.flows()]
        [['after', 'hello']]
        """
        bounds = instant(since, "since"), instant(until, "until")
        return flow_operations.list_flows(self._session.desk, job_id, *bounds, limit)

    def cancel_flow(self, id: str) -> JsonObject:
        """Cancel every run of a flow that is not over; returns the flow.

        Raises:
            NotFound: there is no such flow. Conflict: it is over.

        >>> scheduler.cancel_flow(scheduler.run("hello").flow_id)["state"]
        'cancelled'
        """
        flow = flow_operations.cancel_flow(self._session.desk, id)
        self._session.wake()
        return flow

    def retry_flow(self, id: str) -> JsonObject:
        """Rerun a flow from its failed jobs: new runs for them and for what was skipped because of them.

        What succeeded is not run again; of a `for_each` run, only the items that did not succeed are.

        Raises:
            NotFound: there is no such flow. Conflict: nothing of it failed.

        >>> flow = scheduler.cancel_flow(scheduler.run("hello").flow_id)
        >>> scheduler.retry_flow(flow["id"])["counts"]
        {'queued': 1}
        """
        flow = flow_operations.retry_flow(self._session.desk, id)
        self._session.wake()
        return flow

    def retry(self, run_id: str) -> Run:
        """Run a finished run's job again, with its parameters, in the same flow; what it held up goes on with it.

        Raises:
            NotFound: there is no such run. Conflict: it is not over, or its job was removed.

        >>> run = scheduler.run("hello")
        >>> scheduler.cancel(run.id)
        >>> scheduler.retry(run.id).retry_of == run.id
        True
        """
        view = run_operations.retry_run(self._session.desk, run_id)
        self._session.wake()
        return read_run(self._session.desk, str(view["id"]))

    def skip(self, run_id: str) -> None:
        """Take a run that has not begun out of its flow, which goes on as if it had succeeded.

        Raises:
            NotFound: there is no such run. Conflict: it runs, or is over.

        >>> run = scheduler.run("hello")
        >>> scheduler.skip(run.id)
        >>> scheduler.get_run(run.id).reason
        'skipped_by_hand'
        """
        run_operations.skip_run(self._session.desk, run_id)
        self._session.wake()

    def backfill(
        self,
        id: str,
        since: datetime | str,
        until: datetime | str,
        *,
        schedule: str | None = None,
        concurrency: int = 1,
        again: bool = False,
        newest_first: bool = False,
        parameters: Mapping[str, Json] | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Make a run for each past fire time of a job that has none; doing it twice makes nothing twice.

        Args:
            since, until: fire times in [since, until), aware. Those the scheduler still decides are left to it.
            schedule: id of one entry of the job; default: all of them.
            concurrency: at most so many of these runs at once.
            again: also where there is a run already.
            newest_first: the newest fire time runs first.
            parameters: for every run, over those of the schedule.
            dry_run: only tell which fire times.

        Returns:
            `{"job_id", "fires": [{"at", "local", "schedule_id", "run_id"}], "there": count, "dry_run"}`.

        Raises:
            NotFound: there is no such job. Conflict: it was removed.
            UsageError: no schedule, more than 10,000 fire times, a parameter that is not declared.

        >>> daily = scheduler.add_job("daily", "json:dumps", cron="0 0 * * *", args=[{}])
        >>> answer = scheduler.backfill("daily", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
        >>> [fire["at"] for fire in answer["fires"]]
        ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']
        """
        begin, end = instant(since, "since"), instant(until, "until")
        if begin is None or end is None:
            raise usage("backfill_range", "a backfill needs a beginning and an end", key="since", hint="give both")
        wish = Wish(id, begin, end, schedule, concurrency, again, newest_first, parameters)
        answer = make_good(self._session.desk, wish, dry_run=dry_run)
        self._session.wake()
        return answer
