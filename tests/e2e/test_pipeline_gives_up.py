"""`gnomon run FILE` has nobody who looks after it: it ends when its scheduler cannot go on, and always when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import until

START = """
import sys, threading
from gnomon.cli.main import main
from gnomon.engine import dispatcher, node

def fails(*args):
    raise OverflowError("int too large to convert")

def hangs(*args):
    open("hangs", "w").close()
    threading.Event().wait()

{patch}
sys.argv[0] = "gnomon"
sys.exit(main())
"""


def start(place: Path, patch: str, jobs: str) -> subprocess.Popen[str]:
    (place / "p.json").write_text(jobs)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GNOMON_")}
    return subprocess.Popen(
        [sys.executable, "-c", START.format(patch=patch), "run", "p.json"],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def job(command: str) -> str:
    return json.dumps({"jobs": [{"job_id": "a", "task": {"type": "command", "command": command}}]})


def test_steps_that_fail_in_a_row_end_it(tmp_path: Path) -> None:
    process = start(tmp_path, "dispatcher.Dispatcher.step = fails", job("true"))
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 70
    assert "steps of the scheduler fail, " in err
    assert "int too large to convert" in err


@pytest.mark.parametrize(
    "what", ["node.Node._collect_cancels = lambda *args: None", "dispatcher.Dispatcher.step = hangs"]
)
def test_whatever_hangs_it_ends_when_told_again(tmp_path: Path, what: str) -> None:
    process = start(tmp_path, what, job("touch hangs; while [ -e hangs ]; do sleep 0.2; done"))
    until((tmp_path / "hangs").exists, "it is in the midst of it")
    process.send_signal(signal.SIGTERM)

    def ended() -> bool:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return process.poll() is not None

    try:
        until(ended, "told again, it ends")
        assert process.returncode in (130, 128 + signal.SIGTERM, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()
        (tmp_path / "hangs").unlink()
