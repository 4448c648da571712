"""Commands outlive a scheduler that is killed with -9: nothing lost, nothing wrong, nothing twice.

This file is also the program that is killed: a host of the executor whose store is an append-only journal.
The commands keep a ledger of their own, one O_APPEND write each, which is compared with the journal.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Handle, Outcome, Started
from gnomon.executors import CommandExecutor, Logs
from gnomon.system.clock import SystemClock

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

# ---- the program that is killed --------------------------------------------------------------------


def host(directory: Path) -> None:
    """Perform `plan.json` to its end: journal the claim, act, journal what comes back, forget."""
    plan = json.loads((directory / "plan.json").read_text())
    journal = os.open(directory / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    facts = read_journal(directory)
    attempts: dict[str, tuple[int, int]] = {}
    handles: dict[str, Handle] = {}
    over: set[str] = set()
    for fact in facts:
        match fact["kind"]:
            case "claim":
                attempts[fact["run"]] = (fact["number"], fact["token"])
                handles.pop(fact["run"], None)
            case "started":
                handles[fact["run"]] = Handle("w", fact["process"])
            case "ended" if not fact["never"]:
                over.add(fact["run"])
    lock, done = threading.Condition(), threading.Event()
    queue = [run for run in plan["runs"] if run not in over and run not in attempts]
    executor = CommandExecutor(directory / "state", clock=SystemClock())

    def note(**fact: Any) -> None:
        os.write(journal, (json.dumps(fact) + "\n").encode())

    def spec(run: str) -> AttemptSpec:
        number, token = attempts[run]
        task = {"command": plan["runs"][run]["command"]}
        what = plan["runs"][run].get("timeout_s"), plan.get("grace_s", 10.0), plan.get("log_limit", 100_000)
        return AttemptSpec(run, number, token, "job", "command", task, {}, what[0], what[1], what[2])

    def claim(run: str) -> AttemptSpec:
        attempts[run] = (attempts.get(run, (0, 0))[0] + 1, 1)
        note(kind="claim", run=run, number=attempts[run][0], token=1)
        return spec(run)

    def sink(event: Event) -> None:
        if isinstance(event, Started):
            note(kind="started", run=event.run_id, number=event.number, process=dict(event.handle.process))
        elif isinstance(event, Ended):
            note(
                kind="ended",
                run=event.run_id,
                number=event.number,
                outcome=event.outcome.value,
                code=event.exit_code,
                never=event.never_started,
                duration=event.duration_s,
                pid=os.getpid(),
            )
            executor.forget(event.run_id, event.number)
            with lock:
                again = [event.run_id] if event.never_started else [queue.pop(0)] if queue else []
                if not event.never_started:
                    over.add(event.run_id)
                if again:
                    executor.start([claim(again[0])])
                if len(over) == len(plan["runs"]):
                    done.set()

    executor.open(sink)
    for run, number in executor.leftovers(SystemClock().now()):  # told, but not forgotten in time
        if run in over:
            executor.forget(run, number)
    with lock:
        orphans = [run for run in attempts if run not in over]
        for run in orphans:
            attempts[run] = (attempts[run][0], attempts[run][1] + 1)
            note(kind="claim", run=run, number=attempts[run][0], token=attempts[run][1])
        executor.adopt([Adoption(spec(run), handles.get(run)) for run in orphans])
        room = max(0, plan["concurrency"] - len(orphans))
        first, queue[:] = queue[:room], queue[room:]
        executor.start([claim(run) for run in first])
        if len(over) == len(plan["runs"]):
            done.set()
    done.wait()
    for run, number in executor.leftovers(SystemClock().now()):
        executor.forget(run, number)
    executor.detach()


def read_journal(directory: Path) -> list[dict[str, Any]]:
    try:
        lines = (directory / "journal").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


# ---- what the tests share --------------------------------------------------------------------------


def until(condition: Callable[[], bool], what: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.003)


class Stage:
    """A directory, its plan, and the host that plays it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None

    def plan(self, runs: dict[str, Any], **more: Any) -> None:
        (self.directory / "plan.json").write_text(json.dumps({"runs": runs, "concurrency": len(runs)} | more))

    def begin(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen([sys.executable, __file__, str(self.directory)], stderr=subprocess.PIPE)
        return self.process

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        assert self.process.stderr.read() == b""
        self.process.stderr.close()

    def finish(self) -> None:
        assert self.process is not None
        _, errors = self.process.communicate(timeout=60)
        assert (self.process.returncode, errors) == (0, b"")

    def facts(self, kind: str) -> list[dict[str, Any]]:
        return [fact for fact in read_journal(self.directory) if fact["kind"] == kind]

    def ledger(self) -> Counter[str]:
        try:
            return Counter((self.directory / "ledger").read_text().split())
        except FileNotFoundError:
            return Counter()

    def output(self, run: str) -> bytes:
        numbers = [fact["number"] for fact in self.facts("ended") if fact["run"] == run]
        return Logs(self.directory / "state").read(run, max(numbers))[0]

    def check(self, codes: dict[str, int]) -> None:
        """Each ran once, by its own ledger; each has one end with the right code and output."""
        ends = [fact for fact in self.facts("ended") if not fact["never"]]
        assert {fact["run"]: fact["code"] for fact in ends} == codes
        assert [fact for fact in ends if fact["outcome"] == Outcome.LOST] == []
        # An end may be told again when the teller was killed before it could forget: the same end, then.
        assert len({(fact["run"], fact["number"], fact["code"]) for fact in ends}) == len(codes)
        assert self.ledger() == Counter(list(codes))
        assert [run for run in codes if self.output(run) != f"out-{run}\n".encode()] == []
        assert [name for name in (self.directory / "state").rglob("*") if name.suffix in {".claim", ".exit"}] == []


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    if stage.process is not None and stage.process.poll() is None:
        stage.process.kill()
        stage.process.communicate()
    for pid in processes_with(str(tmp_path).encode()):
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)


