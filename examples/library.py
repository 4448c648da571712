"""The library in a script of its own: `python examples/library.py` (Ctrl-C ends it)."""

from __future__ import annotations

import sys

from gnomon import Scheduler, cron, every

scheduler = Scheduler()  # in memory; Scheduler("jobs.db") would remember


def greet(name: str) -> str:
    """What a job does is a function."""
    print(f"Hello, {name}!", flush=True)
    return name


@scheduler.job(schedule=[every(2), cron("0 9 * * 1-5", name="work", timezone="Europe/Berlin")])
def report() -> int:
    """How often it greeted: what a function returns is kept with its run."""
    return len(scheduler.runs("greet", state="succeeded", limit=1000))


scheduler.add_job("greet", greet, interval=1, args=["world"])
scheduler.add_job("goodbye", greet, args=["and goodbye"], depends_on="report")

if __name__ == "__main__":
    scheduler.run_forever()
    for run in scheduler.runs(limit=5):
        print(run.job_id, run.state, run.result, file=sys.stderr)
