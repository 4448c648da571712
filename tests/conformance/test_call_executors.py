"""Every executor of functions in processes of their own, through the suite that users get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gnomon.core.attempts import Executor
from gnomon.core.values import Json
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.shared import SharedExecutor
from gnomon.system.clock import SystemClock
from gnomon.testing.calls import CallExecutorSuite

NOTE = """
import asyncio, os, time
def note(ledger, run):
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    os.write(fd, (run + "\\n").encode())
    os.close(fd)
"""
SYNC = """
def give(ledger, value):
    note(ledger, os.environ["GNOMON_RUN_ID"])
    return value
def fail(ledger):
    note(ledger, os.environ["GNOMON_RUN_ID"])
    raise ValueError("no")
def hang(ledger):
    note(ledger, os.environ["GNOMON_RUN_ID"])
    time.sleep(1000)
def wait(ledger, gate):
    note(ledger, os.environ["GNOMON_RUN_ID"])
    while not os.path.exists(gate): time.sleep(0.01)
    return open(gate).read()
"""
ASYNC = """
async def give(work):
    note(work.arguments["ledger"], work.environment["GNOMON_RUN_ID"])
    return work.arguments["value"]
async def fail(work):
    note(work.arguments["ledger"], work.environment["GNOMON_RUN_ID"])
    raise ValueError("no")
async def hang(work):
    note(work.arguments["ledger"], work.environment["GNOMON_RUN_ID"])
    await asyncio.sleep(1000)
async def wait(work):
    note(work.arguments["ledger"], work.environment["GNOMON_RUN_ID"])
    while not os.path.exists(work.arguments["gate"]): await asyncio.sleep(0.01)
    return open(work.arguments["gate"]).read()
"""


class TestPool(CallExecutorSuite):
    def make_executor(self, directory: Path, node: str) -> Executor:
        (directory / "chores.py").write_text(NOTE + SYNC)
        return PoolExecutor(directory / "state", node, clock=SystemClock(), size=2, path=(str(directory),))

    def arguments(self, directory: Path, what: str, **more: Json) -> Mapping[str, Json]:
        return {"callable": f"chores:{what}", "kwargs": more}


class TestShared(CallExecutorSuite):
    def make_executor(self, directory: Path, node: str) -> Executor:
        (directory / "chores.py").write_text(NOTE + ASYNC)
        return SharedExecutor(directory / "state", node, clock=SystemClock(), size=100, path=(str(directory),))

    def arguments(self, directory: Path, what: str, **more: Json) -> Mapping[str, Json]:
        return {"callable": f"chores:{what}", "arguments": more}
