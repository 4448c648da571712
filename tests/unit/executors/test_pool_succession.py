"""What a pool left behind, learnt by another from its journals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Handle, Outcome
from gnomon.core.values import Json
from gnomon.executors.logs import Logs
from gnomon.executors.pool import PoolExecutor
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder

MODULE = """
import os, time
def note(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, (text + "\\n").encode()); os.close(fd)
def wait(ledger, gate):
    print("before", flush=True)
    note(ledger, os.environ["GNOMON_RUN_ID"])
    with open(gate) as file: line = file.read().strip()
    print(line)
    return {"line": line}
def hang(ledger):
    note(ledger, str(os.getpid()))
    while True: time.sleep(100)
"""


class House:
    """One directory, and pools on it, each a node of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.ledger, self.gate = root, root / "ledger", root / "gate"
        (root / "held.py").write_text(MODULE)
        os.mkfifo(self.gate)
        self.pools: list[PoolExecutor] = []

    def pool(self, node: str, size: int = 1) -> tuple[PoolExecutor, Recorder]:
        sink = Recorder()
        pool = PoolExecutor(self.root / "state", node, clock=SystemClock(), size=size, path=(str(self.root),))
        pool.open(sink)
        self.pools.append(pool)
        return pool, sink

    def spec(self, run_id: str, name: str, token: int = 1, **more: float) -> AttemptSpec:
        args: list[Json] = [str(self.ledger), str(self.gate)] if name == "wait" else [str(self.ledger)]
        arguments: dict[str, Json] = {"callable": f"held:{name}", "args": args}
        timeout, grace = more.get("timeout_s"), more.get("kill_grace_s", 10.0)
        environment = {"GNOMON_RUN_ID": run_id}
        return AttemptSpec(run_id, 1, token, "job", "python", arguments, environment, timeout, grace)

    def begun(self) -> list[str]:
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def log(self, run_id: str) -> bytes:
        return Logs(self.root / "state").read(run_id, 1)[0]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for pool in house.pools:
        pool.detach()


@pytest.mark.parametrize("known", [True, False])
def test_a_running_call_is_watched_on(house: House, known: bool) -> None:
    old, sink = house.pool("a")
    old.start([house.spec("r", "wait")])
    handle = sink.started("r").handle
    sink.until(lambda: house.begun() == ["r"])
    old.detach()
    heir, news = house.pool("b")
    heir.adopt([Adoption(house.spec("r", "wait", 2), handle if known else None, "a")])
    heir.adopt([Adoption(house.spec("r", "wait", 3), handle if known else None, "a")])
    if not known:
        assert news.started("r").handle.process == handle.process
    news.until(lambda: house.log("r") == b"before\n")
    house.gate.write_text("after")
    end = news.ended("r")
    assert (end.outcome, end.result, end.token) == (Outcome.SUCCEEDED, {"line": "after"}, 3)
    assert end.log_bytes == len(house.log("r")) == len(b"before\nafter\n")
    assert sink.ends("r") == []


def test_an_end_that_nobody_kept_is_learnt_and_once_more(house: House) -> None:
    old, sink = house.pool("a")
    old.start([house.spec("r", "wait")])
    sink.until(lambda: house.begun() == ["r"])
    house.gate.write_text("x")
    first = sink.ended("r")
    old.detach()
    for token, node in ((2, "b"), (3, "c")):
        heir, news = house.pool(node)
        heir.adopt([Adoption(house.spec("r", "wait", token, timeout_s=0.001), None, "a" if token == 2 else "b")])
        end = news.ended("r")
        assert (end.outcome, end.result, end.token) == (Outcome.SUCCEEDED, {"line": "x"}, token)
        assert (end.started_at, end.finished_at) == (first.started_at, first.finished_at)
        heir.detach()


def test_what_never_began_never_will(house: House) -> None:
    old, sink = house.pool("a")
    heir, news = house.pool("b")
    heir.adopt([Adoption(house.spec("r", "wait", 2), None, "a")])
    end = news.ended("r")
    assert (end.outcome, end.never_started) == (Outcome.LOST, True)
    old.start([house.spec("r", "wait")])  # the old owner was only slow
    late = sink.ended("r")
    assert (late.outcome, late.never_started, late.token) == (Outcome.LOST, True, 1)
    assert house.begun() == []
    heir.forget("r", 1)
    heir.start([house.spec("r", "hang", 3, timeout_s=0.2, kill_grace_s=0.0)])  # a newer token is not revoked
    news.until(lambda: len(news.ends("r")) == 2)
    assert news.ends("r")[1].outcome is Outcome.TIMED_OUT
    assert len(house.begun()) == 1


def test_what_waits_behind_is_not_begun_when_the_scheduler_is_gone(house: House) -> None:
    old, sink = house.pool("a")
    runs = ["r0", "r1", "r2", "r3"]
    old.start([house.spec(run, "wait") for run in runs])
    sink.until(lambda: house.begun() == ["r0"])
    old.detach()
    house.gate.write_text("x")
    heir, news = house.pool("b")
    heir.adopt([Adoption(house.spec(run, "wait", 2), None, "a") for run in runs])
    assert news.ended("r0").outcome is Outcome.SUCCEEDED
    assert all(news.ended(run).never_started for run in runs[1:])
    assert house.begun() == ["r0"]


