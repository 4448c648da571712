"""The example package with task types of its own: built and installed without a network, then used by `gnomon run`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "task-type"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    directory = tmp_path_factory.mktemp("package")
    shutil.copytree(EXAMPLE, directory / "source")
    options = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--quiet"]
    target = directory / "target"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, directory / "source"],
        check=True,
        timeout=100,
        capture_output=True,
    )
    return target


def gnomon(installed: Path, *arguments: object) -> tuple[int, Any]:
    """The command, in a Python that has the package."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "KEY": "c4nary"}
    command = [sys.executable, "-m", "gnomon", *map(str, arguments), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_its_job_file_runs_with_both_types(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text((EXAMPLE / "job.yaml").read_text().replace("/tmp/gnomon-text-tasks", str(tmp_path / "out")))
    code, answer = gnomon(installed, "run", file)
    runs = {run["job_id"]: run for run in answer["runs"]}
    assert code == 0, runs
    assert runs["count"]["result"] == {"words": 4, "lines": 1}
    assert runs["verify"]["result"]["path"] == f"{tmp_path}/out/poem.txt"


def test_failures_have_its_codes_and_secrets_do_not_show(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("two words")
    verify = {"type": "checksum", "path": f"{tmp_path}/a", "sha256": "0" * 64, "key": "env:KEY"}
    count = {"type": "word-count", "path": f"{tmp_path}/a", "minimum": 3}
    jobs = [{"job_id": "verify", "task": verify}, {"job_id": "count", "task": count}]
    (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs}))
    code, answer = gnomon(installed, "run", tmp_path / "jobs.json")
    runs = {run["job_id"]: run for run in answer["runs"]}
    assert code == 1
    assert runs["verify"]["error"]["code"] == "checksum_differs"
    assert len(runs["verify"]["result"]["sha256"]) == 64
    assert (runs["count"]["error"]["code"], runs["count"]["result"]) == ("too_few_words", {"words": 2})
    assert "c4nary" not in json.dumps(answer)


def test_mistakes_are_told_when_the_file_is_read(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "jobs:\n  - {job_id: a, task: {type: checksum, pth: /x, sha256: abc}}\n"
        "  - {job_id: b, task: {type: word_count, path: /x, minimun: 3}}\n"
    )
    code, answer = gnomon(installed, "validate", tmp_path / "bad.yaml")
    found = {(problem["key"], problem["code"], problem["line"]) for problem in answer["errors"]}
    assert code == 2
    assert found == {
        ("jobs[0].task.pth", "unknown_key", 2),
        ("jobs[0].task.path", "missing_key", 2),
        ("jobs[0].task.sha256", "bad_value", 2),
        ("jobs[1].task.minimun", "unknown_key", 3),
    }
