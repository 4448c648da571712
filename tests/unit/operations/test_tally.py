"""What a process counts of its own work, and how things stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gnomon.core.records import Cause, RunRecord, SkipReason, SkipRecord
from gnomon.core.states import State
from gnomon.operations.tally import MOST_JOBS, OTHERS, Histogram, Tally

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def run(job_id: str, state: State, duration_s: float | None = None, lateness_s: float | None = None) -> RunRecord:
    return RunRecord(
        *("r", job_id, 1, state, Cause.SCHEDULE, "k", T0, T0, "r", "schedule"),
        duration_s=duration_s,
        lateness_s=lateness_s,
    )


def test_histograms_count_up_to_each_bound() -> None:
    values = Histogram((1, 10))
    for seconds in (0, 1, 1.5, 10, 11):
        values.add(seconds)
    assert values.counts == [2, 2, 1]
    assert values.total == 23.5


def test_what_ended_is_counted_by_job_and_state() -> None:
    tally = Tally()
    tally.ended([run("a", State.SUCCEEDED, 2.0, 0.1), run("a", State.FAILED, 3.0, -0.001), run("b", State.SKIPPED)])
    skip = SkipRecord("a:default", "a", T0, T0 + timedelta(hours=1), 60, SkipReason.OVERLAP, "", T0)
    tally.ended([], [skip])
    assert dict(tally.runs) == {("a", "succeeded"): 1, ("a", "failed"): 1, ("b", "skipped"): 1}
    assert dict(tally.skips) == {"overlap": 60}
    assert sum(tally.durations.counts) == 2
    assert tally.lateness.counts[0] == 1, "a clock that was set back makes no run early"


def test_jobs_beyond_a_thousand_are_counted_together() -> None:
    tally = Tally()
    tally.ended([run(f"j{i}", State.SUCCEEDED) for i in range(MOST_JOBS + 5)])
    tally.ended([run("j0", State.SUCCEEDED)])
    assert tally.runs[OTHERS, "succeeded"] == 5
    assert tally.runs["j0", "succeeded"] == 2
    assert len(tally.runs) == MOST_JOBS + 1
