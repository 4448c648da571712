"""Several processes on one file: fair turns, and nothing acknowledged is ever lost."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gnomon.stores import open_store
from gnomon.system.clock import VirtualClock
from gnomon.testing.stores.base import put_runs, run

CLOCK = VirtualClock(datetime(2026, 11, 20, tzinfo=UTC))

BUSY = """
import sys, time
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock
store, name, until = open_store(sys.argv[1], SystemClock()), sys.argv[2], None
print("ready", flush=True)
sys.stdin.readline()
count, until = 0, time.monotonic() + 1.0
while time.monotonic() < until:
    store.write(lambda tx: tx.put_setting(name, str(count)))
    count += 1
print(count, flush=True)
"""

WRITE = """
import sys, threading
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock
from gnomon.testing.stores.base import run
store, name = open_store(sys.argv[1], SystemClock()), sys.argv[2]
say = threading.Lock()

def work(thread):
    count = 0
    while True:
        batch = [run(f"{name}-{thread}-{count}-{n}") for n in range(5)]
        store.write(lambda tx: tx.insert_runs(batch))
        with say:
            print(f"{name}-{thread}-{count}", flush=True)
        count += 1

for thread in range(4):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_write_without_pause_share_fairly(tmp_path: Path) -> None:
    """Measured: with SQLite's own busy handler one of the two waits for seconds."""
    path = tmp_path / "gnomon.db"
    open_store(path, CLOCK).close()
    processes = [start(BUSY, path, name) for name in "ab"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert min(counts) >= 0.3 * sum(counts), counts


@pytest.mark.chaos
def test_a_kill_in_the_middle_of_commits_loses_no_acknowledged_write(tmp_path: Path) -> None:
    path = tmp_path / "gnomon.db"
    survivor = open_store(path, CLOCK)
    for generation in range(4):
        process = start(WRITE, path, generation)
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(40 + 13 * generation)]
        process.kill()
        told += process.communicate()[0].splitlines()
        last = told.pop()  # it may be half a line
        found = survivor.read(lambda r, told=told: r.runs_by_id([f"{name}-{n}" for name in told for n in range(5)]))  # type: ignore[misc]
        assert len(found) == 5 * len(told), (generation, last)
        put_runs(survivor, run(f"after-{generation}"))
    whole = survivor.read(lambda r: r.queued(["default"], 1_000_000))
    batches: dict[str, int] = {}
    for record in whole:
        if not record.id.startswith("after"):
            batches[record.id.rpartition("-")[0]] = batches.get(record.id.rpartition("-")[0], 0) + 1
    assert set(batches.values()) == {5}, "a batch is whole or not there"
    survivor.close()
