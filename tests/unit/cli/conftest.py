"""The command in this process, on a database of the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gnomon.app import Parts, open_parts, registries
from gnomon.cli.main import main
from gnomon.core.records import Source, SourceKind
from gnomon.operations.jobs import save_job
from gnomon.operations.settings import load_settings
from gnomon.operations.validate import check_path

JOBS = """
jobs:
  - {job_id: clock, schedule: every 1h, labels: {team: a}, task: {type: command, command: [date]}}
  - {job_id: after, depends_on: [clock], task: {type: command, command: "true"}}
  - job_id: byhand
    parameters: {count: {type: integer, required: true}}
    task: {type: command, command: [echo, "${count}"]}
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> Any:
        assert self.out == ""
        return json.loads(self.err)["errors"]


Gnomon = Callable[..., Done]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and the database `g.db` in it (not made yet)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNOMON_DB", str(tmp_path / "g.db"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it
    return tmp_path


@pytest.fixture
def gnomon(place: Path, capfd: pytest.CaptureFixture[str]) -> Gnomon:
    def run(*words: str, code: int | None = 0) -> Done:
        capfd.readouterr()
        got = main(list(words))
        done = Done(got, *capfd.readouterr())
        assert code is None or got == code, done
        assert "Traceback" not in done.out + done.err
        return done

    return run


@pytest.fixture
def parts(place: Path) -> Iterator[Parts]:
    """The database with three jobs that no file owns, and one that a file owns."""
    (place / "jobs.yaml").write_text(JOBS)
    (place / "owned.yaml").write_text("{job_id: owned, schedule: '0 9 * * *', task: {type: command, command: 'true'}}")
    settings = load_settings({"db": str(place / "g.db")}, {}, directory=place)
    with open_parts(settings, upgrade=True) as parts:
        for name, source in (("jobs.yaml", SourceKind.REST), ("owned.yaml", SourceKind.FILE)):
            for job in check_path(place / name, *registries(), "UTC").jobs:
                save_job(parts.desk(), job, Source(source, str(place / name) if source is SourceKind.FILE else None))
        yield parts
