"""Retention: it keeps up with what comes, never takes what somebody needs, and leaves no log without its run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gnomon.core.errors import Conflict
from gnomon.core.model import Dependency, Task
from gnomon.core.records import RunFilter, RunRecord
from gnomon.core.states import State
from gnomon.engine.settings import EngineSettings
from gnomon.executors.files import AttemptFiles
from gnomon.executors.logs import Logs
from gnomon.operations.deleting import Deletion, delete_chosen_runs
from gnomon.operations.jobs import delete_job
from gnomon.operations.runs import start_run
from gnomon.stores.sql import needed
from gnomon.system.clock import VirtualClock

from .deployment import BEGIN, Deployment, begun, over, report


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def test_the_janitor_goes_on_until_nothing_is_left(d: Deployment) -> None:
    """Runs without attempts count like others: 1 in 100 was skipped, and 500 went in a minute instead of in a step."""
    d.settings = EngineSettings(retention_runs=3)
    d.add("a")
    now = d.clock.now()
    like = replace(_queued(d), state=State.SKIPPED)
    made = [
        replace(like, id=f"{n}", run_key=f"{n}", flow_id=f"{n}", due_at=now - timedelta(seconds=n))
        for n in range(1, 1300)
    ]
    d.store.write(lambda tx: tx.insert_runs(made))
    node, _ = d.node()
    node.step()
    assert len(d.runs("a")) == 3


def _queued(d: Deployment) -> RunRecord:
    start_run(d.desk, "a")
    return d.run("a")


def test_the_janitor_lets_what_is_due_have_its_turn(d: Deployment) -> None:
    class Slow(VirtualClock):
        def monotonic(self) -> float:
            self.advance(0.03)
            return super().monotonic()

    d.clock = Slow(BEGIN)
    d.settings = EngineSettings(retention_runs=0)
    d.add("a")
    like = _queued(d)
    made = [replace(like, id=f"{n}", run_key=f"{n}", flow_id=f"{n}", state=State.FAILED) for n in range(2000)]
    d.store.write(lambda tx: tx.insert_runs(made))
    node, _ = d.node()
    left = []
    while not left or left[-1] > 1:
        wake = node.step()
        left.append(len(d.read(lambda r: r.runs(RunFilter(job_id="a"), limit=9999)).items))
        assert left[-1] == 1 or (wake is not None and wake <= d.clock.now())
    assert len(left) > 1


def test_logs_whose_run_is_gone_are_removed_in_the_end(d: Deployment, tmp_path: Path) -> None:
    """Somebody died between a run's removal and that of its log, or the directory could not be written."""
    logs = Logs(tmp_path)
    d.logs = logs  # type: ignore[assignment]
    d.add("a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    kept = executor.started[0].run_id
    files = AttemptFiles(tmp_path)
    for number in range(600):
        Path(files.prepare(f"gone{number}", 1) + ".log").write_text("x")
        Path(files.prepare(f"gone{number}", 1) + ".cut").write_text("x")
    Path(files.prepare(kept, 1) + ".log").write_text("x")
    Path(files.prepare("strange", 1) + ".txt").write_text("x")
    d.clock = VirtualClock(datetime.now(UTC) + timedelta(hours=1))
    for _ in range(257):
        node.janitor._orphans(d.store, logs, d.clock.now())
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted([f"{kept}.1.log", "strange.1.txt"])


def test_logs_that_are_young_stay(d: Deployment, tmp_path: Path) -> None:
    """Their run may be in a commit that is not known yet."""
    files = AttemptFiles(tmp_path)
    Path(files.prepare("new", 1) + ".log").write_text("x")
    node, _ = d.node()
    for _ in range(257):
        node.janitor._orphans(d.store, Logs(tmp_path), datetime.now(UTC))
    assert len(list(tmp_path.rglob("*.log"))) == 1


def test_a_slow_downstream_keeps_what_it_reads(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its upstream ran three times more while it waited, and three is what is kept."""
    monkeypatch.setattr(needed, "LOOKED_AT", 2)
    d.settings = EngineSettings(retention_runs=3)
    d.add("root", "every 1s")
    below = Task("command", {"command": ["echo", "${runs.root.result}"]})
    d.add("below", task=below, depends_on=(Dependency("root"),), max_active=1)
    node, executor = d.node()
    for second in range(120):
        d.clock.advance(1)
        node.step()
        for spec in [spec for spec in executor.started if spec.job_id == "root" or second % 5 == 0]:
            executor.started.remove(spec)
            report(node, begun(spec, d.clock.now()), over(spec, d.clock.now(), result=second))
        node.step()
    done = [run for run in d.runs("below") if run.state is not State.WAITING]
    assert {run.state for run in done} <= {State.QUEUED, State.RUNNING, State.SUCCEEDED}, [run.error for run in done]
    for run in done:
        if run.state is State.QUEUED:
            assert d.read(lambda r, run=run: r.run(run.flow_id)) is not None  # type: ignore[misc]
    d.clock.advance(60)
    node.step()
    roots = d.runs("root")
    standing = {run.flow_id for run in d.runs("below") if run.state in (State.QUEUED, State.RUNNING)}
    assert len(standing) < len(roots) <= len(standing) + 3 + 2


def test_nobody_deletes_by_hand_what_a_flow_needs(d: Deployment) -> None:
    d.add("root")
    d.add("below", depends_on=(Dependency("root"),))
    start_run(d.desk, "root")
    node, executor = d.node()
    node.step()
    spec = executor.started.pop()
    report(node, over(spec, d.clock.now()))
    node.step()
    assert d.states() == {"root": "succeeded", "below": "running"}
    done = delete_chosen_runs(d.desk, Deletion([spec.run_id]))
    assert (done.deleted, [kept.id for kept in done.kept]) == ([], [spec.run_id])
    with pytest.raises(Conflict):
        delete_job(d.desk, "root")
    assert d.run("root").id == spec.run_id
    report(node, over(executor.started.pop(), d.clock.now()))
    node.step()
    assert delete_chosen_runs(d.desk, Deletion([spec.run_id])).deleted == [spec.run_id]
