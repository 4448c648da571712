"""Every change says what was before and what is now."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.filters import AuditFilter
from gnomon.core.model import Dependency
from gnomon.operations.audit import list_audit
from gnomon.operations.deleting import delete_chosen_runs, named_runs
from gnomon.operations.flows import cancel_flow, retry_flow
from gnomon.operations.jobs import delete_job, pause_job, resume_job, retire_job, save_job
from gnomon.operations.runs import cancel_run, retry_run, skip_run, start_pipeline, start_run
from gnomon.operations.schedules import edit_schedule, pause_schedule, reset_schedule, resume_schedule
from tests.unit.engine.deployment import PYTHON, Deployment, finish
from tests.unit.operations.test_files import Watched

OPERATIONS = Path(__file__).resolve().parents[3] / "src" / "gnomon" / "operations"
NOTHING_TO_SAY = {"files.confirm_empty"}


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def last(d: Deployment, action: str) -> tuple[Any, Any]:
    """Before and after of the newest change, which must be this action."""
    found: Mapping[str, Any] = list_audit(d.desk, AuditFilter(), 1).items[0]
    assert found["action"] == action
    return found["before"], found["after"]


def test_jobs(d: Deployment) -> None:
    save_job(d.desk, d.job("a", "every 60s", description="one"), PYTHON)
    before, after = last(d, "job.save")
    assert before is None
    assert (after["version"], after["description"], after["task"]["command"]) == (1, "one", ["true"])
    assert after["source"] == {"kind": "python", "path": None}
    save_job(d.desk, d.job("a", "every 60s", description="two", priority=3), PYTHON)
    assert last(d, "job.save") == (
        {"version": 1, "description": "one"},
        {"version": 2, "description": "two", "priority": 3},
    )
    pause_job(d.desk, "a", "why")
    assert last(d, "job.pause") == ({"paused": False, "reason": None}, {"paused": True, "reason": "why"})
    resume_job(d.desk, "a")
    assert last(d, "job.resume") == ({"paused": True, "reason": "why"}, {"paused": False, "reason": None})
    retire_job(d.desk, "a")
    before, after = last(d, "job.remove")
    assert (before["version"], before["description"], after) == (2, "two", None)
    save_job(d.desk, d.job("a", "every 60s", description="two", priority=3), PYTHON)
    assert last(d, "job.save")[0] is None
    delete_job(d.desk, "a")
    assert last(d, "job.delete")[0]["description"] == "two"


def test_runs(d: Deployment) -> None:
    d.add("a", "every 60s")
    queued = str(start_run(d.desk, "a")["id"])
    assert last(d, "run.start") == (None, {"job_id": "a", "state": "queued", "parameters": {}})
    skip_run(d.desk, queued)
    assert last(d, "run.skip") == ({"job_id": "a", "state": "queued"}, {"job_id": "a", "state": "skipped"})
    started = str(start_run(d.desk, "a")["id"])
    node, executor = d.node()
    node.step()
    cancel_run(d.desk, started)
    before, after = last(d, "run.cancel")
    assert before == {"job_id": "a", "state": "running"}
    assert after == {**before, "cancel_requested_at": "2030-01-01T00:00:00Z"}
    finish(d, node, executor, Outcome.CANCELLED)
    again = str(retry_run(d.desk, started)["id"])
    before, after = last(d, "run.retry")
    assert (before["retry_of"], before["state"], after) == (started, "cancelled", {"job_id": "a", "state": "queued"})
    skip_run(d.desk, again)  # what it repeats stays as long as it is not over
    delete_chosen_runs(d.desk, named_runs(d.desk, [queued, started]))
    assert last(d, "run.delete")[0] == {
        "count": 2,
        "jobs": {"a": 2},
        "first_due_at": "2030-01-01T00:00:00Z",
        "last_due_at": "2030-01-01T00:00:00Z",
    }


def test_flows(d: Deployment) -> None:
    d.add("a")
    d.add("b", depends_on=(Dependency("a"),))
    flow = start_pipeline(d.desk, ["a"])
    assert last(d, "flow.start") == (None, {"jobs": ["a"]})
    node, executor = d.node()
    node.step()
    finish(d, node, executor, Outcome.FAILED)
    retry_flow(d.desk, flow)
    before, after = last(d, "flow.retry")
    assert [(run["job_id"], run["state"]) for run in before.values()] == [("a", "failed")]
    assert sorted((run["job_id"], run["state"]) for run in after.values()) == [("a", "queued"), ("b", "waiting")]
    cancel_flow(d.desk, flow)
    before, after = last(d, "flow.cancel")
    assert {run["state"] for run in before.values()} == {"queued", "waiting"}
    assert {run["state"] for run in after.values()} == {"cancelled"}
    assert before.keys() == after.keys()


def test_schedules(d: Deployment) -> None:
    d.add("a", "every 60s")
    pause_schedule(d.desk, "a")
    assert last(d, "schedule.pause") == ({"paused": False}, {"paused": True})
    resume_schedule(d.desk, "a")
    assert last(d, "schedule.resume") == ({"paused": True}, {"paused": False})
    edit_schedule(d.desk, "a", "every 90s")
    before, after = last(d, "schedule.edit")
    assert before != after
    d.clock.advance(1000)
    reset_schedule(d.desk, "a")
    assert last(d, "schedule.reset") == (
        {"next_fire_at": "2030-01-01T00:01:30Z"},
        {"next_fire_at": "2030-01-01T00:18:00Z"},
    )


def test_job_files(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    file = watched.path / "new.yaml"
    for text in ("description: one", "description: two", None):
        if text is None:
            file.unlink()
        else:
            file.write_text(f"job_id: new\ntask: {{type: command, command: [date]}}\n{text}\n")
        for _ in range(3):
            watched.look()
    found = list_audit(watched.d.desk, AuditFilter(object="new")).items
    assert [(c["action"], c["actor"]) for c in found] == [
        ("job.remove", "files"),
        ("job.save", "files"),
        ("job.save", "files"),
    ]
    assert (found[1]["before"], found[1]["after"]) == (
        {"version": 1, "description": "one"},
        {"version": 2, "description": "two"},
    )
    assert found[2]["after"]["source"] == {"kind": "file", "path": str(file)}
    assert found[0]["before"]["description"] == "two"


def test_every_operation_that_audits_says_what_changed() -> None:
    silent = set()
    for path in OPERATIONS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "desk.audit":
                said = len(node.args) > 3 or any(k.arg in ("before", "after") for k in node.keywords)
                if not said:
                    silent.add(ast.literal_eval(node.args[1]))
    assert silent == NOTHING_TO_SAY
