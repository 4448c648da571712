"""Every list, page and summary on a database of a million runs: p50, p95 and maximum in ms, and memory.

`python -m benchmarks.lists [--runs N] [--rounds N] [--db PATH]` makes the database (`--db`: kept and used again),
asks each question in `rounds` variations, and prints a table. Exit 1 if a p95 is above 50 ms; with `--cpu`, where
others use the machine too, if that of the processor time is. Every question goes through the operation that the command
line and REST use, JSON objects included.
"""

from __future__ import annotations

import argparse
import gc
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks._lists_data import BEGIN, DAYS, END, JOBS
from gnomon.core.filters import AuditFilter, ConfigurationFilter, FlowFilter, SkipFilter
from gnomon.engine.context import Context
from gnomon.engine.settings import EngineSettings
from gnomon.executors.logs import Logs
from gnomon.operations import summary
from gnomon.operations.audit import list_audit
from gnomon.operations.configurations import list_configurations
from gnomon.operations.context import Desk
from gnomon.operations.filters import JOBS as JOB_FILTERS
from gnomon.operations.filters import RUNS, SCHEDULES, reading_of
from gnomon.operations.flows import page_of_flows
from gnomon.operations.jobs import list_jobs
from gnomon.operations.runs import list_runs, show_run
from gnomon.operations.schedules import list_schedules
from gnomon.operations.skips import list_skips
from gnomon.operations.why import why
from gnomon.schedules import Kinds
from gnomon.stores import open_store
from gnomon.system.clock import SystemEntropy, VirtualClock
from gnomon.tasks import TaskTypeCatalogue

LIMIT_MS = 50.0
Question = Callable[[Desk, random.Random], object]

RUN_FILTERS = [
    "",
    "job:job-{n}",
    "job:job-{n},job-7,job-93",
    "ob-{n}",
    "state:failed",
    "state:failed,timed_out since:{d}d",
    "state:timed_out",
    "state:active",
    "state:ended",
    "-state:succeeded",
    "job:job-{n} state:failed",
    "job:job-{n} state:active",
    "job:job-{n} -state:succeeded",
    "type:http",
    "type:http state:failed",
    "-type:command,http",
    "label:team=ops",
    "label:team=ops state:failed",
    "label:team=nobody",
    "job:job-{n} label:team=nobody",
    "-label:team=ops -label:team=web -label:team=data",
    "since:{d}d",
    "until:-{d}d",
    "since:-{d}d until:-1d job:job-{n}",
    "duration:>1h",
    "job:job-{n} duration:>1h",
    "duration:1s..2s",
    "lateness:>1h",
    "job:job-{n} lateness:>1h",
    "error:timeout",
    'error:"nothing says this"',
    "job:job-{n} error:refused",
    "-error:refused state:failed",
    "signature:0123456789ab",
    "cause:manual",
    "cause:startup",
    "job:job-{n} cause:startup",
    "schedule:job-{n}:default",
    "flow:{flow}",
    "actor:cli",
    "actor:cli:nobody",
    "config:orders",
    "config:orders@2 state:failed",
    "config:nothing",
    "nothing-is-called-so",
    "-job",
]


def questions(flows: Sequence[str], ids: Sequence[str]) -> Iterator[tuple[str, Question]]:
    """Each question with its name; what varies comes from the generator."""

    def filtered(text: str, deep: bool) -> Question:
        cursors: list[tuple[Any, str | None]] = []

        def ask(desk: Desk, chance: random.Random) -> object:
            if cursors:
                where, cursor = cursors.pop()
                return list_runs(desk, where, 50, cursor)
            said = text.format(n=chance.randrange(JOBS), d=chance.randint(1, DAYS - 1), flow=chance.choice(flows))
            return list_runs(desk, RUNS.parse(said, reading_of(desk)))

        def prepare(desk: Desk, chance: random.Random, rounds: int) -> None:
            for _ in range(rounds if deep else 0):
                where = RUNS.parse(text.format(n=chance.randrange(JOBS)), reading_of(desk))
                cursors.append((where, deep_cursor(desk, where, chance)))

        ask.prepare = prepare  # type: ignore[attr-defined]
        return ask

    for text in RUN_FILTERS:
        yield f"runs {text}".strip(), filtered(text, False)
    for text in ("", "job:job-{n}", "state:failed", "-state:succeeded", "label:team=nobody", "duration:>1h"):
        yield f"runs {text} (deep page)", filtered(text, True)
    yield "one run", lambda desk, chance: show_run(desk, chance.choice(ids))
    yield "why JOB", lambda desk, chance: why(desk, f"job-{chance.randrange(JOBS)}")
    yield from other_lists()
    yield from summaries()


def other_lists() -> Iterator[tuple[str, Question]]:
    for text in ("", "type:http", "label:team=nobody", "-job-1", "since:2d until:1d", "paused:yes"):
        yield (
            f"jobs {text}".strip(),
            lambda desk, chance, text=text: list_jobs(desk, JOB_FILTERS.parse(text, reading_of(desk))),  # type: ignore[misc]
        )
    for text in ("", "paused:yes", "ob-1"):
        yield (
            f"schedules {text}".strip(),
            lambda desk, chance, text=text: list_schedules(desk, SCHEDULES.parse(text, reading_of(desk))),  # type: ignore[misc]
        )
    yield "configurations", lambda desk, chance: list_configurations(desk)
    yield (
        "configurations used:no",
        lambda desk, chance: list_configurations(desk, where=ConfigurationFilter(used=False)),
    )
    yield "flows", lambda desk, chance: page_of_flows(desk, FlowFilter())
    yield "flows job:…", lambda desk, chance: page_of_flows(desk, FlowFilter(job_id=f"job-{chance.randrange(JOBS)}"))
    yield "flows until:…", lambda desk, chance: page_of_flows(desk, FlowFilter(until=BEGIN + timedelta(days=3)))
    yield "skips", lambda desk, chance: list_skips(desk, SkipFilter())
    yield "skips job:…", lambda desk, chance: list_skips(desk, SkipFilter(job_id=f"job-{chance.randrange(JOBS)}"))
    yield "skips (no match)", lambda desk, chance: list_skips(desk, SkipFilter(words=("nothing",)))
    yield "audit", lambda desk, chance: list_audit(desk, AuditFilter())
    yield "audit (no match)", lambda desk, chance: list_audit(desk, AuditFilter(words=("nothing",)))


