"""Summaries against a naive computation over all runs, one by one."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gnomon.core.attempts import Failure
from gnomon.core.errors import UsageError
from gnomon.core.filters import RunFilter
from gnomon.core.records import AttemptRecord, Cause, RunRecord
from gnomon.core.signatures import signature
from gnomon.core.states import ACTIVE, FINAL, State
from gnomon.core.summaries import percentile
from gnomon.core.values import rfc3339
from gnomon.operations import summary
from gnomon.operations.runs import list_runs
from tests.unit.engine.deployment import BEGIN, Deployment

HOURS = 30
ERRORS = [
    Failure("exit_code", "it ended with exit code 3"),
    Failure("exit_code", "it ended with exit code 17"),
    Failure("timed_out", "not done within its timeout of 5 s"),
    Failure("refused", "10.0.0.7:5432 refused at 2026-11-21T10:00:00Z"),
]


def made(chance: random.Random, count: int) -> list[RunRecord]:
    """Runs of three jobs over `HOURS`, some of them items, some not over."""
    runs = []
    for number in range(count):
        due = BEGIN + timedelta(seconds=chance.uniform(0, HOURS * 3600))
        state = chance.choice([State.SUCCEEDED] * 5 + [State.FAILED] * 3 + list(State))
        begun = state not in (State.QUEUED, State.SCHEDULED, State.WAITING, State.SKIPPED)
        runs.append(
            RunRecord(
                id=f"{number:04}",
                job_id=chance.choice("abc"),
                version=1,
                state=state,
                cause=Cause.SCHEDULE,
                run_key=str(number),
                due_at=due,
                created_at=due,
                flow_id=f"{number:04}",
                actor="scheduler",
                queued_at=chance.choice([None, due + timedelta(seconds=5)]),
                lateness_s=chance.expovariate(1) if begun else None,
                duration_s=chance.lognormvariate(0, 1) if begun and state in FINAL else None,
                error=chance.choice(ERRORS) if state is State.FAILED else None,
                parent_id="0000" if chance.random() < 0.1 else None,
            )
        )
    return runs


@pytest.fixture(params=range(2))
def filled(request: pytest.FixtureRequest) -> tuple[Deployment, list[RunRecord]]:
    """A store that runs went through the usual way: made, changed, some deleted; and what is in it."""
    chance = random.Random(request.param)
    d, runs = Deployment(), made(chance, 300)
    first = [replace(run, state=State.QUEUED, error=None) for run in runs]
    assert not d.store.write(lambda tx: tx.insert_runs(first))
    assert not d.store.write(lambda tx: tx.update_runs([(run, State.QUEUED) for run in runs]))
    gone = {run.id for run in chance.sample(runs[1:], 30)}
    d.store.write(lambda tx: tx.delete_runs(gone))
    left = [run for run in runs if run.id not in gone and run.parent_id is None]
    d.clock.advance(HOURS * 3600)
    return d, sorted(left, key=lambda run: (run.due_at, run.id))


def nearest_rank(values: Sequence[float], percent: int) -> float | None:
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    assert percentile([], 0.5) is None
    assert [percentile([5, 1, 3, 2, 4], share) for share in (0.0, 0.2, 0.5, 0.8, 0.95, 1.0)] == [1, 1, 3, 4, 5, 5]


def test_bars_and_numbers_of_jobs(filled: tuple[Deployment, list[RunRecord]]) -> None:
    d, runs = filled
    told = summary.of_jobs(d.desk, ["a", "b", "nothing"])
    assert summary.bars(d.desk, ["a"])["a"] == told["a"]["bars"]
    for job_id in ("a", "b", "nothing"):
        own = [run for run in runs if run.job_id == job_id]
        bars: Any = told[job_id]["bars"]
        assert [bar["id"] for bar in bars] == [run.id for run in own[-30:]]
        assert [bar["state"] for bar in bars] == [str(run.state) for run in own[-30:]]
        last = [run for run in own if run.state in FINAL][-100:]
        durations = [run.duration_s for run in last if run.duration_s is not None]
        assert told[job_id]["p50_s"] == nearest_rank(durations, 50)
        assert told[job_id]["p95_s"] == nearest_rank(durations, 95)
        good = sum(run.state is State.SUCCEEDED for run in last)
        bad = sum(run.state is State.FAILED for run in last)
        assert (told[job_id]["succeeded"], told[job_id]["failed"]) == (good, bad)
        assert told[job_id]["success_rate"] == (good / (good + bad) if last else None)


@pytest.mark.parametrize("hours", [(0, 30), (3, 4), (0.5, 25), (23, 49), (29.99, 30), (40, 50)])
def test_success_and_delay_of_a_period(filled: tuple[Deployment, list[RunRecord]], hours: tuple[float, float]) -> None:
    d, runs = filled
    since, until = ((BEGIN + timedelta(hours=hour)).replace(second=0, microsecond=0) for hour in hours)
    inside = [run for run in runs if since <= run.due_at < until]
    told = summary.success_rate(d.desk, since, until)
    counted = Counter(run.state for run in inside if run.state in FINAL)
    assert {state: told[state] for state in FINAL} == {state: counted[state] for state in FINAL}
    good, bad = counted[State.SUCCEEDED], counted[State.FAILED]
    assert told["rate"] == (good / (good + bad) if good + bad else None)
    delays = [run.lateness_s for run in inside if run.lateness_s is not None]
    assert summary.start_delay(d.desk, since, until) == {
        "p50_s": nearest_rank(delays, 50),
        "p95_s": nearest_rank(delays, 95),
        "max_s": max(delays, default=None),
        "count": len(delays),
        "sampled": False,
    }


@pytest.mark.parametrize(
    ("hours", "buckets", "width"),
    [
        ((0, 16), 96, 600),
        ((14, 30), 96, 600),
        ((0, 30), 7, 18_000),
        ((0, 30), 1, 172_800),
        ((1.5, 1.7), 200, 60),
        ((0, 30), 200, 540),
    ],
)
def test_the_strip_has_every_run_in_its_bucket(
    filled: tuple[Deployment, list[RunRecord]], hours: tuple[float, float], buckets: int, width: int
) -> None:
    d, runs = filled
    since, until = (BEGIN + timedelta(hours=hour) for hour in hours)
    told: Any = summary.strip(d.desk, since, until, buckets)
    assert told["bucket_s"] == width
    assert len(told["buckets"]) <= buckets
    naive: list[Counter[str]] = [Counter() for _ in told["buckets"]]
    for run in runs:
        number = (run.due_at - since) // timedelta(seconds=width)
        if since <= run.due_at and number < len(naive) and (run.due_at < until or run.state in FINAL):
            naive[number][str(run.state)] += 1
    assert [bucket["counts"] for bucket in told["buckets"]] == [dict(counts) for counts in naive]
    assert told["buckets"][0]["at"] == rfc3339(since)
    assert told["partial"] is False


def test_errors_are_grouped_by_what_they_have_in_common(filled: tuple[Deployment, list[RunRecord]]) -> None:
    d, runs = filled
    since, until = BEGIN + timedelta(hours=4), BEGIN + timedelta(hours=28)
    failed = [run for run in runs if run.state is State.FAILED and since <= run.due_at < until]
    told: Any = summary.errors(d.desk, since, until)
    assert (told["failed"], told["partial"]) == (len(failed), False)
    signed = {run.id: signature(run.error) for run in failed if run.error}
    groups = Counter(signed.values())
    assert {group["signature"]: group["count"] for group in told["groups"]} == groups
    assert len(groups) == 3
    assert [group["count"] for group in told["groups"]] == sorted(groups.values(), reverse=True)
    for group in told["groups"]:
        members = [run for run in failed if signed[run.id] == group["signature"]]
        newest = members[-1]
        assert newest.error is not None
        assert (group["run_id"], group["message"]) == (newest.id, newest.error.message)
        assert group["jobs"] == sorted({run.job_id for run in members})
        assert (group["first_due_at"], group["last_due_at"]) == (rfc3339(members[0].due_at), rfc3339(newest.due_at))
        listed = list_runs(d.desk, RunFilter(signature=group["signature"], since=since, until=until), 500).items
        assert [run["id"] for run in listed] == [run.id for run in reversed(members)]


def test_counts_by_state_and_of_a_filter(filled: tuple[Deployment, list[RunRecord]]) -> None:
    d, runs = filled
    assert summary.counts(d.desk) == {
        "counts": dict(sorted(Counter(str(r.state) for r in runs).items())),
        "partial": False,
    }
    of_a = sum(run.job_id == "a" for run in runs)
    assert summary.count(d.desk, RunFilter(job_id="a")) == {"count": of_a, "exact": True}
    assert summary.count(d.desk, RunFilter(job_id="a"), 10) == {"count": 10, "exact": False}


def test_capacity_and_the_oldest_queued(filled: tuple[Deployment, list[RunRecord]]) -> None:
    d, runs = filled
    assert summary.capacity(d.desk) == {"running": 0, "capacity": 0, "nodes": 0}
    d.node()
    running = next(run for run in runs if run.state in ACTIVE)
    d.store.write(lambda tx: tx.insert_attempts([AttemptRecord(running.id, 1, 1, "n1", BEGIN, "commands")]))
    assert summary.capacity(d.desk) == {"running": 1, "capacity": d.settings.concurrency, "nodes": 1}
    everything = d.read(lambda r: r.runs(RunFilter(states=(State.QUEUED,)), 1000)).items
    items = d.read(lambda r: r.runs(RunFilter(states=(State.QUEUED,), parent_id="0000"), 1000)).items
    queued = min((*everything, *items), key=lambda run: (run.due_at, run.id))
    told = summary.oldest_queued(d.desk)
    assert told is not None
    assert told["id"] == queued.id
    assert told["age_s"] == (d.clock.now() - (queued.queued_at or queued.due_at)).total_seconds()
    assert summary.oldest_queued(Deployment().desk) is None


def test_all_of_it_at_once_and_what_is_refused(filled: tuple[Deployment, list[RunRecord]]) -> None:
    d, _ = filled
    since, until = BEGIN, BEGIN + timedelta(hours=16)
    told = summary.overview(d.desk, since, until)
    assert told["strip"] == summary.strip(d.desk, since, until)
    assert told["errors"] == summary.errors(d.desk, since, until)
    for wrong in ((until, since, 96), (since, until, 0), (since, until, 201)):
        with pytest.raises(UsageError) as caught:
            summary.strip(d.desk, *wrong)
        assert caught.value.code == "period_invalid"
    with pytest.raises(UsageError) as caught:
        summary.of_jobs(d.desk, [str(n) for n in range(201)])
    assert caught.value.code == "too_many_jobs"


def test_samples_say_that_there_was_more(monkeypatch: pytest.MonkeyPatch) -> None:
    d = Deployment()
    d.store.write(lambda tx: tx.insert_runs(made(random.Random(9), 200)))
    for name in ("MOST_STARTS", "MOST_FAILURES", "MOST_OPEN"):
        monkeypatch.setattr(summary, name, 10)
    until = BEGIN + timedelta(hours=HOURS)
    assert summary.start_delay(d.desk, BEGIN, until)["sampled"] is True
    assert summary.errors(d.desk, BEGIN, until)["partial"] is True
    assert summary.errors(d.desk, BEGIN, until)["failed"] == 10
    assert summary.strip(d.desk, BEGIN, until)["partial"] is True
    assert summary.counts(d.desk)["partial"] is True
