"""Jobs inside a FastAPI application; `async` functions run on its event loop.

    pip install gnomon fastapi uvicorn
    uvicorn --app-dir examples --port 8000 fastapi_app:app

With `--workers 4` each fire happens once, as in the Flask example.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from gnomon import Scheduler

scheduler = Scheduler(os.environ.get("JOBS_DB", "jobs.db"))
state: dict[str, Any] = {"loop": None, "ticks": 0}


@scheduler.job(interval=1, timeout=10)
async def tick() -> bool:
    """Count, without a lock: this runs on the loop of the application, as its requests do."""
    await asyncio.sleep(0)
    state["ticks"] += 1
    return asyncio.get_running_loop() is state["loop"]


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Serve jobs as long as the application serves requests; what runs at the end is waited for."""
    state["loop"] = asyncio.get_running_loop()
    serving = asyncio.create_task(scheduler.serve())
    yield
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


app = FastAPI(lifespan=lifespan)


@app.get("/ticks")
async def ticks() -> dict[str, Any]:
    """How many there were, and whether they ran on this loop."""
    runs = await asyncio.to_thread(scheduler.runs, "tick", state="succeeded")
    return {"ticks": state["ticks"], "on_this_loop": [run.result for run in runs]}
