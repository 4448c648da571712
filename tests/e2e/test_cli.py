"""`gnomon serve` as a real process, and everything a person does to it from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gnomon.cli.main import main
from tests.support.service import Site, until

SEEN_S = 2.0
"""A change of a job file takes effect within this time."""
SLACK_S = 3.0
"""What a loaded machine may take on top, to start the commands that look."""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


class Place(Site):
    """A site, and a person who types commands there: in this process, because starting one takes half a second."""

    def __init__(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        super().__init__(root)
        self._capfd = capfd

    def plain(self, *words: str) -> Done:
        """A command, and what it printed."""
        self._capfd.readouterr()
        done = Done(main(list(words)), *self._capfd.readouterr())
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def cli(self, *arguments: str, code: int | None = 0) -> Any:
        """The same with `--json`: the document."""
        done = self.plain(*arguments, "--json")
        assert code is None or done.returncode == code, done
        return json.loads(done.stdout) if done.stdout else None

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "gnomon", *words], cwd=self.root, env=self.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Place]:
    (tmp_path / "gnomon.toml").write_text('drain_timeout = "200ms"\n')
    one = Place(tmp_path, capfd)
    monkeypatch.chdir(tmp_path)
    for name, value in one.environment().items():
        if name.startswith("GNOMON_"):
            monkeypatch.setenv(name, value)
    yield one
    one.close()


def job(job_id: str, command: str, **keys: object) -> dict[str, object]:
    return {"job_id": job_id, "task": {"type": "command", "command": command}, **keys}


def serving(place: Place) -> subprocess.Popen[bytes]:
    process = place.serve()
    until(lambda: place.rows("select 1 from nodes"), f"the scheduler starts: {place.log}")
    return process


def active(place: Place) -> dict[str, int]:
    """Version of each job that is not retired."""
    return {r["job_id"]: r["version"] for r in place.rows("select job_id, version from jobs where retired_at is null")}


def files(place: Place) -> dict[str, Any]:
    return {Path(item["path"]).name: item for item in place.cli("jobs", "files")}


def test_drop_edit_break_repair_delete(place: Place) -> None:
    place.write("keep.yaml", job("keep", "true"))
    process = serving(place)
    until(lambda: "keep" in active(place), "the job that was there")

    place.write("a.yaml", job("a", "echo one"))
    until(lambda: active(place).get("a") == 1, "the dropped file is seen", SEEN_S)

    place.write("a.yaml", job("a", "echo two"))
    until(lambda: active(place).get("a") == 2, "the edit is seen", SEEN_S)

    place.write("a.yaml", "job_id: a\ntimeot: 5m\ntask: {type: command, command: echo three}\n")
    until(lambda: "timeot" in place.log.read_text(), "the mistake is in the log", SEEN_S)
    broken = files(place)["a.yaml"]
    assert broken["ok"] is False
    problem = broken["problems"][0]
    assert (problem["line"], problem["key"], problem["code"]) == (2, "timeot", "unknown_key")
    assert "timeout" in problem["hint"]
    assert Path(problem["file"]).name == "a.yaml"
    assert "timeot" in place.plain("jobs", "files").stdout
    assert active(place)["a"] == 2
    done = place.plain("run", "a")
    assert (done.returncode, done.stdout) == (0, "two\n"), done

    place.write("a.yaml", job("a", "echo four"))
    until(lambda: active(place).get("a") == 3, "the repair is seen", SEEN_S)
    until(lambda: files(place)["a.yaml"]["ok"], "the file is fine again", SLACK_S)

    (place.jobs / "a.yaml").unlink()
    until(lambda: "a" not in active(place), "the deletion is seen", SEEN_S)
    assert "keep" in active(place)
    assert len(place.cli("runs", "list", "--job", "a")) == 1
    assert place.cli("run", "a", code=2) is None

    assert place.kill(process, signal.SIGTERM) == 0


def test_duplicate_ids_name_both_files(place: Place) -> None:
    place.write("first.yaml", job("same", "echo first"))
    serving(place)
    until(lambda: "same" in active(place), "the first")
    place.write("second.yaml", job("same", "echo second"))
    until(lambda: "duplicate_job_id" in place.plain("jobs", "files").stdout, "the duplicate", SLACK_S)
    problem = files(place)["second.yaml"]["problems"][0]
    assert problem["code"] == "duplicate_job_id"
    assert "first.yaml" in problem["message"]
    assert "second.yaml" in problem["message"] + problem["file"]
    assert place.plain("run", "same").stdout == "first\n"


def test_run_follow_cancel_retry(place: Place) -> None:
    place.write("jobs.yaml", {"jobs": [
        job("quick", "echo out; echo err >&2"),
        job("bad", "echo going wrong; exit 9"),
        job("again", 'echo "try $GNOMON_ATTEMPT"; exit $((2 - GNOMON_ATTEMPT))', restarts=1, retry={"delay": "0.1s"}),
        job("long", "echo begun; sleep 600"),
    ]})  # fmt: skip
    process = serving(place)
    until(lambda: len(active(place)) == 4, "the jobs")

    good = place.plain("run", "quick")
    assert (good.returncode, sorted(good.stdout.split())) == (0, ["err", "out"])
    bad = place.plain("run", "bad")
    assert (bad.returncode, bad.stdout) == (1, "going wrong\n")
    assert "exit code 9" in bad.stderr
    failed = place.cli("run", "bad", code=1)
    assert (failed["state"], failed["exit_code"], failed["error"]["code"]) == ("failed", 9, "exit_code")
    again = place.plain("run", "again")
    assert (again.returncode, again.stdout) == (0, "try 1\ntry 2\n")
    run_id = place.cli("runs", "list", "--job", "again")[0]["id"]
    assert place.plain("runs", "logs", run_id, "--attempt", "1").stdout == "try 1\n"
    assert place.cli("runs", "logs", run_id)["log"] == "try 2\n"
    assert place.plain("runs", "logs", run_id, "--attempt", "3").returncode == 2

    started = place.cli("run", "long", "--no-wait")
    follower = place.start("runs", "logs", "-f", started["id"])
    assert follower.stdout is not None
    assert follower.stdout.readline() == "begun\n"
    assert "is running" in place.cli("why", "long")["verdict"]
    place.cli("runs", "cancel", started["id"])
    assert follower.communicate(timeout=20) == ("", "")
    assert follower.returncode == 0
    ended = until(
        lambda: (r := place.cli("runs", "show", started["id"]))["state"] == "cancelled" and r, "it is cancelled"
    )
    assert ended["cancel_actor"].startswith("cli:")
    assert place.cli("runs", "cancel", started["id"], code=2) is None

    retried = place.cli("runs", "retry", failed["id"])[0]
    assert (retried["retry_of"], retried["flow_id"]) == (failed["id"], failed["flow_id"])
    until(lambda: place.cli("runs", "show", retried["id"])["state"] == "failed", "the retry ends")
    assert place.cli("runs", "list", "--state", "failed", "--since", "-10m", "--job", "bad")
    assert place.cli("runs", "delete", retried["id"], "--yes")["deleted"] == [retried["id"]]
    assert place.kill(process, signal.SIGTERM) == 0
    assert "Traceback" not in place.log.read_text()


def test_pause_resume_why(place: Place) -> None:
    place.write("tick.yaml", job("tick", "true", schedule="every 1s"))
    serving(place)
    until(lambda: place.states().get("succeeded"), "a run")
    assert "ran and succeeded" in place.plain("why", place.cli("runs", "list")[0]["id"]).stdout
    assert place.cli("jobs", "pause", "tick", "--reason", "a look")[0]["paused"] is True
    until(lambda: "queued" not in place.states() and "running" not in place.states(), "nothing runs any more")
    before = place.states()["succeeded"]
    paused = place.plain("why", "tick", "+5s").stdout
    assert "paused by cli:" in paused
    assert "a look" in paused
    assert place.cli("jobs", "resume", "tick")[0]["paused"] is False
    until(lambda: place.states()["succeeded"] > before, "it runs again")
    skips = place.rows("select * from skips where job_id = 'tick'")
    assert all(skip["reason"] == "paused" for skip in skips)
    assert place.cli("schedules", "pause", "tick")[0]["paused"] is True
    assert place.cli("doctor", code=None)["settings"]


def test_a_second_scheduler_and_a_forced_stop(place: Place) -> None:
    place.write("long.yaml", job("long", "sleep 600"))
    first, second = serving(place), place.serve()
    until(lambda: len(place.rows("select 1 from nodes")) == 2, "two nodes")
    until(lambda: "long" in active(place), "the job")
    nodes = next(c for c in place.cli("doctor", code=None)["checks"] if c["name"] == "schedulers")
    assert nodes["level"] == "ok"
    assert nodes["message"].count("(plans)") == 1
    run_id = place.cli("run", "long", "--no-wait")["id"]
    until(lambda: place.states().get("running"), "it runs")
    assert place.kill(first, signal.SIGTERM) == 0
    assert place.kill(second, signal.SIGTERM) == 0
    done = place.cli("runs", "show", run_id)
    assert done["state"] == "running"
    third = serving(place)
    place.cli("runs", "cancel", run_id)
    until(lambda: place.states().get("cancelled"), "the successor cancels what it adopted")
    assert place.kill(third, signal.SIGINT) == 0


def test_without_a_file(place: Place) -> None:
    place.write("tick.yaml", job("tick", f"echo x >> {place.ledger}", schedule="every 1s"))
    process = place.serve("--memory", "--log-format", "json")
    until(place.ledger_lines, "a run")
    assert place.kill(process, signal.SIGTERM) == 0
    assert not place.db.exists()
    lines = [json.loads(line) for line in place.log.read_text().splitlines()]
    assert {"at", "level", "message"} <= lines[0].keys()
    assert not list(place.root.glob("gnomon.db*"))


def test_interrupting_a_pipeline_ends_its_commands(place: Place) -> None:
    (place.root / "p.yaml").write_text(json.dumps(job("p", f"echo $$ > {place.ledger}; exec sleep 600")))
    process = place.start("run", "p.yaml")
    pid = int(until(place.ledger_lines, "the command runs")[0][0])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "p: cancelled" in out
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_cannot_start(place: Place) -> None:
    for words, code in (
        (["--jobs-dir", "nowhere"], "jobs_dir_missing"),
        (["--timezone", "Mars/X"], "timezone_invalid"),
    ):
        done = place.plain("serve", *words)
        assert done.returncode == 2
        assert code in done.stderr
