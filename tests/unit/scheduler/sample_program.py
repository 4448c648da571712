"""A program of a user, as type checkers see it. Every line must pass `mypy --strict` (test_types.py)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from gnomon import Conflict, Job, NotFound, Run, Scheduler, UsageError, at, cron, every, next_fires, register_task


def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


async def fetch(url: str) -> dict[str, int]:
    await asyncio.sleep(0)
    return {url: 200}


scheduler = Scheduler("sqlite:///jobs.db", concurrency=4, timezone="Europe/Berlin", executor="thread")


@scheduler.job(cron="0 9 * * 1-5", restarts=2, overlap="queue_one", labels={"team": "sales"})
def morning(region: str = "north") -> int:
    return len(region)


@register_task("resize")
def resize(path: str, width: int = 100) -> str:
    return f"{path}:{width}"


def define() -> list[Job]:
    one = scheduler.add_job("greet", greet, interval=30, args=["world"], kwargs={"loud": True})
    two = scheduler.add_job("fetch", fetch, schedule=every("90s", jitter=5), timeout=timedelta(seconds=20))
    scheduler.add_job("once", "package.module:func", at=datetime(2030, 1, 1, tzinfo=UTC))
    scheduler.add_job("several", greet, schedule=[cron("@daily", name="day"), at("2030-01-01T09:00:00Z", name="new")])
    scheduler.add_job("after", greet, depends_on=["greet", {"job": "fetch", "when": "finished"}])
    scheduler.add_job("thumb", task={"type": "resize", "path": "a.png", "width": 20}, retry={"delay": "1s"})
    return [one, two]


def look() -> str:
    job: Job | None = scheduler.get_job("greet")
    run: Run = scheduler.wait(scheduler.run("greet", name="you"), timeout=10)
    failed: list[Run] = scheduler.runs("greet", state=["failed", "cancelled"], since=datetime(2030, 1, 1, tzinfo=UTC))
    due: datetime | None = None if job is None else job.next_fire_at
    errors = [run.error.code for run in failed if run.error is not None]
    seconds: float | None = run.duration_s
    fires = next_fires("every 5m", count=2)["fires"]
    return f"{morning('south')} {resize('a')} {due} {errors} {seconds} {fires} {scheduler.why('greet')['verdict']}"


def mend(id: str) -> None:
    try:
        scheduler.pause(id)
        scheduler.remove_job(id)
    except NotFound as missing:
        print(missing.code, [problem.hint for problem in missing.problems])
    except (Conflict, UsageError):
        raise


async def application() -> None:
    await asyncio.wait_for(scheduler.serve(), 10)


if __name__ == "__main__":
    with scheduler:
        define()
    scheduler.run_forever()
