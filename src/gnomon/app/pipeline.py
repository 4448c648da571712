"""One job file as a pipeline: every job once, in the order of its dependencies, in a private database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gnomon.core.errors import InvariantViolated, Problem, UsageError
from gnomon.core.fanout import PARENTS
from gnomon.core.model import Job
from gnomon.core.ports import Transaction
from gnomon.core.records import AttemptRecord, RunRecord, Source, SourceKind
from gnomon.core.states import FINAL, State
from gnomon.engine.loop import IN_A_ROW
from gnomon.jobfiles.uses import Content
from gnomon.operations.configurations import put
from gnomon.operations.definitions import upsert
from gnomon.operations.runs import start_pipeline
from gnomon.operations.settings import Settings

from .parts import MEMORY, Parts, open_parts
from .running import Running, running

Watch = Callable[[Sequence[RunRecord]], None]
_PATIENCE_S = 20.0
ITEMS_TOLD = 5
"""Failed items of which the output is kept for the result."""
ReadLog = Callable[[str, int], bytes]


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """`runs` in the order of their dependencies; `ok` if none failed or was cancelled.

    `logs`: the output of each run's last attempt; of items, of the first that failed. `attempts`: of each run that
    began. `items`: of each `for_each` run, in the order of its list.
    """

    runs: tuple[RunRecord, ...]
    logs: Mapping[str, bytes]
    attempts: Mapping[str, tuple[AttemptRecord, ...]]
    items: Mapping[str, tuple[RunRecord, ...]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(run.state in (State.SUCCEEDED, State.SKIPPED) for run in self.runs)


def run_file(
    settings: Settings,
    jobs: Sequence[Job],
    path: Path,
    *,
    pools: dict[str, int] | None = None,
    configurations: Mapping[str, Content] | None = None,
    watch: Watch = lambda runs: None,
    interrupted: threading.Event | None = None,
) -> PipelineResult:
    """Run `jobs` to their end; their schedules do not matter.

    Args:
        path: where they come from, for their records.
        configurations: what their tasks may use.
        watch: called with all runs whenever some changed, from this thread.
        interrupted: when set, everything is cancelled (and stopped) before this returns; it waits for that no longer
            than the jobs' `kill_grace` and a little.

    Raises:
        UsageError: there is no enabled job to begin with.
        InvariantViolated: steps of the scheduler fail, one after the other.
    """
    stripped = [replace(job, schedules=(), catch_up=job.catch_up) for job in jobs]
    roots = [job.job_id for job in stripped if not job.depends_on]
    if not any(job.enabled for job in stripped):
        raise UsageError(
            Problem("nothing_to_run", f"{path} has no enabled job", hint="`gnomon validate` lists its jobs")
        )
    with open_parts(settings, db=MEMORY) as parts, running(parts, jobs=None, alerts=False) as node:
        flow_id = _load(parts, node, stripped, roots, path, pools or {}, configurations or {})
        node.start()
        steps = _steps(stripped)
        patience_s = max(job.kill_grace_s for job in stripped) + _PATIENCE_S
        runs = _follow(parts, node, flow_id, steps, watch, interrupted or threading.Event(), patience_s)
        parents = [run.id for run in runs if run.queue == PARENTS]
        items = parts.store.read(lambda r: {parent: tuple(r.items(parent)) for parent in parents})
        failed = [item for some in items.values() for item in some if item.state is State.FAILED][:ITEMS_TOLD]
        shown = [run for run in (*runs, *failed) if run.attempts]
        last = {run.id: parts.logs.read(run.id, run.attempts, 0, settings.log_limit)[0] for run in shown}
        every = [run.id for run in (*runs, *(item for some in items.values() for item in some))]
        return PipelineResult(tuple(runs), last, parts.store.read(lambda r: r.attempts(every)), items)


def _load(
    parts: Parts,
    node: Running,
    jobs: Sequence[Job],
    roots: list[str],
    path: Path,
    pools: dict[str, int],
    configurations: Mapping[str, Content],
) -> str:
    now = parts.clock.now()
    source = Source(SourceKind.FILE, str(path))

    def work(tx: Transaction) -> None:
        tx.put_pools(pools, "files")
        for name, content in configurations.items():
            put(tx, name, content, source, now, "run")
        for job in jobs:
            upsert(tx, node.desk.planner, job, source, now)

    parts.store.write(work)
    return start_pipeline(parts.desk(), roots)


def _steps(jobs: Sequence[Job]) -> dict[str, int]:
    """How many upstreams lie one behind the other before each job (there are no cycles)."""
    steps: dict[str, int] = {}
    upstreams = {job.job_id: [d.job for d in job.depends_on] for job in jobs}
    for _ in jobs:
        before = dict(steps)
        steps = {job: 1 + max((steps.get(u, 0) for u in above), default=0) for job, above in upstreams.items()}
        if steps == before:
            break
    return steps


def _follow(
    parts: Parts,
    node: Running,
    flow_id: str,
    steps: Mapping[str, int],
    watch: Watch,
    interrupted: threading.Event,
    patience_s: float,
) -> list[RunRecord]:
    """Until no run of the flow is active, or the patience after an interruption is over."""
    seen: list[RunRecord] = []
    give_up: float | None = None
    while True:
        runs = sorted(parts.store.read(lambda r: r.flow(flow_id)), key=lambda run: steps.get(run.job_id, 0))
        if runs != seen:
            watch(runs)
            seen = runs
        if all(run.state in FINAL for run in runs) and node.idle():
            return runs
        _check(node)
        if give_up is None and interrupted.wait(0.05):
            node.cancel_all()
            give_up = parts.clock.monotonic() + patience_s
        elif give_up is not None:
            threading.Event().wait(0.05)
            if parts.clock.monotonic() > give_up:
                return runs


def _check(node: Running) -> None:
    """Nobody but us would notice that a private scheduler cannot go on."""
    if node.failure is not None:
        raise node.failure
    failing = node.loop.failing
    if failing is not None and failing.count >= IN_A_ROW:
        text = f"steps of the scheduler fail, {failing.count} in a row: {failing.text}"
        raise InvariantViolated(Problem("steps_failed", text, hint="the pipeline is given up; please report it"))
