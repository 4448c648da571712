"""The pipelines page: its example runs as it is, and its job files are valid."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from gnomon.app import registries
from gnomon.core.model import Job
from gnomon.operations.validate import check_path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "pipeline.yaml"


def _jobs(path: Path) -> dict[str, Job]:
    checked = check_path(path, *registries(), "UTC")
    assert (checked.problems, checked.warnings) == ((), ())
    return {job.job_id: job for job in checked.jobs}


def test_the_example_runs_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gnomon", "run", str(EXAMPLE), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True
    runs = {run["job_id"]: run for run in answer["runs"]}
    assert {name: run["state"] for name, run in runs.items()} == {
        "list": "succeeded",
        "convert": "succeeded",
        "report": "succeeded",
        "alarm": "skipped",
    }
    assert runs["list"]["result"] == ["a.csv", "b.csv", "c.csv"]
    assert runs["alarm"]["reason"] == "upstream_not_failed"
    assert len(runs["convert"]["result"]) == 3, "one result per file"
    assert runs["convert"]["items"] == {"succeeded": 3}
    assert [(item["item"], item["state"], len(item["attempts"])) for item in answer["items"]] == [
        (name, "succeeded", 1) for name in ("a.csv", "b.csv", "c.csv")
    ]


def test_a_failing_item_is_told_with_what_it_printed(tmp_path: Path) -> None:
    task = 'task: {type: command, command: \'echo "tried $X"; [ "$X" != bad ]\', env: {X: "${item}"}}'
    (tmp_path / "p.yaml").write_text(f"jobs:\n  - job_id: each\n    for_each: [good, bad]\n    {task}\n")
    command = [sys.executable, "-m", "gnomon", "run", "p.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "each: running (2 items)" in done.stdout or "each: running" not in done.stdout
    assert "attempt 0" not in done.stdout
    assert "each, item 1 (bad) failed: the command ended with exit code 1\n  | tried bad" in done.stdout
    assert "tried good" not in done.stdout


def test_the_page_shows_that_example_and_valid_files(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "pipelines.md").read_text("utf-8"), re.S | re.M)
    assert len(blocks) >= 2
    shown = []
    for number, block in enumerate(blocks):
        path = tmp_path / f"block{number}.yaml"
        path.write_text(block)
        shown.append(_jobs(path))
    example = _jobs(EXAMPLE)
    assert {name: (job.task, job.depends_on, job.for_each) for name, job in shown[0].items()} == {
        name: (job.task, job.depends_on, job.for_each) for name, job in example.items()
    }
