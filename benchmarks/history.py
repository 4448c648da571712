"""What it costs a run to be found later: its life written with and without the index of ended runs and the kept counts.

`python -m benchmarks.history [runs [rounds]]` takes turns and prints processor time per run (made, started, ended:
three commits per 100 runs) in an SQLite file that has many runs already, and the size of the index in the file.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gnomon.core.records import Cause, RunRecord
from gnomon.core.states import State
from gnomon.stores import open_store
from gnomon.stores.sql import tallies
from gnomon.system.clock import VirtualClock

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BEFORE = 200_000
BATCH = 100
ENDED = "ix_runs_ended"


def runs(first: int, count: int) -> list[RunRecord]:
    made = []
    for number in range(first, first + count):
        due = NOW + timedelta(seconds=number / 10)
        run_id = f"{number:015x}"
        key, job_id = f"{number * 2654435761 % 2**32:x}-{number}", f"job-{number * 7919 % 100}"
        made.append(
            RunRecord(
                run_id, job_id, 1, State.QUEUED, Cause.SCHEDULE, key, due, due, run_id, "scheduler", queued_at=due
            )
        )
    return made


def life(path: Path, first: int, count: int) -> float:
    """Microseconds of processor time per run."""
    store = open_store(path, VirtualClock(NOW))
    all_runs = runs(first, count)
    store.write(lambda tx: tx.insert_runs(all_runs[:1]))
    spent = time.process_time()
    for at in range(1, count, BATCH):
        batch = all_runs[at : at + BATCH]
        begun = [replace(run, state=State.RUNNING, started_at=run.due_at, lateness_s=0.1, attempts=1) for run in batch]
        over = [replace(run, state=State.SUCCEEDED, finished_at=run.due_at, duration_s=1.5) for run in begun]
        store.write(lambda tx, batch=batch: tx.insert_runs(batch))  # type: ignore[misc]
        store.write(lambda tx, begun=begun: tx.update_runs([(run, State.QUEUED) for run in begun]))  # type: ignore[misc]
        store.write(lambda tx, over=over: tx.update_runs([(run, State.RUNNING) for run in over]))  # type: ignore[misc]
    spent = time.process_time() - spent
    store.close()
    return spent / count * 1e6


def without_counts(of: Callable[[], float]) -> float:
    """Measure while nothing is counted."""
    kept = tallies.TallyWrites.tally
    tallies.TallyWrites.tally = lambda self, ended: None  # type: ignore[method-assign]
    try:
        return of()
    finally:
        tallies.TallyWrites.tally = kept  # type: ignore[method-assign]


def main() -> None:
    count, rounds = (int(word) for word in (*sys.argv[1:3], *("10000", "3")[len(sys.argv) - 1 :]))
    figures: dict[str, list[float]] = {"all": [], "without the index": [], "without the counts": [], "without both": []}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "history.db"
        life(path, 0, BEFORE)
        db = sqlite3.connect(path, isolation_level=None)
        text = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (ENDED,)).fetchone()[0]
        first = BEFORE
        for _ in range(rounds):
            for name, took in figures.items():
                if name in ("without the index", "without both"):
                    db.execute(f"DROP INDEX {ENDED}")
                at = first
                if name in ("without the counts", "without both"):
                    took.append(without_counts(lambda at=at: life(path, at, count)))  # type: ignore[misc]
                else:
                    took.append(life(path, at, count))
                if name in ("without the index", "without both"):
                    db.execute(text)
                first += count
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size, rows = path.stat().st_size, first
        db.execute(f"DROP INDEX {ENDED}")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        smaller = path.stat().st_size
        db.close()
    for name, took in figures.items():
        each = ", ".join(f"{one:.1f}" for one in took)
        print(f"{name:20} {statistics.median(took):7.1f} µs of processor time a run ({each})")
    print(f"the index takes {(size - smaller) / rows:.0f} of {size / rows:.0f} bytes a run in the file")


if __name__ == "__main__":
    main()
