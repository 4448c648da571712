"""Nobody reads what gnomon prints (Ctrl-S, a log driver that hangs): jobs go on all the same, and a signal ends it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.service import Site, site, until


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that takes nothing more until somebody reads."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    try:
        yield read, write
    finally:
        os.close(read)
        os.close(write)


def start(place: Site, *words: str, out: int = -1, err: int = -1) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gnomon", *words],
        cwd=place.root,
        env=place.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if out < 0 else out,
        stderr=subprocess.DEVNULL if err < 0 else err,
        start_new_session=True,
    )
    place.alive.append(process)
    return process


def long(place: Site) -> None:
    command = f"echo $$ >>{place.ledger}; exec sleep 600"
    place.write("a.yaml", {"job_id": "a", "schedule": "@reboot", "task": {"type": "command", "command": command}})


def end_commands(place: Site) -> None:
    for (pid,) in place.ledger_lines():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def ended(place: Site, process: subprocess.Popen[bytes]) -> int:
    code = process.wait(60)
    place.alive.remove(process)
    return code


@pytest.mark.slow
def test_a_log_that_nobody_reads_keeps_no_job_waiting_and_a_signal_ends_the_scheduler(tmp_path: Path) -> None:
    with site(tmp_path) as place, full_pipe() as (read, write):
        command = f"echo x >>{place.ledger}"
        place.write("a.yaml", {"job_id": "a", "schedule": "every 1s", "task": {"type": "command", "command": command}})
        process = start(place, "serve", "--log-level", "debug", err=write)
        until(lambda: len(place.ledger_lines()) >= 3, "a job every second")
        os.read(read, 1 << 16)
        until(lambda: b"node" in os.read(read, 1 << 16), "the log goes on when it is read again")
        seen = len(place.ledger_lines())
        until(lambda: len(place.ledger_lines()) >= seen + 2, "and so do the jobs")
        process.send_signal(signal.SIGHUP)
        assert ended(place, process) == 0


@pytest.mark.slow
def test_a_pipeline_whose_progress_nobody_reads_ends_by_signals(tmp_path: Path) -> None:
    with site(tmp_path) as place, full_pipe() as (_, write):
        long(place)
        process = start(place, "run", str(place.jobs / "a.yaml"), out=write)
        until(place.ledger_lines, "it runs")

        def asked() -> bool:
            process.terminate()
            return process.poll() is not None

        until(asked, "the end", within_s=40)
        end_commands(place)
        assert ended(place, process) in (-signal.SIGTERM, 128 + signal.SIGTERM, 130)


@pytest.mark.slow
def test_a_third_signal_ends_what_hangs(tmp_path: Path) -> None:
    """Somebody else has the database: neither a step nor the farewell of the scheduler can be written."""
    with site(tmp_path) as place:
        long(place)
        process = place.serve()
        until(place.ledger_lines, "it works")
        db = sqlite3.connect(place.db, isolation_level=None)
        db.execute("begin immediate")
        process.send_signal(signal.SIGTERM)
        until(lambda: b"stopping: waiting" in place.log.read_bytes(), "the first is noted")
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        assert ended(place, process) in (128 + signal.SIGINT, 128 + signal.SIGTERM)  # which is noted first
        db.close()
        end_commands(place)
