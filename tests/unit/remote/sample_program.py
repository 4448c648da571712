"""A program of a user, as type checkers see it. Every line must pass `mypy --strict` (test_types.py)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from gnomon import AsyncClient, Client, NotFound
from gnomon.remote import Event, Listing, LogPart, Page
from gnomon.remote.answers import Job, Run, Why


def ask(client: Client) -> list[str]:
    job: Job = client.put_job("greet", {"task": {"type": "command", "command": ["true"]}})
    client.put_job("greet", {"task": {"type": "command", "command": "true"}}, if_match=job)
    run: Run = client.start_run("greet", {"day": "2026-11-21"})
    error = run["error"]
    code: str | None = None if error is None else error["code"]
    runs: Listing[Run] = client.list_runs(state=["failed", "cancelled"], since=datetime(2026, 1, 1, tzinfo=UTC))
    page: Page[Run] = runs.page()
    after: Page[Run] = runs.page(page.next)
    part: LogPart = client.get_run_log(run["id"], offset=10)
    why: Why = client.explain_job("greet", "09:00")
    fires = client.get_job_next("greet", count=3)["fires"]
    client.delete_job("greet")
    names = [one["job_id"] for one in client.list_jobs(label=["team=a"], paused=False)]
    return [*names, code or "", part.text, why["verdict"], fires[0]["local"], *(r["id"] for r in after.items)]


def follow(client: Client) -> None:
    for event in client.follow_events(after=0):
        one: Event = event
        print(one.kind, one.data)


async def wait(url: str) -> int:
    async with AsyncClient(url, "gnm_…", timeout=5.0) as client:
        run: Run = await client.start_run("greet")
        page: Page[Job] = await client.list_jobs().page()
        found = [one["name"] async for one in client.list_tokens(limit=10)]
        async for event in client.follow_run_log(run["id"]):
            print(event.data)
        both = await asyncio.gather(client.get_job("a"), client.get_job("b"))
        health = await client.get_health()
        print(health["checks"][0]["message"])
        return len(found) + len(page.items) + both[0]["failure_streak"]


try:
    with Client("http://127.0.0.1:8085", insecure=False) as gnomon:
        ask(gnomon)
except NotFound as error:
    print(error.problems[0].hint)
