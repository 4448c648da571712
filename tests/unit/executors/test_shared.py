"""The executor `shared`: many async attempts in one process, stopped one by one, or all at once when need be."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import AttemptSpec, Ended, Outcome, Started
from gnomon.core.values import Json
from gnomon.executors import Logs
from gnomon.executors.pool.worker import Errand
from gnomon.executors.shared import SharedExecutor
from gnomon.executors.shared.worker import SharedWorker
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder

MODULE = """
import asyncio, os, time
from gnomon.tasks.performing import TaskFailed, Work

async def echo(work: Work):
    return {"arguments": dict(work.arguments), "run": work.environment["GNOMON_RUN_ID"], "pid": os.getpid(),
            "leaked": os.environ.get("GNOMON_RUN_ID") == work.environment["GNOMON_RUN_ID"]}

async def sleep(work: Work):
    await asyncio.sleep(work.arguments["seconds"])
    return work.environment["GNOMON_RUN_ID"]

async def fail(work: Work):
    raise TaskFailed("teapot", "short and stout", {"kept": True})

async def crash(work: Work):
    raise ValueError(f"bad {work.arguments.get('word')}")

async def leave(work: Work):
    raise SystemExit(3)

async def say(work: Work):
    for index in range(work.arguments.get("lines", 1)):
        work.log(f"line {index} {work.arguments.get('word', '')}")
    print("printed", end="")

async def big(work: Work):
    return "x" * 70_000

async def odd(work: Work):
    return {1, 2}

async def deaf(work: Work):
    work.log("up")
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            work.log("deaf")

async def polite(work: Work):
    work.log("up")
    try:
        await asyncio.sleep(100)
    finally:
        work.log("cleaned")

async def block(work: Work):
    await asyncio.sleep(0)
    work.log("blocking")
    time.sleep(work.arguments["seconds"])

async def count(work: Work):
    work.loop_state["count"] = work.loop_state.get("count", 0) + 1
    return work.loop_state["count"]

async def scatter(work: Work):
    async def late():
        await asyncio.sleep(0.2)
        work.log("a task of an ended attempt still runs")
    asyncio.create_task(late())

async def linger(work: Work):
    asyncio.get_running_loop().call_later(0.2, print, "a callback of an ended attempt still speaks")

async def mix(work: Work):
    for _ in range(50):
        print("mine is", work.arguments["word"])
        await asyncio.sleep(0)

async def orphans(work: Work):
    shell = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.05 & exit 7")
    return await shell.wait()

def suicide(work: Work):
    os.kill(os.getpid(), 9)

not_there_module_attribute = 1
"""


def order(run: str, name: str, *, number: int = 1, token: int = 1, secrets: list[str] | None = None, **more: Any):  # type: ignore[no-untyped-def]
    timing = {key: more.pop(key) for key in ("timeout_s", "kill_grace_s", "log_limit") if key in more}
    arguments: dict[str, Json] = {"callable": f"chores:{name}", "arguments": more, "secrets": secrets or []}
    environment = {"GNOMON_RUN_ID": run, "GNOMON_JOB_ID": "job"}
    return AttemptSpec(run, number, token, "job", "chore", arguments, environment, **timing)


class House:
    """A shared executor in a directory of its own."""

    def __init__(self, root: Path, **settings: Any) -> None:
        (root / "chores.py").write_text(MODULE)
        self.root, self.sink = root, Recorder()
        settings = {"size": 500, "path": (str(root),)} | settings
        self.executor = SharedExecutor(root / "state", "node-1", clock=SystemClock(), **settings)
        self.executor.open(self.sink)

    def do(self, *specs: AttemptSpec) -> list[Ended]:
        self.executor.start(specs)
        return [self.sink.ended(spec.run_id, spec.number) for spec in specs]

    def log(self, run: str) -> str:
        return Logs(self.root / "state").read(run, 1)[0].decode()

    def pid(self, run: str) -> int:
        return int(self.sink.started(run).handle.process["pid"])  # type: ignore[arg-type]

    def pids(self) -> set[Any]:
        return {event.handle.process["pid"] for event in self.sink.events if isinstance(event, Started)}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.executor.detach()


def children(pid: int) -> list[str]:
    """The states of a process's children."""
    every = (Path("/proc", name, "stat") for name in os.listdir("/proc") if name.isdigit())
    fields = []
    for path in every:
        with contextlib.suppress(OSError):
            fields.append(path.read_text().rpartition(")")[2].split())
    return [state for state, parent, *_ in fields if parent == str(pid)]


