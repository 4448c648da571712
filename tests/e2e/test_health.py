"""`gnomon health` against a real scheduler, from its start to its death."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gnomon.cli.main import main
from tests.support.service import Site, site, until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site(tmp_path) as one:
        for name, value in one.environment().items():
            monkeypatch.setenv(name, value)
        yield one


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["health", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_from_no_database_to_a_killed_scheduler(place: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = ask(capsys)
    assert (code, told["ok"]) == (1, False)
    assert "no database" in told["line"]
    place.write("a.yaml", "job_id: a\nschedule: every 1s\ntask: {type: command, command: 'true'}\n")
    process = place.serve()
    until(lambda: ask(capsys, "--strict")[0] == 0, "healthy")
    until(lambda: place.rows("select 1 from schedules where due_at is not null"), "there is something to decide")
    capsys.readouterr()
    assert main(["health"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("healthy: 1 scheduler steps; ")
    assert out.count("\n") == 1
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: ask(capsys, "--strict", "--overdue", "1s")[0] == 1, "a stopped scheduler lets schedules wait")
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: ask(capsys, "--strict", "--overdue", "1s")[0] == 0, "it goes on")
    place.kill(process)
    code, told = ask(capsys)
    assert code == 1
    assert "no scheduler runs on this database" in told["line"]


@pytest.mark.slow
def test_one_that_left_work_running_runs_no_more(place: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """What it started goes on; it does not."""
    (place.root / "gnomon.toml").write_text('drain_timeout = "10ms"\n')
    place.write("a.yaml", "job_id: a\nschedule: '@startup'\ntask: {type: command, command: 'exec sleep 600'}\n")
    process = place.serve()
    until(lambda: place.states().get("running"), "it runs")
    assert place.kill(process, signal.SIGTERM) == 0
    try:
        assert place.states() == {"running": 1}
        code, told = ask(capsys)
        assert (code, told["checks"][0]["message"]) == (1, "no scheduler runs on this database")
    finally:
        for claim in place.root.glob("*.d/attempts/??/*.claim"):
            os.killpg(int(claim.read_text().split()[0]), signal.SIGKILL)


def test_a_mistake_of_the_caller_is_none_of_the_scheduler(place: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--overdue", "soon"]) == 2
    assert "soon" in capsys.readouterr().err


class Answers(BaseHTTPRequestHandler):
    status, body = 200, b""

    def do_GET(self) -> None:
        assert self.path == "/healthz"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *words: object) -> None: ...


@pytest.mark.slow
def test_a_real_server_says_the_same_as_its_database(
    place: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = place.environment() | {"GNOMON_WEB": "on"}
    monkeypatch.setattr(place, "environment", lambda: environment)
    place.serve("--port", "0")
    found = until(lambda: re.search(r"http://127\.0\.0\.1:\d+", place.log.read_text()), "where it listens")
    until(lambda: ask(capsys, "--strict", "--server", found[0])[0] == 0, "healthy")
    until(lambda: ask(capsys, "--strict")[0] == 0, "beside it that is told once a second")
    ours, theirs = ask(capsys)[1], ask(capsys, "--server", found[0])[1]
    assert ours["line"] == theirs["line"]
    assert ours["checks"] == theirs["checks"]


def test_a_server_is_asked_for_its_own_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    good: dict[str, Any] = {
        "ok": True, "at": "2030-01-01T00:00:00Z", "checks": [{"name": "loop", "ok": True, "message": "1 steps"}],
    }  # fmt: skip
    bad = {**good, "ok": False, "checks": [{"name": "loop", "ok": False, "message": "stands"}]}
    try:
        for status, body, code, words in (
            (200, good, 0, "healthy: 1 steps"),
            (503, bad, 1, "failing: stands"),
            (503, good, 1, "answers 503"),
            (503, {"ok": False, "line": "unhealthy: the disk is full"}, 1, "failing: the disk is full"),
            (200, "fine", 0, "answers 200"),
            (404, "", 1, "answers 404"),
        ):
            Answers.status, Answers.body = status, json.dumps(body).encode()
            assert main(["health", "--server", url]) == code
            assert words in capsys.readouterr().out
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    code, told = ask(capsys, "--server", url)
    assert code == 1
    assert "does not answer" in told["line"]
