"""The database's files are renamed, deleted and replaced under a scheduler at work. What was acknowledged must be in
a file that has the name, two schedulers never fire the same, and no file is damaged."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from gnomon.cli.main import main
from gnomon.engine.settings import EngineSettings
from tests.support.service import until
from tests.support.web import WebSite, web_site

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]
CODE = "database_replaced"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[WebSite]:
    """A site with eight short jobs a second; each notes its run in the ledger."""
    (tmp_path / "gnomon.toml").write_text('drain_timeout = "50ms"\n')
    with web_site(tmp_path) as made:
        task = {"type": "command", "command": f'echo "$GNOMON_RUN_ID" >> {made.ledger}'}
        made.write("jobs.json", {"jobs": [{"job_id": f"j{n}", "schedule": "every 0.5s", "task": task} for n in "1234"]})
        made.write("asked.json", {"job_id": "asked", "task": task})
        yield made


class Asker:
    """Starts runs by REST and remembers which were acknowledged."""

    def __init__(self, url: str, place: WebSite) -> None:
        self.url, self.headers = url, {"Authorization": f"Bearer {place.token()}"}
        self.acknowledged: list[str] = []

    def ask(self) -> httpx.Response:
        at = f"{self.url}/api/v1/jobs/asked/runs"
        answer = httpx.post(at, json={}, headers=self.headers, timeout=30)
        if answer.status_code == 201:
            self.acknowledged.append(answer.json()["id"])
        return answer

    def runs(self) -> httpx.Response:
        return httpx.get(f"{self.url}/api/v1/runs", headers=self.headers, timeout=30)

    def healthz(self) -> httpx.Response:
        return httpx.get(f"{self.url}/healthz", timeout=10)


def begin(place: WebSite) -> Asker:
    asker = Asker(place.listening(), place)
    until(lambda: asker.ask().status_code == 201, "runs can be asked for")
    until(lambda: len(place.ledger_lines()) > 8, "jobs run")
    return asker


def refused(asker: Asker, place: WebSite) -> None:
    """Nothing is acknowledged, nothing starts, health says why."""
    answer = asker.ask()
    assert (answer.status_code, answer.json()["code"]) == (503, CODE), answer.text
    until(lambda: "never replace it by hand" in place.log.read_text(), "the scheduler says so")
    listed = asker.runs()
    assert (listed.status_code, listed.json()["code"]) == (503, CODE)
    health = asker.healthz()
    assert health.status_code == 503
    assert "another file" in health.text or "moved away" in health.text
    settled = until(lambda: idle(place), "what had been started is over")
    failures = place.log.read_text().count("failed")
    until(lambda: asker.ask().status_code == 503 and len(place.ledger_lines()) >= settled, "it goes on refusing")
    assert failures == place.log.read_text().count("failed")
    assert len(place.ledger_lines()) == settled, "something was started"


def idle(place: WebSite) -> int:
    """How many lines there are, when none came for three fire times."""
    before = len(place.ledger_lines())
    time.sleep(1.6)
    return before if len(place.ledger_lines()) == before else 0


def whole(path: Path) -> set[str]:
    """The runs in a file that is not damaged."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in db.execute("SELECT id FROM runs")}


def ran(place: WebSite) -> set[str]:
    return {line[0] for line in place.ledger_lines()}


def test_another_file_in_its_place(place: WebSite) -> None:
    asker = begin(place)
    place.cli("db", "backup", "b")
    kept = place.root / "kept.db"
    kept.hardlink_to(place.db)
    (place.root / "b" / "gnomon.db").rename(place.db)
    refused(asker, place)
    known = len(whole(place.db))
    process = place.process
    # the file that is there now is a good one, for everybody
    assert len(place.cli("runs", "list", "--limit", "500")) <= known
    # and a second scheduler would do again what the first did since the backup
    second = place.serve()
    assert second.wait(30) == 3, place.log.read_text()
    place.alive.remove(second)
    assert "works on another file" in place.log.read_text()
    place.kill(process, signal.SIGTERM)
    assert ran(place) | set(asker.acknowledged) <= whole(kept), "acknowledged, or done, and not in the file"
    assert len(whole(place.db)) == known
    again = len(place.ledger_lines())
    place.serve()
    # in the backup the first scheduler is at work, and its lock, gone with it, tells nothing: its lease has to run out
    in_time = 20 + EngineSettings().lease_s
    until(lambda: len(place.ledger_lines()) > again + 8, "it begins anew with the new file", in_time)


AWAY: dict[str, tuple[Callable[[WebSite], object], Callable[[WebSite], object]]] = {
    "the file": (lambda p: p.db.rename(p.root / "x"), lambda p: (p.root / "x").rename(p.db)),
    "another one": (
        lambda p: (p.db.rename(p.root / "x"), shutil.copy(p.root / "x", p.db)),
        lambda p: (p.root / "x").rename(p.db),
    ),
    "all three": (
        lambda p: [(p.root / f"gnomon.db{s}").rename(p.root / f"x{s}") for s in ("", "-wal", "-shm")],
        lambda p: [(p.root / f"x{s}").rename(p.root / f"gnomon.db{s}") for s in ("",)],
    ),
}


