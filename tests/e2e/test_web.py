"""`gnomon serve` over HTTP, whole: sign in, jobs that fire, live events, output, kills, and where it may listen."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import until
from tests.support.web import Stream, WebSite, client, web_site

SLOW = {"type": "command", "command": ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done"]}


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with web_site(tmp_path) as made:
        yield made


def test_a_job_made_over_rest_fires_and_is_followed_live(place: WebSite) -> None:
    url = place.listening()
    file = place.root / "gnomon.db.d" / "bootstrap-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = place.token()
    assert f"{url}/#token={token}" in place.log.read_text()
    with client(url, token) as ask:
        stream = Stream(f"{url}/api/v1/events", token)
        until(lambda: stream.of("hello"), "the stream begins")
        made = ask.post("/jobs", json={"job_id": "tick", "schedule": "every 1s", "task": SLOW})
        assert made.status_code == 201, made.text
        seen = until(
            lambda: [r for change in stream.of("change") for r in change["runs"] if r.get("state") == "succeeded"],
            "a run was seen to succeed",
        )
        assert seen[0]["job_id"] == "tick"
        assert any("tick" in change.get("jobs", ()) for change in stream.of("change"))
        started = ask.post("/jobs/tick/runs").json()
        log = Stream(f"{url}/api/v1/runs/{started['id']}/log/events", token)
        assert log.over.wait(20), "the stream of the output ends with the run"
        assert "".join(part["text"] for part in log.of("output")) == "".join(f"line {i}\n" for i in range(1, 6))
        assert len(log.of("output")) > 1, "it came in pieces, while the run went on"
        assert [event for _, event, _ in log.events][-1] == "complete"
        metrics = httpx.get(f"{url}/metrics").text
        assert 'gnomon_runs_ended_total{job_id="tick",state="succeeded"}' in metrics
        assert httpx.get(f"{url}/healthz").json()["ok"] is True


def test_a_follower_that_was_cut_off_misses_nothing(place: WebSite) -> None:
    url = place.listening()
    token = place.token()
    with client(url, token) as ask:
        first = Stream(f"{url}/api/v1/events", token)
        until(lambda: first.of("hello"), "the stream begins")
        ask.post("/jobs", json={"job_id": "a", "task": {"type": "command", "command": "true"}})
        until(lambda: first.of("change"), "it sees the job")
        first.cut()
        last = first.events[-1][0]
        made = {ask.post("/jobs/a/runs").json()["id"] for _ in range(5)}
        second = Stream(f"{url}/api/v1/events", token, {"Last-Event-ID": last})

        def runs() -> set[str]:
            return {run["id"] for change in second.of("change") for run in change["runs"]}

        until(lambda: made <= runs(), "what happened meanwhile comes first")
        assert not second.of("reset")
        numbers = [int(id_) for id_, event, _ in second.events if event == "change"]
        assert numbers == list(range(int(last) + 1, int(last) + 1 + len(numbers))), "none missing, none twice"
        far = Stream(f"{url}/api/v1/events", token, {"Last-Event-ID": "999999"})
        until(lambda: far.of("reset"), "a place that is not kept is said")


def test_a_revoked_token_ends_its_stream_within_seconds(place: WebSite) -> None:
    url = place.listening()
    reader = place.token("viewer")
    stream = Stream(f"{url}/api/v1/events", reader)
    until(lambda: stream.of("hello"), "the stream begins")
    with client(url, place.token()) as ask:
        assert ask.post("/tokens/t-viewer/revoke").status_code == 200
        assert stream.over.wait(5)
        assert httpx.get(f"{url}/api/v1/jobs", headers={"Authorization": f"Bearer {reader}"}).status_code == 401


def test_what_was_answered_is_there_after_a_kill(place: WebSite) -> None:
    url = place.listening()
    token = place.token()
    with client(url, token) as ask:
        assert ask.put("/jobs/kept", json={"task": {"type": "command", "command": "true"}}).status_code == 200
        run = ask.post("/jobs/kept/runs", headers={"Idempotency-Key": "k"}).json()
        assert ask.post("/jobs/kept/pause").json()["paused"] is True
    place.kill(place.process)
    url = place.listening()
    assert place.token() == token, "the first token is still the one"
    with client(url, token) as ask:
        assert ask.get("/jobs/kept").json()["paused"] is True
        assert ask.post("/jobs/kept/runs", headers={"Idempotency-Key": "k"}).json()["id"] == run["id"]
        until(lambda: ask.get(f"/runs/{run['id']}").json()["state"] == "succeeded", "it runs after the restart")


def _serve(root: Path, *words: str, toml: str = "") -> subprocess.CompletedProcess[str]:
    (root / "gnomon.toml").write_text(toml)
    (root / "jobs").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "gnomon", "serve", "--db", str(root / "g.db"), "--jobs-dir", "jobs", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "toml", "codes"),
    [
        (["--host", "0.0.0.0", "--port", "0"], "", {"unsafe_bind", "admin_missing"}),
        (["--host", "::", "--port", "0"], "", {"unsafe_bind", "admin_missing"}),
        (["--host", "0.0.0.0", "--port", "0"], 'trusted_proxies = ["10.0.0.1"]', {"admin_missing"}),
        (["--port", "0"], 'tls_certificate = "no.pem"\ntls_key = "no.pem"', {"tls_file_missing"}),
        (["--port", "0"], 'tls_certificate = "no.pem"', {"tls_incomplete"}),
        (["--host", "192.0.2.1", "--port", "0"], 'trusted_proxies = ["10.0.0.1"]', {"admin_missing"}),
        (["--port", "70000"], "", {"setting_invalid"}),
        (["--port", "0"], 'trusted_proxies = ["*"]', {"proxy_invalid"}),
        (["--port", "0"], 'trusted_proxies = ["10.0.0.1", "0.0.0.0/0", "proxy.example"]', {"proxy_invalid"}),
        (["--port", "0", "--host", "127.1"], "", {"unsafe_bind", "admin_missing"}),
    ],
)
def test_where_it_may_not_listen(tmp_path: Path, words: list[str], toml: str, codes: set[str]) -> None:
    done = _serve(tmp_path, *words, toml=toml)
    assert done.returncode == 2, done.stderr
    assert set(re.findall(r"\[([a-z_]+)\]", done.stderr)) == codes, done.stderr


def test_a_state_directory_that_everybody_writes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.db.d").mkdir()
    (tmp_path / "g.db.d").chmod(0o777)
    (tmp_path / "other").write_text("x")
    (tmp_path / "g.db.d" / "bootstrap-token").symlink_to(tmp_path / "other")
    done = _serve(tmp_path, "--port", "0")
    assert (done.returncode, "[directory_unsafe]" in done.stderr) == (2, True), done.stderr
    assert (tmp_path / "other").read_text() == "x"


def test_a_port_that_was_asked_for_is_that_or_nothing(place: WebSite, tmp_path: Path) -> None:
    url = place.listening()
    port = url.rpartition(":")[2]
    other = tmp_path / "other"
    other.mkdir()
    done = _serve(other, "--port", port)
    assert done.returncode == 2
    assert "port_taken" in done.stderr


def test_the_web_side_may_be_left_out(place: WebSite) -> None:
    place.serve("--no-web")
    until(lambda: "plans now" in place.log.read_text(), "it runs")
    assert "dashboard" not in place.log.read_text()
    assert not (place.root / "gnomon.db.d" / "bootstrap-token").exists()
