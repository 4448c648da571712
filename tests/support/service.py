"""A real `gnomon serve` in a process of its own, and what its database says, read without gnomon's code."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.timing import patience


def until(condition: Callable[[], Any], what: str, within_s: float = 20.0) -> Any:
    """Wait for a true answer; fail with `what` if there is none in time, on a machine with nothing else to do."""
    begin = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() - begin > within_s * patience():
            raise AssertionError(f"not within {within_s} s (and {patience():.1f} processes a core): {what}")
        time.sleep(0.02)  # between two looks at something that tells nobody


class Site:
    """A directory with jobs, a database, and any number of schedulers on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = root / "jobs.d"
        self.jobs.mkdir()
        self.db = root / "gnomon.db"
        self.log = root / "serve.log"
        self.ledger = root / "ledger"
        self.ledger.touch()
        self.alive: list[subprocess.Popen[bytes]] = []

    def environment(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("GNOMON_")}
        web = {"GNOMON_WEB": "off"}  # starts sooner; tests of the web side say GNOMON_WEB themselves
        return env | web | {"GNOMON_DB": f"sqlite:///{self.db}", "GNOMON_JOBS_DIR": str(self.jobs)}

    def write(self, name: str, document: object) -> None:
        """Put a job file in place at once (JSON is fine), old enough to be believed at the next look."""
        path = self.jobs / name
        draft = path.with_name("." + name)
        draft.write_text(document if isinstance(document, str) else json.dumps(document))
        draft.rename(path)

    def serve(self, *options: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gnomon", "serve", *options],
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.alive.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> int:
        """Signal a scheduler, wait for its end, return its exit code."""
        process.send_signal(number)
        code = process.wait(20 * patience())
        self.alive.remove(process)
        return code

    def cli(self, *arguments: str, code: int | None = 0) -> Any:
        """Run a gnomon command with `--json`; returns the document."""
        done = subprocess.run(
            [sys.executable, "-m", "gnomon", *arguments, "--json"],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Ask the database file itself."""
        if not self.db.exists():
            return []
        db = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            return db.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            db.close()

    def states(self) -> dict[str, int]:
        """How many runs are in each state."""
        return {r["state"]: r["n"] for r in self.rows("select state, count(*) n from runs group by state")}

    def ledger_lines(self) -> list[list[str]]:
        """What the jobs themselves wrote, one O_APPEND write each."""
        return [line.split() for line in self.ledger.read_text().splitlines()]

    def close(self) -> None:
        for process in list(self.alive):
            self.kill(process)


@contextmanager
def site(root: Path) -> Iterator[Site]:
    """A site whose schedulers are ended with it."""
    place = Site(root)
    try:
        yield place
    finally:
        place.close()
