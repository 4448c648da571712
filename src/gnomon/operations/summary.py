"""What a dashboard shows above its lists. Every answer has a bounded cost, whatever is in the database.

Numbers of runs that are over come from counts kept by minute, hour and day (`stores.sql.tallies`); what is asked of
single runs is asked of the newest so many, and the answer says if there were more (`sampled`, `partial`). Periods are
of due times, [since, until), with the whole minutes at both ends; items of `for_each` runs are not counted, the run
they belong to is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from gnomon.core.errors import usage
from gnomon.core.filters import RunFilter
from gnomon.core.ports import Reader
from gnomon.core.records import JobFilter, RunRecord
from gnomon.core.states import State
from gnomon.core.summaries import FailureGroup, RunBrief, percentile
from gnomon.core.values import Json, JsonObject, from_micros, rfc3339, to_micros

from .context import Desk
from .nodes import living_in

BARS = 30
DURATIONS = 100
MOST_JOBS = 200
MOST_STARTS = 5_000
MOST_FAILURES = 5_000
MOST_OPEN = 20_000
MOST_COUNTED = 1_000
MOST_BUCKETS = 200
_NEXT_UNIT = {60: 3_600, 3_600: 86_400}


def bars(desk: Desk, job_ids: Sequence[str], count: int = BARS) -> dict[str, list[JsonObject]]:
    """The newest `count` runs of each job, oldest first, as bars: `{id, state, due_at, duration_s, lateness_s}`."""
    _few(job_ids)

    def work(reader: Reader) -> dict[str, list[JsonObject]]:
        ended, still_open = reader.newest_ended(job_ids, count), reader.newest_open(job_ids, count)
        return {job: [_bar(run) for run in _newest(ended[job], still_open[job], count)] for job in job_ids}

    return desk.store.read(work)


def of_jobs(desk: Desk, job_ids: Sequence[str], count: int = BARS, last: int = DURATIONS) -> dict[str, JsonObject]:
    """Of each job `{bars, p50_s, p95_s, succeeded, failed, success_rate}`.

    `bars`: its newest `count` runs (see `bars`). The rest is of its newest `last` runs that are over: percentiles of
    the durations of those that have one, how many succeeded and failed, and the share of the first in both (None:
    there are none).
    """
    _few(job_ids)

    def work(reader: Reader) -> dict[str, JsonObject]:
        ended, still_open = reader.newest_ended(job_ids, count), reader.newest_open(job_ids, count)
        outcomes = reader.newest_outcomes(job_ids, last)
        return {
            job: {
                "bars": [_bar(run) for run in _newest(ended[job], still_open[job], count)],
                **_outcomes(outcomes[job]),
            }
            for job in job_ids
        }

    return desk.store.read(work)


def success_rate(desk: Desk, since: datetime, until: datetime) -> JsonObject:
    """`{succeeded, failed, cancelled, skipped, rate}` of the runs due in a period.

    `rate`: of succeeded and failed ones the share that succeeded; None if there are none.
    """
    counted = desk.store.read(lambda reader: reader.ended_counts(since, until))
    good, bad = counted.get(State.SUCCEEDED, 0), counted.get(State.FAILED, 0)
    return {
        "succeeded": good,
        "failed": bad,
        "cancelled": counted.get(State.CANCELLED, 0),
        "skipped": counted.get(State.SKIPPED, 0),
        "rate": good / (good + bad) if good + bad else None,
    }


def start_delay(desk: Desk, since: datetime, until: datetime) -> JsonObject:
    """`{p50_s, p95_s, max_s, count, sampled}`: how much later than due the runs due in a period started.

    Of the newest 5,000 runs of the period; `count` of these have started, `sampled` says that there were more.
    """
    found = desk.store.read(lambda reader: reader.newest_lateness(since, until, MOST_STARTS + 1))
    delays = [delay for delay in found[:MOST_STARTS] if delay is not None]
    return {
        "p50_s": percentile(delays, 0.5),
        "p95_s": percentile(delays, 0.95),
        "max_s": max(delays, default=None),
        "count": len(delays),
        "sampled": len(found) > MOST_STARTS,
    }


def capacity(desk: Desk) -> JsonObject:
    """`{running, capacity, nodes}`: attempts that go on; slots of all living scheduler processes; how many live."""

    def work(reader: Reader) -> JsonObject:
        nodes = living_in(desk, reader)
        slots = sum(node.concurrency for node in nodes)
        return {"running": reader.live_total(), "capacity": slots, "nodes": len(nodes)}

    return desk.store.read(work)


def oldest_queued(desk: Desk) -> JsonObject | None:
    """The queued run that is due longest, or None: `{id, job_id, due_at, queued_at, waiting_for, age_s}`."""
    run = desk.store.read(lambda reader: reader.oldest_queued())
    if run is None:
        return None
    since = run.queued_at or run.due_at
    return {
        "id": run.id,
        "job_id": run.job_id,
        "due_at": rfc3339(run.due_at),
        "queued_at": rfc3339(run.queued_at),
        "waiting_for": run.waiting_for,
        "age_s": max(0.0, (desk.clock.now() - since).total_seconds()),
    }


def strip(desk: Desk, since: datetime, until: datetime, buckets: int = 96) -> JsonObject:
    """Runs by state over time: `{since, until, bucket_s, buckets: [{at, counts: {state: n}}], partial}`.

    At most `buckets` of equal width: whole minutes; from an hour on whole hours, from a day on whole days (UTC), and
    the first begins with one. States without runs are left out. Runs that are not over count as they stand; of more
    than 20,000 the newest (`partial`).
    """
    if until <= since or not 1 <= buckets <= MOST_BUCKETS:
        text = f"the period ends before it begins, or is to be cut into {buckets} buckets (1 to {MOST_BUCKETS})"
        raise usage("period_invalid", text, key="until", hint="give a later `until`")
    begin, width = _cut(to_micros(since) // 1_000_000, -(-to_micros(until) // 1_000_000), buckets)
    first = from_micros(begin * 1_000_000)

    def work(reader: Reader) -> tuple[Mapping[tuple[int, State], int], Sequence[tuple[datetime, State]]]:
        return reader.ended_by_bucket(first, until, width), reader.open_due(first, until, MOST_OPEN + 1)

    ended, still_open = desk.store.read(work)
    filled: dict[int, dict[str, int]] = {}
    for (number, state), count in ended.items():
        _count(filled, number, state, count)
    for due, state in still_open[:MOST_OPEN]:
        _count(filled, int((due - first).total_seconds()) // width, state, 1)
    shown: list[Json] = []
    step = timedelta(seconds=width)
    for number in range(-(-(until - first) // step)):
        shown.append({"at": rfc3339(first + number * step), "counts": dict(sorted(filled.get(number, {}).items()))})
    return {
        "since": rfc3339(first),
        "until": rfc3339(until),
        "bucket_s": width,
        "buckets": shown,
        "partial": len(still_open) > MOST_OPEN,
    }


def counts(desk: Desk) -> JsonObject:
    """How many runs there are in each state: `{counts: {state: n}, partial}`.

    Those that are over come from the kept counts; of those that are not, 20,000 are counted at most (`partial`).
    """
    ever, never = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

    def work(reader: Reader) -> tuple[Mapping[State, int], Sequence[tuple[datetime, State]]]:
        return reader.ended_counts(ever, never), reader.open_due(ever, never, MOST_OPEN + 1)

    ended, still_open = desk.store.read(work)
    sums = {str(state): count for state, count in ended.items()}
    for _, state in still_open[:MOST_OPEN]:
        sums[str(state)] = sums.get(str(state), 0) + 1
    return {"counts": dict(sorted(sums.items())), "partial": len(still_open) > MOST_OPEN}


def count(desk: Desk, where: RunFilter, most: int = MOST_COUNTED) -> JsonObject:
    """How many runs match, for the header of a list: `{count, exact}`.

    Counts up to `most`, within the budget of a page; `exact` false: there are more, or not all were looked at.
    """
    number, exact = desk.store.read(lambda reader: reader.count_runs(where, most))
    return {"count": number, "exact": exact}


def errors(desk: Desk, since: datetime, until: datetime, most: int = 20) -> JsonObject:
    """Failures of a period by the signature of their error, most frequent first.

    `{groups: [{signature, code, message, count, jobs, first_due_at, last_due_at, run_id}], failed, partial}`: of the
    newest 5,000 failures (`partial`: there were more). `code`, `message`, `run_id`: of the newest one; `jobs`: ids, at
    most 20. The filter `signature:…` lists a group.
    """

    def work(reader: Reader) -> JsonObject:
        groups, more = reader.failure_groups(since, until, MOST_FAILURES)
        largest = sorted(groups, key=lambda group: (-group.count, group.run_id))[:most]
        newest = reader.runs_by_id([group.run_id for group in largest])
        shown: list[Json] = [_group(group, newest.get(group.run_id)) for group in largest]
        return {"groups": shown, "failed": sum(group.count for group in groups), "partial": more}

    return desk.store.read(work)


def overview(desk: Desk, since: datetime, until: datetime, buckets: int = 96) -> JsonObject:
    """All of the page "Now" in one answer: `success`, `start_delay`, `capacity`, `oldest_queued`, `strip`, `errors`.

    Each as its function here gives it.
    """
    return {
        "success": success_rate(desk, since, until),
        "start_delay": start_delay(desk, since, until),
        "capacity": capacity(desk),
        "oldest_queued": oldest_queued(desk),
        "strip": strip(desk, since, until, buckets),
        "errors": errors(desk, since, until),
    }


def all_jobs(desk: Desk) -> list[str]:
    """The ids of at most 200 jobs that were not removed: what `of_jobs` takes."""
    return [record.job_id for record in desk.store.read(lambda r: r.jobs(JobFilter(), MOST_JOBS)).items]


def _few(job_ids: Sequence[str]) -> None:
    if len(job_ids) > MOST_JOBS:
        hint = "ask for one page of jobs at a time"
        raise usage("too_many_jobs", f"{len(job_ids)} jobs; at most {MOST_JOBS} in one question", key="job", hint=hint)


def _newest(ended: Sequence[RunBrief], still_open: Sequence[RunBrief], count: int) -> list[RunBrief]:
    """The newest of both, oldest first."""
    both = sorted((*ended[:count], *still_open), key=lambda run: (run.due_at, run.id))
    return both[-count:] if count else []


def _bar(run: RunBrief) -> JsonObject:
    return {
        "id": run.id,
        "state": str(run.state),
        "due_at": rfc3339(run.due_at),
        "duration_s": run.duration_s,
        "lateness_s": run.lateness_s,
    }


def _outcomes(outcomes: Sequence[tuple[State, float | None]]) -> JsonObject:
    durations = [duration for _, duration in outcomes if duration is not None]
    good = sum(state is State.SUCCEEDED for state, _ in outcomes)
    bad = sum(state is State.FAILED for state, _ in outcomes)
    return {
        "p50_s": percentile(durations, 0.5),
        "p95_s": percentile(durations, 0.95),
        "succeeded": good,
        "failed": bad,
        "success_rate": good / (good + bad) if good + bad else None,
    }


def _cut(since_s: int, until_s: int, buckets: int) -> tuple[int, int]:
    """Where the first bucket begins, and how wide they are, in seconds: whole units of minutes, hours or days."""
    for unit in (60, 3_600, 86_400):
        begin = since_s - since_s % unit
        width = -(-(until_s - begin) // (buckets * unit)) * unit
        if width < _NEXT_UNIT.get(unit, width + 1):
            break
    return begin, width


def _count(filled: dict[int, dict[str, int]], bucket: int, state: State, count: int) -> None:
    of_bucket = filled.setdefault(bucket, {})
    of_bucket[str(state)] = of_bucket.get(str(state), 0) + count


def _group(group: FailureGroup, run: RunRecord | None) -> JsonObject:
    error = None if run is None else run.error
    return {
        "signature": group.signature,
        "code": None if error is None else error.code,
        "message": None if error is None else error.message,
        "count": group.count,
        "jobs": sorted(group.job_ids)[:20],
        "first_due_at": rfc3339(group.first_due_at),
        "last_due_at": rfc3339(group.last_due_at),
        "run_id": group.run_id,
    }