def test_orphans_of_attempts_are_waited_for(house: House) -> None:
    (end,) = house.do(order("r1", "orphans"))
    assert (end.outcome, end.result) == (Outcome.SUCCEEDED, 7)
    house.sink.until(lambda: children(house.pid("r1")) == ["Z"])
    house.do(order("r2", "echo"))
    house.sink.until(lambda: children(house.pid("r1")) == [])


def test_an_order_that_can_not_be_read_is_given_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    enclosed, tried = SharedWorker._enclosed, []

    def broken(worker: SharedWorker, errand: Errand) -> bytes:
        tried.append(errand)
        return b"@/nowhere" if len(tried) == 1 else enclosed(worker, errand)

    monkeypatch.setattr(SharedWorker, "_enclosed", broken)
    (end,) = house.do(order("r1", "echo"))
    assert end.outcome is Outcome.SUCCEEDED
    assert len(tried) == 2


def test_result_arguments_and_environment(house: House) -> None:
    [end] = house.do(order("a", "echo", token=7, word="hello"))
    assert (end.outcome, end.token, end.error) == (Outcome.SUCCEEDED, 7, None)
    assert isinstance(end.result, dict)
    assert (end.result["arguments"], end.result["run"], end.result["leaked"]) == ({"word": "hello"}, "a", False)
    assert end.result["pid"] == house.pid("a") != os.getpid()
    assert end.started_at is not None
    assert house.sink.started("a").at <= end.finished_at


@pytest.mark.parametrize(
    ("name", "code", "result"),
    [
        ("fail", "teapot", {"kept": True}),
        ("crash", "ValueError", None),
        ("leave", "SystemExit", None),
        ("nothing", "callable_not_found", None),
    ],
)
def test_failures(house: House, name: str, code: str, result: Json) -> None:
    failed, other = house.do(order("a", name), order("b", "echo"))
    assert failed.error is not None
    assert (failed.outcome, failed.error.code, failed.result) == (Outcome.FAILED, code, result)
    assert other.outcome is Outcome.SUCCEEDED


def test_what_has_returned_has_succeeded(house: House) -> None:
    for end in house.do(order("a", "big"), order("b", "odd")):
        assert (end.outcome, end.result, end.error and end.error.code) == (Outcome.SUCCEEDED, None, "bad_result")


def test_secrets_are_looked_up_and_struck_out(tmp_path: Path) -> None:
    house = House(tmp_path, environment=dict(os.environ, WORD="s3cr3t"))
    try:
        said, crashed, missing = house.do(
            order("a", "say", word="env:WORD", secrets=["word"]),
            order("b", "crash", word="env:WORD", secrets=["word"]),
            order("c", "say", word="env:NO_SUCH_WORD", secrets=["word"]),
        )
    finally:
        house.executor.detach()
    assert said.outcome is Outcome.SUCCEEDED
    assert house.log("a") == "line 0 ***\nprinted\n"
    assert crashed.error is not None
    assert crashed.error.message == "bad ***"
    assert missing.error is not None
    assert missing.error.code == "secret_not_found"
    for path in (tmp_path / "state").rglob("*"):
        assert path.is_dir() or b"s3cr3t" not in path.read_bytes(), path


def test_a_secret_that_is_long_in_coming_holds_nobody_up(house: House, tmp_path: Path) -> None:
    """Files may lie far away, and providers ask servers: a pipe that nobody has written to yet stands for both."""
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    house.executor.start([order("a", "say", word=f"file:{slow}", secrets=["word"], timeout_s=30)])
    house.sink.started("a")
    [quick] = house.do(order("b", "echo", timeout_s=5))
    with slow.open("w") as pipe:
        pipe.write("s3cr3t")
    assert quick.outcome is Outcome.SUCCEEDED
    assert house.sink.ended("a").outcome is Outcome.SUCCEEDED
    assert house.log("a").startswith("line 0 ***")


