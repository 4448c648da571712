"""`python -m tests.chaos.soak --minutes 60 --seed 1`: plain `serve` with all executors under random faults.

Each cycle strikes a few times, lets the site heal, and wants the innocent jobs to go on. At the end everything must be
over, and the ledger that the jobs wrote themselves must agree with the database. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.soak.jobs import INNOCENT, MODULE, plan, text
from tests.chaos.soak.judge import FINAL, Judge, ledger, orphans
from tests.chaos.soak.nemesis import Nemesis
from tests.chaos.soak.world import World, uptime
from tests.support.timing import slowness


def soak(
    root: Path, seed: int, seconds: float, say: Callable[[str], None] = print, only: frozenset[str] = frozenset()
) -> list[str]:
    """Play for so long, all faults or those named by `only`; returns what was wrong."""
    rng = random.Random(seed)
    world = World(root)
    (root / "soaked.py").write_text(MODULE)
    (root / "gnomon.toml").write_text("retention_runs = 1000000\n")  # the judge wants to see all of them
    wanted = plan(rng, world.ledger, world.url, root)
    wrong: list[str] = []
    try:
        for name, jobs in wanted.documents.items():
            world.write(name, text(jobs))
        wrong += [f"job files: {error}" for error in world.cli("validate", str(world.jobs), code=None)["errors"]]
        nemesis = Nemesis(world, wanted, rng, only)
        nemesis.start()
        wrong += _alive(world, "at the start")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            struck = [nemesis.strike() for _ in range(rng.randint(1, 3))]
            found = _alive(world, f"after {struck}") + _clean(world)
            wrong += found
            say(f"{uptime():.0f} {world.clock.offset:+.1f} {struck} {found or ''}")
        say("resting")
        wrong += _rest(world, nemesis)
        judge = Judge(world, wanted, nemesis)
        wrong += judge.verdict()
        say(json.dumps(judge.summary()))
    finally:
        world.close()
    return wrong


def _alive(world: World, when: str) -> list[str]:
    """The innocent go on: each starts again, soon."""
    since = uptime()
    patience = (60 + 45) * slowness()  # a frozen lease, a clock set back by half a minute, a restart
    missing = set(INNOCENT)
    while uptime() - since < patience:
        missing = set(INNOCENT) - {line.job for line in ledger(world) if line.what == "start" and line.up > since}
        if not missing:
            return []
        time.sleep(0.5)  # between two looks at the ledger
    return [f"stands still {when}: {sorted(missing)} did not start within {patience:.0f} s"]


def _clean(world: World) -> list[str]:
    """Nobody outlives the end of its attempt."""
    left: list[str] = []
    for _ in range(int(30 * slowness())):
        left = orphans(world)
        if not left:
            return []
        time.sleep(1)  # between two looks at the processes
    return [f"orphan: {text}" for text in left]


def _rest(world: World, nemesis: Nemesis) -> list[str]:
    """Take the jobs away, wait for all runs, stop; nobody may be left."""
    wrong = []
    world.write("keep.json", text([{"job_id": "keep", "task": ["true"]}]))
    for name in nemesis.plan.documents:
        (world.jobs / name).unlink()
    end = time.monotonic() + 120 * slowness()
    open_runs = -1
    while time.monotonic() < end and open_runs:
        marks = ", ".join("?" * len(FINAL))
        open_runs = world.rows(f"select count(*) n from runs where state not in ({marks})", *FINAL)[0]["n"]
        retired = world.rows("select count(*) n from jobs where retired_at is null and job_id <> 'keep'")[0]["n"]
        open_runs += retired
        time.sleep(0.5)  # between two looks at the database
    health = nemesis.world.cli("health", code=None)
    if not health or health.get("level") == "failing":
        wrong.append(f"health at rest: {health}")
    assert nemesis.process is not None
    code = world.kill(nemesis.process, signal.SIGTERM)
    if code != 0:
        wrong.append(f"TERM at rest ended with {code}")
    end = time.monotonic() + 40 * slowness()
    while time.monotonic() < end and world.ours():
        time.sleep(0.5)  # between two looks at the processes
    wrong += [f"left behind: {pid} {env.get('GNOMON_JOB_ID')} {env['STATE']}" for pid, env in world.ours().items()]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, help="an empty directory to play in, kept afterwards")
    parser.add_argument("--only", default="", help="names of faults, with commas between them")
    given = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored, by the scheduler too
    root = given.dir or Path(tempfile.mkdtemp(prefix="gnomon-soak-"))
    root.mkdir(parents=True, exist_ok=True)
    print(f"seed {given.seed}, {given.minutes:g} minutes, in {root}", flush=True)
    only = frozenset(filter(None, given.only.split(",")))
    wrong = soak(root, given.seed, given.minutes * 60, lambda line: print(line, flush=True), only)
    for line in wrong:
        print("WRONG", line)
    print(f"seed {given.seed}: {len(wrong)} things wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
