"""What lies in packaging/ fits the program, itself, and the tools that read it (where they are)."""

from __future__ import annotations

import configparser
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from gnomon.cli.application import make_app
from gnomon.core.durations import parse_duration
from gnomon.operations.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
DOCKERFILE = (PACKAGING / "docker" / "Dockerfile").read_text("utf-8")


def unit() -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PACKAGING / "systemd" / "gnomon.service")
    return {name: dict(parser[name]) for name in parser.sections()}


def compose() -> dict[str, Any]:
    service = yaml.safe_load((PACKAGING / "docker" / "compose.yaml").read_text("utf-8"))["services"]["scheduler"]
    assert isinstance(service, dict)
    return service


def settings(environment: dict[str, str] | None = None) -> Any:
    return load_settings({}, environment or {}, config=str(PACKAGING / "gnomon.toml"))


def names() -> set[str]:
    import typer.main

    return set(getattr(typer.main.get_command(make_app()), "commands"))  # noqa: B009


def test_the_settings_are_settings() -> None:
    assert settings().db == "sqlite:////var/lib/gnomon/gnomon.db"
    assert settings().drain_timeout_s == 30


def test_a_stop_is_given_more_time_than_the_scheduler_waits() -> None:
    assert int(unit()["Service"]["TimeoutStopSec"]) > settings().drain_timeout_s
    assert parse_duration(compose()["stop_grace_period"]) > settings().drain_timeout_s


def test_the_unit_leaves_commands_alone_and_watches_the_loop() -> None:
    service = unit()["Service"]
    assert service["KillMode"] == "process"
    assert service["Type"] == "notify"
    assert service["WatchdogSec"] == "2min"
    assert service["User"] == "gnomon"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["OOMPolicy"] == "continue"
    assert "PrivateTmp" not in service
    program, *words = service["ExecStart"].split()
    assert Path(program).name == "gnomon"
    assert set(words) <= names()
    assert service["WorkingDirectory"] == str(Path(settings().db.removeprefix("sqlite:///")).parent)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = (PACKAGING / "systemd" / "gnomon.service").read_text("utf-8")
    copy = tmp_path / "gnomon.service"
    copy.write_text(text.replace("/opt/gnomon/bin/gnomon", "/bin/true"))  # any that is there
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None or os.geteuid() != 0,
    reason="no systemd-sysusers and systemd-tmpfiles here, or not root",
)
def test_the_user_and_the_directories_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for program, *words in (("systemd-sysusers",), ("systemd-tmpfiles", "--create")):
        file = PACKAGING / "systemd" / f"gnomon.{program.removeprefix('systemd-')}"
        subprocess.run([program, f"--root={tmp_path}", *words, str(file)], capture_output=True, check=True, timeout=60)
    (line,) = [line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("gnomon:")]
    assert line.split(":")[5] == "/var/lib/gnomon"
    assert line.endswith("nologin")
    assert (tmp_path / "etc/gnomon/jobs.d").is_dir()


def test_the_image_takes_what_is_there_and_only_that_with_hashes() -> None:
    allowed = [
        line.removeprefix("!")
        for line in (PACKAGING / "docker" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    ]
    taken = [source for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M) for source in line.split()[:-1]]
    assert len(taken) > 5
    assert [source for source in taken if not (ROOT / source).exists()] == []
    assert [source for source in taken if not any(fnmatch.fnmatch(source, one) for one in allowed)] == []
    assert [source for source in allowed if source not in taken] == []
    installs = re.findall(r"install (?=-)([^&\n]*)", DOCKERFILE.replace("\\\n", " "))
    pip = [words for words in installs if words.startswith("--")]
    assert len(pip) == 3
    assert all("--require-hashes" in words or "--no-deps dist/" in words for words in pip)


def test_the_image_is_run_by_an_ordinary_user_and_looked_after() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER gnomon$", last, re.M)
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", last, re.M)[0]) == ["gnomon"]
    commands = [json.loads(words) for words in re.findall(r"CMD (\[.+\])$", last, re.M)]
    assert commands == [["gnomon", "health"], ["serve"]]
    assert {"health", "serve"} <= names()


def test_the_compose_file_reaches_no_further_than_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    service = compose()
    place = PACKAGING / "docker"
    context = (place / service["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / service["build"]["dockerfile"]).is_file()
    environment = {name: str(value) for name, value in service["environment"].items()}
    environment["GNOMON_TIMEZONE"] = "Europe/Berlin"
    used = settings(environment)
    assert {value.source for value in used.values.values()} >= set(environment)  # each is a variable gnomon knows
    assert used.text("host") == "127.0.0.1"
    assert service["network_mode"] == "host"
    assert "ports" not in service
    assert service["cap_drop"] == ["ALL"]
    assert service["healthcheck"]["test"] == ["CMD", "gnomon", "health"]
    assert any(volume.endswith(":/var/lib/gnomon") for volume in service["volumes"])


@pytest.mark.slow
def test_an_archive_of_the_source_carries_what_an_image_needs(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=100,
    )
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as tar:
        there = {name.partition("/")[2] for name in tar.getnames()}
    wanted = {str(path.relative_to(ROOT)) for path in PACKAGING.rglob("*") if path.is_file()}
    assert wanted | {"requirements/lock.txt", "requirements/build.txt"} <= there
