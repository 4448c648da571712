"""A scheduler that dies of its own hand after the Nth system call of a stop. A program; `tests/chaos/test_stops.py`.

    python -m tests.support.stopping DIRECTORY KIND WHY NODE CALLS

CALLS: how many it makes that change something (files, signals, waits), from the first for the intent on; 0: all. With a
journal of an earlier one in the directory, it is its successor.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Executor, Handle, Started
from gnomon.executors import CommandExecutor
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.shared import SharedExecutor
from gnomon.system.clock import SystemClock

TREE = """\
(trap '' TERM; exec sleep 1000) &
setsid sh -c 'trap "" TERM; sleep 1000 & exec sleep 1000' &
sh -c 'kill -STOP $$; exec sleep 1000' &
sh -c 'trap "" TERM; kill -STOP $$; exec sleep 1000' &
"""
CALLABLES = f"""
import asyncio, signal, subprocess, time
from gnomon.tasks.performing import Work

def tree(ready, deaf):
    subprocess.Popen(["sh", "-c", {TREE!r} + "exec sleep 1000"])
    open(ready, "w").close()
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            if not deaf:
                raise

async def waits(work: Work):
    open(work.arguments["ready"], "w").close()
    await asyncio.Event().wait()

async def deaf(work: Work):
    subprocess.Popen(["sh", "-c", {TREE!r} + "exec sleep 1000"])
    open(work.arguments["ready"], "w").close()
    while True:
        try:
            await asyncio.Event().wait()
        except BaseException:
            pass
"""
KINDS = ("command", "deaf command", "call", "deaf call", "shared", "deaf shared")
_CHANGING = ("write", "link", "unlink", "rename", "fsync", "ftruncate", "mkdir", "rmdir", "kill", "killpg", "waitpid")


class Fuse:
    """Counts calls from the first for an intent on, and kills its own process after so many."""

    def __init__(self, most: int) -> None:
        self.count, self._most, self._burns = 0, most, False
        really = os.open

        def opened(path: Any, flags: int, *args: Any, **more: Any) -> int:
            self._burns = self._burns or ".intent-" in str(path)
            fd = really(path, flags, *args, **more)
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.called()
            return fd

        os.open = opened
        for name in _CHANGING:
            setattr(os, name, self._wrapped(getattr(os, name)))
        signal.pidfd_send_signal = self._wrapped(signal.pidfd_send_signal)

    def _wrapped(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            try:
                return really(*args, **more)
            finally:
                self.called()

        return call

    def called(self) -> None:
        if self._burns:
            self.count += 1
            if self.count == self._most:
                signal.raise_signal(signal.SIGKILL)


def executor_of(place: Path, kind: str, node: str) -> Executor:
    clock = SystemClock()
    if "command" in kind:
        return CommandExecutor(place / "state", clock=clock)
    (place / "stoppers.py").write_text(CALLABLES)
    one = SharedExecutor if "shared" in kind else PoolExecutor
    return one(place / "state", node, clock=clock, path=(str(place),))


def spec_of(place: Path, kind: str, why: str, token: int) -> AttemptSpec:
    ready, deaf = str(place / "ready"), kind.startswith("deaf")
    if "command" in kind:
        then = "trap : TERM; while :; do sleep 1000; done" if deaf else "exec sleep 1000"
        task: dict[str, Any] = {"command": f"{TREE}: >{ready}; {then}"}
    elif "shared" in kind:
        task = {"callable": "stoppers:deaf" if deaf else "stoppers:waits", "arguments": {"ready": ready}}
    else:
        task = {"callable": "stoppers:tree", "args": [ready, deaf]}
    timeout_s = 0.7 if why == "timeout" else None
    return AttemptSpec("run", 1, token, "job", kind, task, {}, timeout_s=timeout_s, kill_grace_s=0.3)


def main() -> None:
    place, kind, why, node, most = Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
    journal, earlier = place / "journal", []
    if journal.exists():
        earlier = [json.loads(line) for line in journal.read_text().splitlines()]
    if any(one["kind"] == "ended" for one in earlier):
        return
    fuse, over = Fuse(most), threading.Event()
    fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def sink(event: Event) -> None:
        if isinstance(event, Started):
            os.write(fd, (json.dumps({"kind": "started", "handle": dict(event.handle.process)}) + "\n").encode())
        elif isinstance(event, Ended):
            code = event.error.code if event.error else ""
            told = {"kind": "ended", "outcome": event.outcome.value, "code": code, "calls": fuse.count}
            os.write(fd, (json.dumps(told) + "\n").encode())
            executor.forget(event.run_id, event.number)
            over.set()

    executor = executor_of(place, kind, node)
    executor.open(sink)
    spec = spec_of(place, kind, why, 2 if earlier else 1)
    if earlier:
        executor.adopt([Adoption(spec, Handle("w", earlier[0]["handle"]), "one")])
    else:
        executor.start([spec])
    while not (place / "ready").exists() and not over.wait(0.005):
        pass
    if why == "cancel":
        executor.cancel("run", 1)
    over.wait()
    executor.detach()


if __name__ == "__main__":
    main()
