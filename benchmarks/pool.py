"""Callables in worker processes: how fast, beside a bare socket loop and `ProcessPoolExecutor`.

    python -m benchmarks.pool [--calls 20000] [--rounds 3]

All alternate in one run. Our calls are journalled before and after, captured, checked for a fence, and reported as
Started and Ended; every tenth prints. The bare loop sends the same packet to two processes that echo it.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from gnomon.core.attempts import AttemptSpec, Ended, Event
from gnomon.executors.pool import PoolExecutor
from gnomon.system.clock import SystemClock

WORKERS = 2
MODULE = "def noop(): return None\ndef say(): print('said')\n"
ECHO = """
import json, socket, sys
s = socket.socket(fileno=int(sys.argv[1]))
while True:
    packet = s.recv(65536)
    if not packet: break
    s.send(json.dumps(json.loads(packet)).encode())
"""


def noop() -> None:
    """Nothing."""


def ours(directory: Path, calls: int) -> float:
    """Calls per second through the pool, workers warm."""
    ended, over = 0, threading.Event()

    def sink(event: Event) -> None:
        nonlocal ended
        if isinstance(event, Ended):
            pool.forget(event.run_id, event.number)
            ended += 1
            if ended in (WORKERS * 20, WORKERS * 20 + calls):
                over.set()

    def specs(label: str, count: int) -> list[AttemptSpec]:
        names = ["chores:say" if i % 10 == 0 else "chores:noop" for i in range(count)]
        return [AttemptSpec(f"{label}{i}", 1, 1, "job", "python", {"callable": n}) for i, n in enumerate(names)]

    pool = PoolExecutor(directory / "state", "bench", clock=SystemClock(), size=WORKERS, path=(str(directory),))
    pool.open(sink)
    pool.start(specs("warm", WORKERS * 20))
    over.wait()
    over.clear()
    batch = specs("r", calls)
    began = time.perf_counter()
    pool.start(batch)
    over.wait()
    took = time.perf_counter() - began
    pool.detach()
    return calls / took


def bare(calls: int) -> float:
    """Packets per second to processes that echo them, the same number on their way at once."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(WORKERS)]
    children = [
        subprocess.Popen([sys.executable, "-c", ECHO, str(b.fileno())], pass_fds=(b.fileno(),)) for _, b in pairs
    ]
    packet = b'["r1",1,1,"chores:noop",[],{},{"GNOMON_RUN_ID":"r1"}]'
    for a, _ in pairs:
        a.send(packet)
        a.recv(65536)
    began = time.perf_counter()
    sent = [0] * WORKERS
    for one, (a, _) in enumerate(pairs):
        for _ in range(16):
            a.send(packet)
            sent[one] += 1
    done = 0
    while done < calls:
        for one, (a, _) in enumerate(pairs):
            a.recv(65536)
            done += 1
            if sum(sent) < calls:
                a.send(packet)
                sent[one] += 1
    took = time.perf_counter() - began
    for a, b in pairs:
        a.close()
        b.close()
    for child in children:
        child.kill()
        child.wait()
    return calls / took


def standard(calls: int) -> float:
    """Calls per second through concurrent.futures, which keeps nothing."""
    with ProcessPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(noop) for _ in range(WORKERS * 20)]:
            future.result()
        began = time.perf_counter()
        for future in [pool.submit(noop) for _ in range(calls)]:
            future.result()
        return calls / (time.perf_counter() - began)


def first(directory: Path) -> float:
    """Milliseconds from nothing to the end of the first call."""
    over = threading.Event()
    pool = PoolExecutor(directory / "first", "bench", clock=SystemClock(), size=1, path=(str(directory),))
    pool.open(lambda event: over.set() if isinstance(event, Ended) else None)
    began = time.perf_counter()
    pool.start([AttemptSpec("r", 1, 1, "job", "python", {"callable": "chores:noop"})])
    over.wait()
    took = (time.perf_counter() - began) * 1000
    pool.detach()
    return took


def python_alone() -> float:
    """Milliseconds to start and end an interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    rates: dict[str, list[float]] = {"ours": [], "bare echo": [], "ProcessPoolExecutor": []}
    starts: dict[str, list[float]] = {"first call": [], "python -c pass": []}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "chores.py").write_text(MODULE)
        for _ in range(chosen.rounds):
            rates["ours"].append(ours(directory, chosen.calls))
            rates["bare echo"].append(bare(chosen.calls))
            rates["ProcessPoolExecutor"].append(standard(chosen.calls // 2))
            starts["first call"].append(first(directory))
            starts["python -c pass"].append(python_alone())
    mine = statistics.median(rates["ours"])
    print(f"{os.cpu_count()} cores, {WORKERS} workers, {chosen.calls} calls, medians of {chosen.rounds}")
    for label, values in rates.items():
        print(f"{label:>20}: {statistics.median(values):9,.0f}/s   ours / this {mine / statistics.median(values):.2f}")
    for label, values in starts.items():
        print(f"{label:>20}: {statistics.median(values):9.1f} ms")


if __name__ == "__main__":
    main()