@pytest.mark.parametrize("what", AWAY)
def test_moved_away_and_back(place: WebSite, what: str) -> None:
    """When the right file is back, all goes on by itself."""
    asker = begin(place)
    away, back = AWAY[what]
    away(place)
    refused(asker, place)
    back(place)
    before = len(place.ledger_lines())
    until(lambda: len(place.ledger_lines()) > before + 8, "it goes on")
    until(lambda: asker.ask().status_code == 201, "it acknowledges again")
    until(lambda: asker.healthz().status_code == 200, "it is well")
    place.kill(place.process, signal.SIGTERM)
    assert ran(place) | set(asker.acknowledged) <= whole(place.db)


CHANGES = (
    ("run", "asked", "--no-wait"),
    ("jobs", "pause", "asked"),
    ("jobs", "add", "jobs.d/asked.json"),
    ("token", "create", "--name", "t", "--role", "viewer"),
    ("db", "upgrade"),
    ("db", "backup", "b"),
)


Says = Callable[..., tuple[int, str]]


@pytest.fixture
def says(place: WebSite, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Says:
    """Exit code of a command, said in this process, and what it says."""
    monkeypatch.chdir(place.root)
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)

    def say(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main([*words, "--json"])
        return code, "".join(capfd.readouterr())

    return say


@pytest.mark.parametrize("what", ["the file", "another one", "an empty one"])
def test_commands_beside_it_know_what_it_knows(place: WebSite, says: Says, what: str) -> None:
    """The file that has the name now, or would get it, is not the one that is worked on: nothing is written there."""
    asker = begin(place)
    place.db.rename(place.root / "x")
    until(lambda: asker.ask().status_code == 503, "the scheduler notices")
    if what == "another one":
        shutil.copy(place.root / "x", place.db)
    elif what == "an empty one":
        place.db.touch()
    before = place.db.read_bytes() if place.db.exists() else None
    for words in CHANGES:
        code, text = says(*words)
        assert (code, f'"code": "{CODE}"' in text) == (3, True), (words, text)
    code, text = says("health")
    assert (code, json.loads(text)["checks"][0]["level"], CODE in json.loads(text)["line"]) == (1, "failing", True)
    code, text = says("doctor")
    assert (code, CODE in text, "start `gnomon serve`" in text) == (1, True, False), text
    assert CODE in asker.healthz().json()["line"]
    until(lambda: f"{CODE}: " in place.log.read_text(), "the log says so")
    for words in (("runs", "list"), ("jobs", "list")):
        assert says(*words)[0] == (0 if what == "another one" else 3)
    second = place.serve()
    assert second.wait(30) == 3
    place.alive.remove(second)
    assert (place.db.read_bytes() if place.db.exists() else None) == before
    (place.root / "x").rename(place.db)
    until(lambda: asker.healthz().status_code == 200, "it is well")
    assert says("jobs", "pause", "asked")[0] == 0


def test_its_directory_is_another_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with web_site(home) as place:
        place.write("j.json", {"job_id": "asked", "task": {"type": "command", "command": "true"}})
        asker = Asker(place.listening(), place)
        until(lambda: asker.ask().status_code == 201, "it runs")
        home.rename(tmp_path / "old")
        assert asker.ask().status_code == 503
        home.mkdir()
        assert asker.ask().json()["code"] == CODE
        shutil.rmtree(home)  # the scheduler may have said there already that it lives
        (tmp_path / "old").rename(home)
        until(lambda: asker.ask().status_code == 201, "it goes on")
        place.kill(place.process, signal.SIGTERM)
        assert set(asker.acknowledged) <= whole(place.db)


@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="".join)
def test_its_log_is_deleted(place: WebSite, suffixes: tuple[str, ...]) -> None:
    """What the log held is in the file in time, and a new log is begun."""
    asker = begin(place)
    for _ in range(4):
        for suffix in suffixes:
            (place.root / f"gnomon.db{suffix}").unlink(missing_ok=True)
        assert place.cli("runs", "list", "--limit", "1")
        before = len(place.ledger_lines())
        until(lambda: asker.ask().status_code == 201, "it acknowledges")
        until(lambda n=before: len(place.ledger_lines()) > n + 4, "jobs run")  # type: ignore[misc]
    assert all((place.root / f"gnomon.db{suffix}").exists() for suffix in ("-wal", "-shm"))
    place.kill(place.process, signal.SIGKILL)  # nothing is brought home by a good end
    assert ran(place) | set(asker.acknowledged) <= whole(place.db)


def test_the_log_of_another_file(place: WebSite) -> None:
    """A scheduler was killed, and a backup takes the file's name: its log belongs to the old one."""
    begin(place)
    place.cli("db", "backup", "b")
    before = len(place.ledger_lines())
    until(lambda: len(place.ledger_lines()) > before + 4, "more is done after the backup")
    place.kill(place.process)
    for backup in (None, place.root / "b" / "gnomon.db"):
        place.db.rename(place.root / "old") if backup is None else backup.rename(place.db)
        said = place.serve()
        assert said.wait(30) == 3
        place.alive.remove(said)
        assert place.log.read_text().count("-wal belongs to another file") == (1 if backup is None else 2)
        assert place.db.exists() == (backup is not None)  # none is begun beside the log of the old one
        place.cli("jobs", "list", code=None if backup is None else 3)
    for suffix in ("-wal", "-shm"):
        (place.root / f"gnomon.db{suffix}").rename(place.root / f"x{suffix}")
    before = len(place.ledger_lines())
    place.serve()
    until(lambda: len(place.ledger_lines()) > before + 4, "it works on the backup")
    place.kill(place.process, signal.SIGTERM)
    whole(place.db)