def processes_with(text: bytes) -> list[int]:
    """Pids of living processes with this text in their command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if text in Path(f"/proc/{name}/cmdline").read_bytes():
                    found.append(int(name))
            except OSError:
                continue
    return found


# ---- the tests -------------------------------------------------------------------------------------


def test_a_hundred_in_flight_are_adopted(stage: Stage) -> None:
    """A third ends while nobody watches, the rest under the successor."""
    gates = [stage.directory / f"gate{i}" for i in range(3)]
    for gate in gates:
        os.mkfifo(gate)
    ledger = stage.directory / "ledger"
    codes = {f"r{i}": i % 120 for i in range(120)}
    script = "echo {run} >>{ledger}; : <{gate}; echo out-{run}; exit {code}"
    runs = {
        run: {"command": script.format(run=run, ledger=ledger, gate=gates[i % 3], code=code)}
        for i, (run, code) in enumerate(codes.items())
    }
    stage.plan(runs)
    stage.begin()
    until(lambda: len(stage.ledger()) == 120 and len(stage.facts("started")) == 120, "120 in flight")
    stage.kill()
    first = os.open(gates[0], os.O_RDWR)
    until(lambda: not any(b"gate0" in cmdline(pid) for pid in processes_with(b"gate0")), "a third to end unwatched")
    successor = stage.begin()
    until(lambda: len(stage.facts("ended")) == 40, "the unwatched ends")
    others = [os.open(gate, os.O_RDWR) for gate in gates[1:]]
    stage.finish()
    for fd in (first, *others):
        os.close(fd)
    stage.check(codes)
    assert {fact["pid"] for fact in stage.facts("ended")} == {successor.pid}
    assert len(stage.facts("started")) == 120


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("seed", [7])
def test_kills_at_random_moments(stage: Stage, seed: int) -> None:
    """The host dies whenever its journal has grown by a random number of lines, mid-claim and mid-spawn included."""
    chance = random.Random(seed)
    codes = {f"r{i}": chance.randrange(120) for i in range(500)}
    ledger = stage.directory / "ledger"
    script = "echo {run} >>{ledger}; sleep {nap:.3f}; echo out-{run}; exit {code}"
    runs = {
        run: {"command": script.format(run=run, ledger=ledger, nap=chance.uniform(0, 0.25), code=code)}
        for run, code in codes.items()
    }
    stage.plan(runs, concurrency=25)
    for _ in range(30):
        before, more = len(read_journal(stage.directory)), chance.randrange(1, 70)
        process = stage.begin()

        def grown(before: int = before, more: int = more, process: subprocess.Popen[bytes] = process) -> bool:
            return process.poll() is not None or len(read_journal(stage.directory)) >= before + more

        until(grown, "the journal to grow")
        if process.poll() is not None:
            break
        stage.kill()
    else:
        stage.begin()
    stage.finish()
    stage.check(codes)


def test_a_tree_that_resists_is_stopped_by_the_successor(stage: Stage) -> None:
    """The host dies between TERM and KILL. Escapees: own session, double fork, no environment, deaf to TERM."""
    name = f"tree-{stage.directory.name}-{os.getpid()}"
    nap = stage.directory / "nap.py"
    nap.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(stage.directory / 'ledger')!r}, 'a').write('up\\n')\n"
        "time.sleep(1000)\n"
    )
    one = shlex.join([sys.executable, str(nap), name])
    script = f"setsid {one} & (setsid {one} &) ; env -i {one} & trap '' TERM; {one}; {one}"
    stage.plan({"tree": {"command": script, "timeout_s": 0.5}}, grace_s=1.5)
    stage.begin()
    until(lambda: stage.ledger()["up"] >= 4, "the tree to grow")
    assert len(processes_with(name.encode())) >= 4
    until(lambda: bool(list((stage.directory / "state").rglob("*.intent"))), "the intent")
    stage.kill()
    assert len(processes_with(name.encode())) >= 4
    stage.begin()
    stage.finish()
    (end,) = stage.facts("ended")
    assert end["outcome"] == Outcome.TIMED_OUT
    assert [pid for pid in processes_with(name.encode()) if str(stage.directory).encode() in cmdline(pid)] == []
    assert 1.5 <= end["duration"] < 15


def test_a_neighbour_with_the_same_run_id_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    """Another attempt of the run, and the same run of another scheduler, carry almost the same marks."""
    ends: list[Ended] = []
    executors = [CommandExecutor(tmp_path / name, clock=SystemClock()) for name in ("one", "two")]
    started = threading.Semaphore(0)

    def sink(event: Event) -> None:
        if isinstance(event, Ended):
            ends.append(event)
        else:
            started.release()

    for executor in executors:
        executor.open(sink)
        both = [AttemptSpec("same", n, n, "j", "command", {"command": ["sleep", "1000"]}, {}) for n in (1, 2)]
        executor.start(both)
    for _ in range(4):
        assert started.acquire(timeout=30)
    executors[0].cancel("same", 1)
    until(lambda: len(ends) == 1, "the cancelled one")
    napping = processes_with(str(tmp_path).encode())
    assert len(napping) == 3
    for executor, number in ((executors[0], 2), (executors[1], 1), (executors[1], 2)):
        executor.cancel("same", number)
    until(lambda: len(ends) == 4, "the others")
    for executor in executors:
        executor.detach()


def test_a_gigabyte_of_output(stage: Stage, record_property: Callable[[str, object], None]) -> None:
    """It costs neither memory nor disk, the command is not hindered, and head and tail are kept."""
    limit, total = 10_000_000, 1_000_000_000
    script = f"echo head; head -c {total} /dev/zero; echo; echo tail"
    stage.plan({"big": {"command": script}}, log_limit=limit)
    process = stage.begin()
    peak_disk = 0
    log = stage.directory / "state"

    def over() -> bool:
        nonlocal peak_disk
        for path in log.rglob("*.log"):
            try:
                peak_disk = max(peak_disk, path.stat().st_blocks * 512)
            except FileNotFoundError:
                continue
        return bool(stage.facts("ended"))

    peak_rss = 0

    def looked() -> bool:
        nonlocal peak_rss
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak_rss = max(peak_rss, int(status.split("VmHWM:")[1].split()[0]) * 1024)
        except (OSError, IndexError):
            pass
        return over()

    until(looked, "a gigabyte")
    stage.finish()
    record_property("peak_disk_mb", peak_disk // 1_000_000)
    record_property("peak_rss_mb", peak_rss // 1_000_000)
    (end,) = stage.facts("ended")
    print(f"1 GB: {end['duration']:.1f} s, peak disk {peak_disk / 1e6:.0f} MB, peak RSS {peak_rss / 1e6:.0f} MB")
    assert (end["code"], end["outcome"]) == (0, Outcome.SUCCEEDED)
    (kept,) = log.rglob("*.log")
    assert kept.stat().st_size < limit + 200
    data = kept.read_bytes()
    assert data.startswith(b"head\n")
    assert data.endswith(b"\ntail\n")
    assert b"bytes cut" in data
    assert peak_disk < total / 3
    assert peak_rss < 100_000_000


if __name__ == "__main__":
    host(Path(sys.argv[1]))