def test_a_stalled_owner_and_its_successor_agree(house: House) -> None:
    old, sink = house.pool("a")
    runs = ["r0", "r1", "r2"]
    old.start([house.spec(run, "wait") for run in runs])
    sink.until(lambda: house.begun() == ["r0"])
    heir, news = house.pool("b")
    heir.adopt([Adoption(house.spec(run, "wait", 2), None, "a") for run in runs])
    assert all(news.ended(run).never_started for run in runs[1:])
    house.gate.write_text("x")
    assert [s.ended("r0").result for s in (sink, news)] == [{"line": "x"}] * 2
    assert all(sink.ended(run).never_started for run in runs[1:])
    assert house.begun() == ["r0"]


@pytest.mark.parametrize(("how", "outcome"), [("timeout", Outcome.TIMED_OUT), ("cancel", Outcome.CANCELLED)])
def test_an_adopted_call_can_be_stopped(house: House, how: str, outcome: Outcome) -> None:
    old, sink = house.pool("a")
    old.start([house.spec("r", "hang")])
    sink.until(lambda: bool(house.begun()))
    old.detach()
    heir, news = house.pool("b")
    timeout = {"timeout_s": 0.2} if how == "timeout" else {}
    heir.adopt([Adoption(house.spec("r", "hang", 2, **timeout), None, "a")])
    news.started("r")
    if how == "cancel":
        heir.cancel("r", 1)
    end = news.ended("r")
    assert (end.outcome, end.never_started) == (outcome, False)
    assert gone(int(house.begun()[0]))


def test_a_cancel_begun_is_finished_by_the_successor(house: House) -> None:
    old, sink = house.pool("a")
    (house.root / "deaf.py").write_text(
        "import signal, held\n"
        "def hang(path):\n"
        "    signal.signal(signal.SIGTERM, lambda *_: held.note(path, 'deaf'))\n"
        "    held.hang(path)\n"
    )
    spec = AttemptSpec("r", 1, 1, "job", "python", {"callable": "deaf:hang", "args": [str(house.ledger)]}, {})
    old.start([spec])
    sink.until(lambda: bool(house.begun()))
    old.cancel("r", 1)
    sink.until(lambda: "deaf" in house.begun())
    old.detach()
    heir, news = house.pool("b")
    heir.adopt([Adoption(house.spec("r", "hang", 2, kill_grace_s=0.1), None, "a")])
    assert news.ended("r").outcome is Outcome.CANCELLED


def test_a_dead_worker_of_a_dead_scheduler_is_lost(house: House) -> None:
    old, sink = house.pool("a")
    old.start([house.spec("r", "hang")])
    sink.until(lambda: bool(house.begun()))
    old.detach()
    os.kill(int(house.begun()[0]), signal.SIGKILL)
    heir, news = house.pool("b")
    heir.adopt([Adoption(house.spec("r", "hang", 2), None, "a")])
    end = news.ended("r")
    assert (end.outcome, end.never_started) == (Outcome.LOST, False)
    assert end.started_at is not None


def test_after_a_restart_of_the_machine_nothing_is_sure(house: House) -> None:
    heir, news = house.pool("b")
    dead = house.root / "state" / "pool" / "nodes" / "a"
    dead.mkdir()
    (dead / "boot").write_text("another")
    handle = Handle("a", {"pid": 1, "boot": "another"})
    heir.adopt([Adoption(house.spec("r", "wait", 2), None, "a"), Adoption(house.spec("s", "wait", 2), handle, "gone")])
    for run in ("r", "s"):
        end = news.ended(run)
        assert (end.outcome, end.never_started) == (Outcome.LOST, False)


def test_its_own_attempts_merely_get_the_new_token(house: House) -> None:
    pool, sink = house.pool("a")
    pool.start([house.spec("r", "wait")])
    sink.until(lambda: house.begun() == ["r"])
    pool.adopt([Adoption(house.spec("r", "wait", 5), None, "b")])
    house.gate.write_text("x")
    sink.until(lambda: any(end.token == 5 for end in sink.ends("r")))  # after one with the old, if that was quicker
    assert [end.result for end in sink.ends("r")][-1] == {"line": "x"}


def test_a_fork_of_the_application_does_not_keep_workers(house: House) -> None:
    pool, sink = house.pool("a")
    pool.start([house.spec("r", "wait")])
    pid = sink.started("r").handle.process["pid"]
    assert isinstance(pid, int)
    sink.until(lambda: house.begun() == ["r"])
    reader, writer = os.pipe()
    copy = fork_and(lambda: os.read(reader, 1))
    pool.detach()
    house.gate.write_text("x")
    sink.until(lambda: gone(pid))
    os.write(writer, b"x")
    os.waitpid(copy, 0)
    os.close(reader)
    os.close(writer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def fork_and(call: Callable[[], object]) -> int:
    """A copy of this process that makes one call and ends."""
    pid = os.fork()
    if pid == 0:
        try:
            call()
        finally:
            os._exit(0)
    return pid


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
