"""Pipelines: which runs a firing creates, and when a waiting run may go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .lifecycle import SKIPPED_BY_HAND
from .model import Dependency, Job, When
from .records import RunRecord
from .states import FINAL, State


class Verdict(StrEnum):
    """What the upstreams of a waiting run say."""

    GO = "go"
    WAIT = "wait"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reason` and `text` say what is waited for, or why it can never run."""

    verdict: Verdict
    reason: str = ""
    text: str = ""


def closure(roots: Iterable[str], downstream: Callable[[Sequence[str]], Mapping[str, Sequence[str]]]) -> list[str]:
    """Ids of all jobs below `roots`, nearest first, each once, without the roots.

    Args:
        downstream: asked level by level for the direct downstreams of some jobs.
    """
    seen = set(roots)
    found: list[str] = []
    level = list(seen)
    while level:
        below = downstream(level)
        fresh = sorted({job for job_id in level for job in below.get(job_id, ())} - seen)
        seen.update(fresh)
        found += fresh
        level = fresh
    return found


def belongs_to_flow(job: Job) -> bool:
    """Whether the job runs as part of its upstreams' flows (a job with schedules of its own does not)."""
    return not job.schedules and bool(job.depends_on)


def newest_of(members: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The run that counts of each job in a flow: the newest that nobody ran again."""
    members = list(members)
    again = {run.retry_of for run in members}
    standing = [run for run in members if run.id not in again]
    return {run.job_id: run for run in sorted(standing, key=lambda r: (r.created_at, r.id))}


def judge(depends_on: Sequence[Dependency], upstreams: Mapping[str, RunRecord]) -> Judgement:
    """Decide about a waiting run from the newest run of each upstream; one that is missing has not run yet."""
    waiting: list[str] = []
    for dependency in depends_on:
        run = upstreams.get(dependency.job)
        if run is None or run.state not in FINAL:
            waiting.append(f"{dependency.job} ({'no run yet' if run is None else run.state})")
        elif not _satisfied(dependency.when, run):
            return Judgement(
                Verdict.NEVER,
                "upstream_failed" if dependency.when is not When.FAILED else "upstream_not_failed",
                f"upstream {dependency.job} ended {run.state}" + _because(run) + f", {dependency.when} is required",
            )
    if waiting:
        return Judgement(Verdict.WAIT, "upstream", "upstream " + ", ".join(waiting))
    return Judgement(Verdict.GO)


def judge_window(
    depends_on: Sequence[Dependency], histories: Mapping[str, Sequence[RunRecord]], restarts: int
) -> Judgement:
    """Decide about a fire of a job with a schedule of its own that waits for others.

    Args:
        histories: the runs of each upstream that count for this fire, oldest first: those due since the job's fire
            before, and their repetitions. The newest decides; each one that ended badly costs a restart.
    """
    waiting: list[str] = []
    bad: list[str] = []
    for dependency in depends_on:
        runs = histories.get(dependency.job, ())
        misses = [run for run in runs if run.state in FINAL and not _satisfied(dependency.when, run)]
        bad += [f"{dependency.job} ended {run.state}{_because(run)}" for run in misses]
        if not runs or runs[-1].state not in FINAL or runs[-1] in misses:
            waiting.append(f"{dependency.job} ({runs[-1].state if runs else 'no run yet'})")
    if not waiting:
        return Judgement(Verdict.GO)
    if len(bad) > restarts:
        used = f"; {restarts} restarts are used up" if restarts else ""
        return Judgement(Verdict.NEVER, "dependencies_not_met", ", ".join(bad) + used)
    return Judgement(Verdict.WAIT, "upstream", "upstream " + ", ".join(waiting))


def _satisfied(when: When, run: RunRecord) -> bool:
    match when:
        case When.SUCCEEDED:
            return run.state is State.SUCCEEDED or (run.state is State.SKIPPED and run.reason == SKIPPED_BY_HAND)
        case When.FINISHED:
            return run.state in FINAL
        case When.FAILED:
            return run.state is State.FAILED


def _because(run: RunRecord) -> str:
    return f" ({run.reason})" if run.reason else ""
