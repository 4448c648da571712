"""`validate_path`: everything wrong with a file or a directory at once."""

from __future__ import annotations

import os
from pathlib import Path

from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.jobfiles.validating import validate_path
from tests.support.timing import cpu_seconds
from tests.unit.jobfiles.rooms import KINDS, TASKS


def validate(path: Path) -> tuple[tuple[Job, ...], tuple[Problem, ...]]:
    return validate_path(path, KINDS, TASKS)


def test_the_examples_are_valid() -> None:
    jobs, problems = validate(Path("examples/jobs.d"))
    assert problems == ()
    assert len(jobs) >= 6


def test_a_directory_is_judged_as_a_whole(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "a.yaml").write_text("job_id: x\ntask: [date]\ndepends_on: [y, w]")
    (tmp_path / "b.yaml").write_text("job_id: y\ntask: [date]\nrestarts: x")
    (tmp_path / "c.yaml").write_text("job_id: x\ntask: [date]")
    (tmp_path / "d.json").write_text("{")
    (tmp_path / "notes.txt").write_text("not a job file")
    os.mkfifo(tmp_path / "e.yaml")
    _, problems = validate(tmp_path)
    found = {(Path(p.file or "").name, p.code) for p in problems}
    assert found == {
        ("a.yaml", "unknown_dependency"),
        ("b.yaml", "wrong_type"),
        ("c.yaml", "duplicate_job_id"),
        ("d.json", "json_syntax"),
        ("e.yaml", "not_a_file"),
    }


def test_a_bare_list_with_bad_entries_names_the_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- {id: a, task: [date]}\n- {id: b}")
    jobs, problems = validate(path)
    assert [job.job_id for job in jobs] == ["a"]
    assert [p.code for p in problems] == ["missing_key"]


def test_what_is_not_there_and_what_is_no_job_file(tmp_path: Path) -> None:
    assert validate(tmp_path / "nothing.yaml")[1][0].code == "file_missing"
    (tmp_path / "a.txt").write_text("job_id: a")
    assert validate(tmp_path / "a.txt")[1][0].code == "unknown_format"


def test_a_cycle_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "jobs:\n- {id: a, task: [date], depends_on: [b]}\n- {id: b, task: [date], depends_on: [a]}\n"
        "- {id: c, task: [date], depends_on: [a]}\n"
    )
    _, problems = validate(path)
    assert [(p.code, p.line) for p in problems] == [("dependency_cycle", 2)]


def test_a_hundred_thousand_repetitions_are_counted_quickly(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "a.yaml"
    repeated = ", ".join(["a"] * 100_000)
    path.write_text(f"jobs: [{{job_id: a, task: [x]}}, {{job_id: b, task: [x], depends_on: [{repeated}]}}]")
    seconds, (_, problems) = cpu_seconds(lambda: validate(path))
    assert seconds < 1
    assert problems[0].code == "duplicate_dependency"
    assert problems[-1].message == "99799 further problems are not shown"