def test_attempts_that_take_turns_write_to_their_own_logs(tmp_path: Path) -> None:
    house = House(tmp_path, environment=dict(os.environ, **{f"WORD_{n}": f"s3cr3t-{n}" for n in range(9)}))
    try:
        house.do(*(order(f"r{n}", "mix", word=f"env:WORD_{n}", secrets=["word"]) for n in range(9)))
    finally:
        house.executor.detach()
    assert [house.log(f"r{n}") for n in range(9)] == ["mine is ***\n" * 50] * 9


def test_logs_are_made_when_needed_and_bounded(house: House) -> None:
    quiet, loud = house.do(order("a", "echo"), order("b", "say", lines=5000, log_limit=1000))
    assert quiet.log_bytes == 0
    assert not list((house.root / "state").rglob("a.1.log"))
    assert loud.log_bytes == len(house.log("b").encode()) <= 1000
    assert house.log("b").startswith("line 0 \nline 1 \n")
    assert "dropped" in house.log("b").splitlines()[-1]


def test_state_for_the_life_of_the_loop(house: House) -> None:
    assert [house.do(order(f"r{i}", "count"))[0].result for i in range(3)] == [1, 2, 3]


def test_two_hundred_waits_in_one_process(house: House) -> None:
    house.do(order("first", "echo"))
    began = time.monotonic()
    ends = house.do(*(order(f"r{i}", "sleep", seconds=2) for i in range(200)))
    seconds = time.monotonic() - began
    pages = int(Path(f"/proc/{house.pid('r0')}/statm").read_text().split()[1])
    print(f"200 attempts of 2 s: {seconds:.2f} s, worker RSS {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:.1f} MB")
    assert [end.result for end in ends] == [f"r{i}" for i in range(200)]
    assert seconds < 10, "one after the other takes 400 s"
    assert len(house.pids()) == 1


def test_no_more_at_once_than_its_size(tmp_path: Path) -> None:
    house = House(tmp_path, size=5)
    try:
        ends = house.do(*(order(f"r{i}", "sleep", seconds=0.05) for i in range(20)))
    finally:
        house.executor.detach()
    edges = sorted([(e.started_at, 1) for e in ends] + [(e.finished_at, -1) for e in ends])  # type: ignore[list-item]
    assert max(sum(step for _, step in edges[: i + 1]) for i in range(len(edges))) <= 5


# ---- stopping --------------------------------------------------------------------------------------


def test_timeout_stops_one_of_many(house: House) -> None:
    house.do(order("first", "echo"))  # what it imports counts too, and takes long on a busy machine
    house.executor.start([order("other", "sleep", seconds=2)])
    [end] = house.do(order("a", "polite", timeout_s=1))
    assert (end.outcome, end.error and end.error.code) == (Outcome.TIMED_OUT, "timed_out")
    assert end.duration_s is not None
    assert 1 <= end.duration_s < 6, "it was not waited for longer than it took to clean up"
    assert house.log("a") == "up\ncleaned\n"
    assert house.sink.ended("other").outcome is Outcome.SUCCEEDED
    assert len(house.pids()) == 1


def test_cancel_stops_one_of_many(house: House) -> None:
    house.executor.start([order("other", "sleep", seconds=0.5), order("a", "polite")])
    house.sink.until(lambda: house.log("a") == "up\n")
    house.executor.cancel("a", 1)
    end = house.sink.ended("a")
    assert (end.outcome, end.error and end.error.code) == (Outcome.CANCELLED, "cancelled")
    assert house.log("a") == "up\ncleaned\n"
    assert house.sink.ended("other").outcome is Outcome.SUCCEEDED


def test_cancel_at_once_and_of_the_unknown(house: House) -> None:
    house.executor.start([order("a", "sleep", seconds=50)])
    house.executor.cancel("a", 1)
    house.executor.cancel("nobody", 1)
    assert house.sink.ended("a").outcome is Outcome.CANCELLED