def summaries() -> Iterator[tuple[str, Question]]:
    names = [f"job-{number}" for number in range(50)]
    yield "a job's last 30 runs", lambda desk, chance: summary.bars(desk, [f"job-{chance.randrange(JOBS)}"])
    yield "bars and durations of 50 jobs", lambda desk, chance: summary.of_jobs(desk, names)
    yield "success rate of 30 days", lambda desk, chance: summary.success_rate(desk, BEGIN, END)
    yield "start delay of 30 days", lambda desk, chance: summary.start_delay(desk, BEGIN, END)
    yield "capacity", lambda desk, chance: summary.capacity(desk)
    yield "oldest queued", lambda desk, chance: summary.oldest_queued(desk)
    yield "strip of 16 h", lambda desk, chance: summary.strip(desk, END - timedelta(hours=16), END)
    yield "strip of 30 days", lambda desk, chance: summary.strip(desk, BEGIN, END, buckets=120)
    yield "errors of a day", lambda desk, chance: summary.errors(desk, END - timedelta(days=1), END)
    yield "errors of 30 days", lambda desk, chance: summary.errors(desk, BEGIN, END)
    yield "counts by state", lambda desk, chance: summary.counts(desk)
    for text in ("state:failed", "label:team=nobody", "job:job-3"):
        yield (
            f"how many: {text}",
            lambda desk, chance, text=text: summary.count(desk, RUNS.parse(text, reading_of(desk))),  # type: ignore[misc]
        )


def deep_cursor(desk: Desk, where: Any, chance: random.Random) -> str | None:
    """A cursor somewhere in the middle: that of a page which begins there."""
    from dataclasses import replace

    late = END - timedelta(seconds=chance.randrange(86_400, DAYS * 86_400 // 2))
    page = list_runs(desk, replace(where, until=late), 1)
    return page.next


def timed(ask: Question, desk: Desk, chance: random.Random, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each round, sorted: by the clock on the wall, and of the processor."""
    getattr(ask, "prepare", lambda *_: None)(desk, chance, rounds)
    wall, cpu = [], []
    for _ in range(rounds):
        begun, busy = time.perf_counter(), time.process_time()
        ask(desk, chance)
        cpu.append((time.process_time() - busy) * 1000)
        wall.append((time.perf_counter() - begun) * 1000)
    return sorted(wall), sorted(cpu)


def resident_kib() -> int:
    return int(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line))


def at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def report(rows: Iterable[tuple[str, tuple[list[float], list[float]]]], by_cpu: bool) -> int:
    """Print the table; how many are too slow."""
    slow = 0
    print(f"{'ms':56} {'p50':>7} {'p95':>7} {'max':>7}   processor p50 {'p95':>7}")
    for name, (wall, cpu) in rows:
        too_slow = at(cpu if by_cpu else wall, 0.95) > LIMIT_MS
        slow += too_slow
        walls = " ".join(f"{at(wall, share):7.2f}" for share in (0.5, 0.95, 1.0))
        cpus = f"{at(cpu, 0.5):13.2f} {at(cpu, 0.95):7.2f}"
        print(f"{name:56} {walls}   {cpus}{'  SLOW' if too_slow else ''}", flush=True)
    return slow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--db", type=Path)
    parser.add_argument("--only", default="", help="questions with this in their name")
    parser.add_argument("--cpu", action="store_true", help="judge by processor time")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = chosen.db or Path(directory) / "lists.db"
        clock = VirtualClock(END)
        if not path.exists():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-m", "benchmarks._lists_data", path, str(chosen.runs)], check=True)
            spent = time.perf_counter() - begun
            print(f"{chosen.runs} runs made in {spent:.0f} s, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        store = open_store(path, clock)
        engine = Context("bench", EngineSettings(), Kinds(), TaskTypeCatalogue(), SystemEntropy())
        desk = Desk(store, clock, Logs(Path(directory) / "logs"), engine, "bench")
        with sa.create_engine(f"sqlite:///{path}").connect() as db:
            flows = list(db.scalars(sa.text("SELECT DISTINCT flow_id FROM runs WHERE flow_id != id LIMIT 500")))
            ids = list(db.scalars(sa.text("SELECT id FROM runs WHERE abs(random()) % 2000 = 0 LIMIT 500")))
        chance = random.Random(1)
        asked = [(name, ask) for name, ask in questions(flows or ["x"], ids) if chosen.only in name]
        asked[0][1](desk, chance)
        gc.freeze()  # as `gnomon serve` does it
        before = resident_kib()
        slow = report(((n, timed(ask, desk, chance, chosen.rounds)) for n, ask in asked), chosen.cpu)
        print(f"RSS before {before // 1024} MB, after {resident_kib() // 1024} MB")
        store.close()
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
