"""Jobs whose files nobody watches any more: real processes, and what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.service import site, until


def test_jobs_of_a_directory_that_nobody_watches_are_named(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        command = {"type": "command", "command": ["sh", "-c", f"echo old >> {place.ledger}"]}
        place.write("old.yaml", [{"job_id": "old", "task": command, "schedule": "every 1s"}])
        first = place.serve()
        until(place.ledger_lines, "its jobs run")
        assert "no scheduler watches" not in place.log.read_text()
        place.kill(first, signal.SIGTERM)
        place.jobs = tmp_path / "other.d"
        place.jobs.mkdir()
        seen = len(place.ledger_lines())
        place.serve()
        until(lambda: len(place.ledger_lines()) > seen, "they fire on")
        until(lambda: "no scheduler watches" in place.log.read_text(), "the log says so")
        found = place.cli("doctor", code=None)["checks"]
        assert [f["level"] for f in found if f["name"] == "unwatched files"] == ["warn"]
        shown = subprocess.run(
            [sys.executable, "-m", "gnomon", "jobs", "list"],
            env=place.environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "old.yaml fire on as they are, although no scheduler watches" in shown.stderr
        assert "old" in shown.stdout
