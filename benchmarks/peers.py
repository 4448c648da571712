"""Python callables, beside APScheduler 3: a burst at one instant, and 100 jobs every second.

Every figure comes from a process of its own; ours and theirs take turns, so that a busy machine is busy for both.
What each one keeps differs: gnomon keeps every run durably (`synchronous=FULL`) and runs the calls in worker
processes; APScheduler runs them in threads of the scheduler and keeps schedules only (in memory: nothing).

    python -m benchmarks.peers                 # full: 10,000 at once, 60 s of 100 a second, 3 rounds
    python -m benchmarks.peers --quick
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STACKS = ("gnomon", "aps-memory", "aps-wal", "aps-sqlalchemy")
SLOTS = 2
PATIENCE_S = 600
READY_S = 15
"""Seconds from the first job added to the first second that counts."""
TRIAL = 200
"""Jobs that show how fast this machine adds them."""
NOT_READY, TRIES = 75, 3
"""Exit code of a measurement that was not ready when its jobs were due; how often it is tried."""
CALLS: list[tuple[int, float]] = []


def call(number: int) -> None:
    """The job: every tenth prints."""
    CALLS.append((number, time.time()))
    if number % 10 == 0:
        print(number)


def quiet_call(number: int) -> None:
    """The same for the worker processes of gnomon, which need no list: the history has every start."""
    if number % 10 == 0:
        print(number)


# ---- ours ------------------------------------------------------------------------------------------


def gnomon_burst(count: int, place: Path) -> dict[str, Any]:
    from gnomon import Scheduler
    from gnomon.core.records import RunFilter
    from gnomon.core.states import State

    with _nursery(place) as nursery:
        scheduler = Scheduler(nursery / "g.db", executor="process", concurrency=SLOTS)

        def add(number: int, at: datetime) -> None:
            scheduler.add_job(f"job{number}", "benchmarks.peers:quiet_call", at=at, args=[number], catch_up="all")

        due = _add_all(add, count)
        scheduler.shutdown()
    scheduler = Scheduler(place / "g.db", executor="process", concurrency=SLOTS)
    with scheduler:
        _warm(scheduler)
        desk = scheduler._session.desk
        where = RunFilter(states=(State.SUCCEEDED, State.FAILED), since=due, until=due + timedelta(seconds=1))

        database = sqlite3.connect(f"file:{place / 'g.db'}?mode=ro", uri=True)
        over = "select count(*) from runs where state in ('succeeded', 'failed')"

        def done() -> bool:  # a cheap question: asking for all runs would keep the scheduler from its work
            return time.time() > due.timestamp() and database.execute(over).fetchone()[0] >= count

        _until(done, due.timestamp() + PATIENCE_S, 0.25)
        database.close()
        runs = desk.store.read(lambda r: r.runs(where, limit=count + 1)).items
    late = [run.lateness_s for run in runs if run.lateness_s is not None and run.state is State.SUCCEEDED]
    ends = [run.finished_at.timestamp() for run in runs if run.finished_at is not None]
    return _summary(late, count, max(ends, default=0) - due.timestamp())


def gnomon_steady(seconds: int, place: Path) -> dict[str, Any]:
    from gnomon import Scheduler, every
    from gnomon.core.records import RunFilter
    from gnomon.core.states import ACTIVE

    scheduler = Scheduler(place / "g.db", executor="process", concurrency=SLOTS)
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=READY_S)
    end = begin + timedelta(seconds=seconds - 1)
    for n in range(100):
        when = every(1, anchor=begin, start=begin, end=end)
        scheduler.add_job(f"job{n}", "benchmarks.peers:quiet_call", schedule=when, args=[n])
    with scheduler:
        if datetime.now(UTC) > begin:
            sys.exit(NOT_READY)
        desk = scheduler._session.desk
        active = RunFilter(states=tuple(ACTIVE))
        _until(lambda: time.time() > end.timestamp() + 2, end.timestamp() + 30)
        _until(lambda: not desk.store.read(lambda r: r.runs(active, limit=1)).items, end.timestamp() + 30)
        runs = desk.store.read(lambda r: r.runs(RunFilter(), limit=1_000_000)).items
        skips = [s for n in range(100) for s in desk.store.read(lambda r, n=n: r.skips(f"job{n}", limit=1000))]
        why = Counter(
            {str(reason): sum(s.count for s in skips if s.reason is reason) for reason in {s.reason for s in skips}}
        )
    fires = Counter((run.job_id, run.fire_at) for run in runs if run.fire_at is not None and run.started_at is not None)
    late = [run.lateness_s for run in runs if run.fire_at is not None and run.lateness_s is not None]
    return _summary(late, 100 * seconds, 0.0) | {"twice": sum(n > 1 for n in fires.values()), "skipped": dict(why)}


@contextlib.contextmanager
def _nursery(place: Path) -> Iterator[Path]:
    """A directory in memory to fill a database in, which is then copied to `place`: setting up is not measured."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)
        for file in filter(Path.is_file, Path(directory).glob("*.db*")):  # with what is left of its WAL
            shutil.copy(file, place)


def _add_all(add: Callable[[int, datetime], None], count: int) -> datetime:
    """Add jobs 1 to `count`, all due at one instant, which is returned: late enough for this machine to be ready.

    Raises:
        SystemExit: `NOT_READY`: it was not.
    """
    begin = time.time()
    for number in range(count, count + TRIAL):
        add(number, datetime.now(UTC) + timedelta(days=1))
    pace_s = (time.time() - begin) / TRIAL
    due = datetime.now(UTC) + timedelta(seconds=8 + 1.6 * pace_s * count)
    for number in range(count):
        add(number, due)
    if time.time() > due.timestamp() - 3:
        sys.exit(NOT_READY)
    return due


