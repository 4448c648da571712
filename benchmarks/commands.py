"""Spawn throughput: the command executor against a bare loop around a shim of the same kind, alternating.

`python -m benchmarks.commands [runs [rounds]]` prints both and their ratio, as runs per second and, since others
may use the machine too, as processor time per run (ours and all children's). Both run /bin/true with the same
concurrency, claim file, log file and exit file; the bare loop keeps nothing else.
"""

from __future__ import annotations

import os
import queue
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

from gnomon.core.attempts import AttemptSpec, Ended, Event
from gnomon.executors import CommandExecutor
from gnomon.system.clock import SystemClock

BARE = (
    'set -C; echo $$ >"$0.pid" || exit 0; set +C; trap : TERM INT HUP; "$@" >>"$0.log" 2>&1 </dev/null; echo $? >"$0.x"'
)
CONCURRENCY = 10


def bare(directory: Path, runs: int) -> float:
    """Runs per second of posix_spawn and wait, nothing else."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, place) for place in range(3)]
    epoll = select.epoll()
    pids: dict[int, int] = {}
    started = ended = 0
    began = time.perf_counter()
    while ended < runs:
        while started < runs and len(pids) < CONCURRENCY:
            argv = ["sh", "-c", BARE, f"{directory}/{started}", "/bin/true"]
            pid = os.posix_spawn("/bin/sh", argv, os.environ, setsid=True, file_actions=actions)
            fd = os.pidfd_open(pid)
            pids[fd] = pid
            epoll.register(fd, select.EPOLLIN)
            started += 1
        for fd, _ in epoll.poll():
            epoll.unregister(fd)
            os.waitpid(pids.pop(fd), 0)
            os.close(fd)
            ended += 1
    took = time.perf_counter() - began
    os.close(null)
    epoll.close()
    return runs / took


def executor(directory: Path, runs: int) -> float:
    """Runs per second through the executor: environment, watched log, events, forgetting."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    commands = CommandExecutor(directory, clock=SystemClock())
    commands.open(events.put)
    specs = iter([AttemptSpec(f"run-{i}", 1, 1, "bench", "command", {"command": ["/bin/true"]}) for i in range(runs)])
    began = time.perf_counter()
    commands.start([spec for _, spec in zip(range(CONCURRENCY), specs, strict=False)])
    ended = 0
    while ended < runs:
        event = events.get(timeout=60)
        if isinstance(event, Ended):
            assert event.exit_code == 0, event
            ended += 1
            commands.forget(event.run_id, event.number)
            if (spec := next(specs, None)) is not None:
                commands.start([spec])
    took = time.perf_counter() - began
    commands.detach()
    return runs / took


def cpu_s() -> float:
    """Processor time of this process and its ended children."""
    return sum(os.times()[:4])


def main(runs: int = 1000, rounds: int = 3) -> None:
    """Print medians and their ratio."""
    figures: list[tuple[float, float]] = []
    costs: list[tuple[float, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            before = cpu_s()
            limit_run = bare(Path(one), runs)
            between = cpu_s()
            figures.append((limit_run, executor(Path(other), runs)))
            costs.append(((between - before) / runs * 1000, (cpu_s() - between) / runs * 1000))
    limit, ours = (statistics.median(column) for column in zip(*figures, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in figures)
    print(f"/bin/true, {CONCURRENCY} at once: bare shim loop {limit:,.0f}/s, executor {ours:,.0f}/s, ratio {ratio:.2f}")
    bare_ms, our_ms = (statistics.median(column) for column in zip(*costs, strict=True))
    print(f"processor time per run: bare {bare_ms:.2f} ms, executor {our_ms:.2f} ms, ratio {bare_ms / our_ms:.2f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
