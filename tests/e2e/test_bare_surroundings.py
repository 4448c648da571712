"""Surroundings that lack what most have: a home, a name, standard streams; and variables meant for others."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.cli.main import main
from tests.support.service import Site, site, until
from tests.support.web import WebSite

JOB = {"job_id": "good", "task": {"type": "command", "command": "true"}}
UID = 54321
NOBODY = [
    *("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),  # the interpreter may be root's own
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        made.write("good.json", JOB)
        yield made


def nobody(place: Site, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a user without a name and a home."""
    command = [*NOBODY, sys.executable, "-m", "gnomon", *words]
    os.chmod(place.root, 0o777)
    return subprocess.run(
        command, env={"PATH": os.defpath, **environment}, cwd=place.root, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.fixture
def unnamed(place: Site) -> Site:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("becoming another user takes root and setpriv")
    if nobody(place, "--version").returncode != 0:
        pytest.skip("another user cannot run this interpreter here")
    return place


def test_no_home_and_no_name(unnamed: Site) -> None:
    done = nobody(unnamed, "jobs", "list")
    assert (done.returncode, "database_not_named" in done.stderr) == (2, True), done
    for words in (["validate", "jobs.d"], ["run", "jobs.d/good.json"]):
        done = nobody(unnamed, *words)
        assert done.returncode == 0, done
    checked = nobody(unnamed, "doctor")
    assert (checked.returncode, "no home directory" in checked.stdout) == (1, True), checked
    for words in (["jobs", "list"], ["run", "jobs.d/good.json"], ["audit"], ["next", "0 0 * * *"]):
        done = nobody(unnamed, "--db", "here.db", *words)
        assert done.returncode == 0, done


def test_a_home_that_may_not_be_entered(unnamed: Site) -> None:
    """HOME=/root of an image whose user was changed."""
    home = unnamed.root / "home"
    home.mkdir(mode=0o700)
    done = nobody(unnamed, "--db", "here.db", "jobs", "list", HOME=str(home))
    assert done.returncode == 0, done
    done = nobody(unnamed, "serve", HOME=str(home))
    assert (done.returncode, "permission_denied" in done.stderr) == (2, True), done


def test_no_home_for_anybody(place: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The same in this process, for those who are not root."""

    def unknown(_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.chdir(place.root)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "GNOMON_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert main(["jobs", "list"]) == 2
    assert "database_not_named" in capfd.readouterr().err
    assert main(["--db", "here.db", "jobs", "list"]) == 0
    assert main(["validate", "jobs.d"]) == 0
    assert main(["run", "jobs.d/good.json"]) == 0


class Linked(WebSite):
    """In a pod beside a service called `gnomon`."""

    def environment(self) -> dict[str, str]:
        port = {"GNOMON_PORT": "tcp://10.0.0.1:80", "GNOMON_PORT_80_TCP_PORT": "80", "GNOMON_SERVICE_PORT": "80"}
        return super().environment() | port | {"GNOMON_SERVICE_HOST": "10.0.0.1"}


def test_service_links_of_kubernetes(tmp_path: Path) -> None:
    place = Linked(tmp_path)
    try:
        (tmp_path / "gnomon.toml").write_text("port = 0\n")
        assert place.listening().startswith("http://127.0.0.1:")
        assert "enableServiceLinks" in place.log.read_text()
        assert place.kill(place.process, 15) == 0
        assert "enableServiceLinks" in str(place.cli("doctor", code=None))
    finally:
        place.close()


def test_serve_without_standard_streams(place: Site) -> None:
    """Neither the database nor a socket gets their numbers: what prints by accident must not write into it."""
    place.write("often.json", {"job_id": "often", "task": {"type": "command", "command": f"echo a >> {place.ledger}"},
                               "schedule": "every 1s"})  # fmt: skip
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$0" -m gnomon serve <&- >&- 2>&-', sys.executable],
        cwd=place.root, env=place.environment(), start_new_session=True,
    )  # fmt: skip
    place.alive.append(process)
    until(place.ledger_lines, "a job ran")
    held = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
    assert held == ["/dev/null"] * 3
    assert place.kill(process, 15) == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [
    ("jobs list", 0), ("doctor --json", 0), ("run jobs.d/good.json", 0), ("jobs nothing", 2), ("--help", 0),
])  # fmt: skip
def test_commands_without_standard_streams(place: Site, closed: str, words: str, code: int) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m gnomon {words} {closed}', sys.executable],
        cwd=place.root, env=place.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done
    assert "bug in gnomon" not in done.stderr + done.stdout