def _warm(scheduler: Any) -> None:
    """Workers started, the callable imported."""
    for n in range(4):
        scheduler.add_job(f"warm{n}", "benchmarks.peers:quiet_call", at=datetime.now(UTC), args=[n])
    _until(lambda: all(run.finished for run in scheduler.runs()) and len(scheduler.runs()) >= 4, time.time() + 30)


# ---- theirs ----------------------------------------------------------------------------------------


def _aps(stack: str, place: Path) -> Any:
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.jobstores.memory import MemoryJobStore
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.background import BackgroundScheduler
    from sqlalchemy import create_engine, event

    store: Any = MemoryJobStore()
    if stack != "aps-memory":
        engine = create_engine(f"sqlite:///{place / 'aps.db'}")
        if stack == "aps-wal":

            @event.listens_for(engine, "connect")
            def _pragmas(connection: Any, _record: Any) -> None:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")

        store = SQLAlchemyJobStore(engine=engine)
    defaults = {"misfire_grace_time": None, "coalesce": False, "max_instances": 1000}
    pool = {"default": ThreadPoolExecutor(SLOTS)}
    return BackgroundScheduler(jobstores={"default": store}, executors=pool, job_defaults=defaults, timezone=UTC)


def aps_burst(stack: str, count: int, place: Path) -> dict[str, Any]:
    with _nursery(place) as nursery:
        scheduler = _aps(stack, nursery)
        scheduler.start(paused=True)

        def add(number: int, at: datetime) -> None:
            scheduler.add_job(call, "date", run_date=at, args=[number], id=f"job{number}")

        due = _add_all(add, count)
        if stack != "aps-memory":
            scheduler.shutdown()
    if stack != "aps-memory":
        scheduler = _aps(stack, place)
        scheduler.start(paused=True)
    scheduler.resume()
    _until(lambda: len(CALLS) >= count, max(due.timestamp(), time.time()) + PATIENCE_S)
    scheduler.shutdown()
    late = [at - due.timestamp() for _, at in CALLS]
    return _summary(late, count, max(late, default=0.0))


def aps_steady(stack: str, seconds: int, place: Path) -> dict[str, Any]:
    scheduler = _aps(stack, place)
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=READY_S)
    end = begin + timedelta(seconds=seconds - 1)
    scheduler.start(paused=True)
    for n in range(100):
        scheduler.add_job(call, "interval", seconds=1, start_date=begin, end_date=end, args=[n], id=f"job{n}")
    if datetime.now(UTC) > begin:
        sys.exit(NOT_READY)
    scheduler.resume()
    _until(lambda: time.time() > end.timestamp() + 2, end.timestamp() + 30)
    scheduler.shutdown()
    late = [at - begin.timestamp() - round(at - begin.timestamp() - 0.3) for _, at in CALLS]
    return _summary(late, 100 * seconds, 0.0)


# ---- both ------------------------------------------------------------------------------------------


def _until(condition: Any, deadline: float, pause_s: float = 0.05) -> None:
    while not condition() and time.time() < deadline:
        threading.Event().wait(pause_s)


def _summary(late: list[float], expected: int, took_s: float) -> dict[str, Any]:
    late = sorted(late)
    if not late:
        return {"ran": 0, "lost": expected}
    return {
        "ran": len(late),
        "lost": expected - len(late),
        "p50_ms": late[len(late) // 2] * 1000,
        "p99_ms": late[len(late) * 99 // 100] * 1000,
        "runs_per_s": len(late) / took_s if took_s else None,
    }


def one(stack: str, measure: str, size: int) -> dict[str, Any]:
    """One measurement, in this process."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        if stack == "gnomon":
            return gnomon_burst(size, place) if measure == "burst" else gnomon_steady(size, place)
        return aps_burst(stack, size, place) if measure == "burst" else aps_steady(stack, size, place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 at once, 10 s, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=3, metavar=("STACK", "MEASURE", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        stack, measure, size = options.one
        print("\n" + json.dumps(one(stack, measure, int(size))))
        return
    sizes = {"burst": 1000 if options.quick else 10_000, "steady": 10 if options.quick else 60}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(1 if options.quick else options.rounds):
        for measure, size in sizes.items():
            for stack in STACKS:
                command = [sys.executable, "-m", "benchmarks.peers", "--one", stack, measure, str(size)]
                for _ in range(TRIES):
                    done = subprocess.run(command, capture_output=True, text=True, check=False)
                    if done.returncode != NOT_READY:
                        break
                if done.returncode:
                    sys.exit(f"{stack} {measure}: exit code {done.returncode}\n{done.stderr}")
                found.setdefault((measure, stack), []).append(json.loads(done.stdout.splitlines()[-1]))
                print(f"round {number + 1} {measure} {stack}: {found[measure, stack][-1]}", file=sys.stderr)
    _report(found, sizes)


def _report(found: dict[tuple[str, str], list[dict[str, Any]]], sizes: dict[str, int]) -> None:
    print("| measure | stack | ran | lost | twice | p50 ms | p99 ms | runs/s |\n|---|---|---|---|---|---|---|---|")
    for (measure, stack), results in found.items():

        def middle(key: str, results: list[dict[str, Any]] = results) -> str:
            values = [r[key] for r in results if r.get(key) is not None]
            return f"{statistics.median(values):,.0f}" if values else "–"

        lost, twice = max(r["lost"] for r in results), max(r.get("twice", 0) for r in results)
        name = f"{sizes[measure]:,} at one instant" if measure == "burst" else f"100 a second, {sizes[measure]} s"
        cells = (name, stack, middle("ran"), lost, twice, middle("p50_ms"), middle("p99_ms"), middle("runs_per_s"))
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


if __name__ == "__main__":
    main()