def test_tasks_left_behind_end_with_their_attempt(house: House) -> None:
    house.do(order("a", "scatter"), order("c", "linger"))
    house.do(order("b", "sleep", seconds=0.4))
    assert house.log("a") == house.log("c") == ""


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_what_does_not_listen_costs_the_process(house: House, how: str, caplog: pytest.LogCaptureFixture) -> None:
    house.do(order("first", "echo"))
    limit = {"timeout_s": 1} if how == "timeout" else {}
    house.executor.start([order("other", "sleep", seconds=100), order("a", "deaf", kill_grace_s=0.3, **limit)])
    first = house.pid("a")
    house.sink.started("other")
    house.sink.until(lambda: house.log("a").startswith("up"))
    if how == "cancel":
        house.executor.cancel("a", 1)
    end, other = house.sink.ended("a"), house.sink.ended("other")
    assert end.outcome is (Outcome.TIMED_OUT if how == "timeout" else Outcome.CANCELLED)
    assert (other.outcome, other.never_started) == (Outcome.LOST, False)
    assert other.error is not None
    assert "run a of job job did not end" in other.error.message
    assert "lost with it" in caplog.text
    [again] = house.do(order("other", "echo", number=2))
    assert again.result["pid"] != first  # type: ignore[index,call-overload]


def test_a_call_that_blocks_the_loop(tmp_path: Path) -> None:
    house = House(tmp_path, patience_s=1.0)
    try:
        house.executor.start([order("other", "sleep", seconds=100)])
        house.sink.started("other")
        [end] = house.do(order("a", "block", seconds=100))
        other = house.sink.ended("other")
        assert end.error is not None
        assert (end.outcome, end.error.code) == (Outcome.FAILED, "loop_blocked")
        assert "chores.py" in end.error.message
        assert (other.outcome, other.never_started) == (Outcome.LOST, False)
        assert house.do(order("other", "echo", number=2))[0].outcome is Outcome.SUCCEEDED
    finally:
        house.executor.detach()


def test_timeout_of_a_call_that_blocks_the_loop(house: House) -> None:
    house.executor.start([order("other", "sleep", seconds=100)])
    house.sink.started("other")  # or the call that blocks would keep it from being taken
    [end] = house.do(order("a", "block", seconds=100, timeout_s=1, kill_grace_s=0.1))
    assert end.outcome is Outcome.TIMED_OUT
    assert house.sink.ended("other").outcome is Outcome.LOST


def test_a_killed_worker_loses_what_it_had_begun(tmp_path: Path) -> None:
    house = House(tmp_path, size=20)
    try:
        house.executor.start([order(f"r{i}", "sleep", seconds=100) for i in range(20)])
        house.executor.start([order(f"w{i}", "echo") for i in range(5)])
        for i in range(20):
            house.sink.started(f"r{i}")
        os.kill(house.pid("r0"), signal.SIGKILL)
        ends = [house.sink.ended(f"r{i}") for i in range(20)]
        assert {(end.outcome, end.never_started) for end in ends} == {(Outcome.LOST, False)}
        waiting = [house.sink.ended(f"w{i}") for i in range(5)]
        assert {end.outcome for end in waiting} == {Outcome.SUCCEEDED}
        assert len(house.pids()) == 2
    finally:
        house.executor.detach()


def test_a_worker_told_to_go_ends_what_it_has_begun(house: House) -> None:
    house.executor.start([order("a", "sleep", seconds=0.5)])
    first = house.pid("a")
    os.kill(first, signal.SIGTERM)
    [other] = house.do(order("b", "echo"))
    assert other.outcome is Outcome.SUCCEEDED
    assert house.sink.ended("a").outcome is Outcome.SUCCEEDED


def test_an_idle_worker_goes(tmp_path: Path) -> None:
    house = House(tmp_path, idle_s=0.1)
    try:
        house.do(order("a", "echo"))
        house.executor.forget("a", 1)
        first = house.pid("a")
        house.sink.until(lambda: not Path(f"/proc/{first}").exists())
        assert house.do(order("b", "echo"))[0].outcome is Outcome.SUCCEEDED
    finally:
        house.executor.detach()
