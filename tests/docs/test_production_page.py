"""What docs/production.md says is done: its commands in their order, the backup job, the settings, the paths."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gnomon.cli.main import main
from gnomon.operations.settings import load_settings
from gnomon.stores.schema_sqlite import HEAD
from tests.support.service import Site, site, until

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "production.md").read_text("utf-8")
PLACE = "/var/backups/gnomon"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)
    with site(tmp_path) as one:
        for name, value in one.environment().items():
            if name.startswith("GNOMON_"):
                monkeypatch.setenv(name, value)
        (tmp_path / "backups").mkdir()
        yield one


def lines() -> list[list[str]]:
    """The words behind `$ gnomon`, in the order of the page."""
    told = [line for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    assert all(line.startswith("$ gnomon ") for line in told)
    return [shlex.split(line.removeprefix("$ gnomon ")) for line in told]


@pytest.mark.slow
def test_the_commands_of_the_page_work_in_its_order(place: Site, capfd: pytest.CaptureFixture[str]) -> None:
    place.write(
        "hello.json", '{"job_id": "hello", "schedule": "@startup", "task": {"type": "command", "command": "true"}}'
    )
    process = place.serve()
    until(lambda: place.states() == {"succeeded": 1}, "the scheduler works")
    told = lines()
    assert len(told) >= 9
    for words in told:
        stopped = words[:2] == ["db", "restore"]
        if stopped:
            assert place.kill(process, signal.SIGTERM) == 0
            shutil.copy(place.db, place.root / f"gnomon.db.schema-{HEAD}")  # as the upgrade to this revision left it
        here = {PLACE: str(place.root / "backups"), "/var/lib/gnomon": str(place.root), "schema-0001": f"schema-{HEAD}"}
        code = main([re.sub("|".join(here), lambda found, here=here: here[found[0]], word) for word in words])
        out, err = capfd.readouterr()
        # `doctor` may find something about this machine, and has an answer all the same
        assert code == 0 or words == ["doctor"], (words, out, err)
        if stopped:
            process = place.serve()
            until(lambda: main(["health"]) == 0, "the scheduler works again")


def test_the_backup_job_makes_backups_that_can_be_restored(place: Site, capfd: pytest.CaptureFixture[str]) -> None:
    (text,) = [block for block in blocks("yaml") if "job_id" in block]
    backups = place.root / "backups"
    command = f"{shlex.quote(sys.executable)} -m gnomon --db {place.db}"  # there is no /etc/gnomon/gnomon.toml here
    assert "/opt/gnomon/bin/gnomon" in text
    (place.root / "backup.yaml").write_text(
        text.replace("/opt/gnomon/bin/gnomon", command).replace(PLACE, str(backups))
    )
    assert main(["db", "upgrade"]) == 0
    assert main(["run", str(place.root / "backup.yaml")]) == 0, capfd.readouterr()
    (made,) = backups.iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}\.tar\.gz", made.name)
    assert main(["db", "restore", str(made), "--db", "other.db"]) == 0


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("toml")):
        tomllib.loads(text)
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        load_settings({}, {}, config=str(file))
    named = set(re.findall(r"\| `([a-z_]+)`(?:, `([a-z_]+)`)? \| (?:runs|the audit|10 MB)", PAGE))
    settings = load_settings({}, {}, search=False)
    assert {name for pair in named for name in pair if name} <= set(settings.values)
    assert settings.retention_days == 90
    assert settings.retention_runs == 1000
    assert settings.log_limit == 10_000_000


def test_the_files_to_install_are_there() -> None:
    named = set(re.findall(r"packaging/[a-z./-]+[a-z]", PAGE))
    assert len(named) >= 5
    assert [name for name in named if not (ROOT / name).exists()] == []
    shipped = tomllib.loads((ROOT / "packaging" / "gnomon.toml").read_text("utf-8"))
    assert shipped["db"].removeprefix("sqlite:///") in PAGE
    assert shipped["jobs_dir"] in PAGE
    compose = yaml.safe_load((ROOT / "packaging" / "docker" / "compose.yaml").read_text("utf-8"))
    assert set(compose["volumes"]) == {"data"}


def test_measured_numbers_are_those_of_the_benchmarks() -> None:
    measured = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").replace("\n", " ")
    for text in ("0.25 % of a core", "68 MB", "p50 32 ms, p99 116 and 191 ms", "p50 9 ms, p99 65 ms"):
        assert text in PAGE
        assert re.search(re.escape(text).replace(r"\ ", r"\s+"), measured), text
