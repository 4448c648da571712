"""Callables in threads of the application and on its loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon import TaskFailed
from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Outcome
from gnomon.core.values import Json
from gnomon.executors.inline import InlineExecutor
from gnomon.executors.logs import Logs
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder


def task(run_id: str, name: str, *args: Json, timeout_s: float | None = None, token: int = 1) -> AttemptSpec:
    return AttemptSpec(run_id, 1, token, "job", "python", {"callable": name, "args": args}, {}, timeout_s)


class Rig:
    """An executor, what it tells, and the functions it knows."""

    def __init__(self, **options: Any) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}
        self.sink = Recorder()
        self.executor = InlineExecutor(clock=SystemClock(), functions=self.functions, **options)
        self.executor.open(self.sink)

    def run(self, run_id: str, what: Callable[..., Any] | str, *args: Json, timeout_s: float | None = None) -> Ended:
        self.start(run_id, what, *args, timeout_s=timeout_s)
        return self.sink.ended(run_id)

    def start(self, run_id: str, what: Callable[..., Any] | str, *args: Json, timeout_s: float | None = None) -> None:
        name = what if isinstance(what, str) else f"local:{run_id}"
        if not isinstance(what, str):
            self.functions[name] = what
        self.executor.start([task(run_id, name, *args, timeout_s=timeout_s)])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(threads=2, directory=tmp_path)
    yield rig
    rig.executor.detach()
    rig.executor.detach()


def code(end: Ended) -> str:
    assert end.error is not None
    return end.error.code


def test_registered_functions_come_first_then_imports(rig: Rig) -> None:
    end = rig.run("a", lambda *args: {"sum": sum(args)}, 1, 2)
    start = rig.sink.started("a")
    assert (end.outcome, end.result, end.started_at) == (Outcome.SUCCEEDED, {"sum": 3}, start.at)
    assert rig.run("b", "os.path:basename", "x/y").result == "y"
    rig.functions["os.path:basename"] = lambda text: "mine"
    assert rig.run("c", "os.path:basename", "x/y").result == "mine"


async def later(value: Json) -> Json:
    await asyncio.sleep(0.01)
    return value


def test_async_callables_run_on_a_loop_of_their_own(rig: Rig) -> None:
    assert rig.run("a", later, 7).result == 7
    assert rig.run("b", functools.partial(later, 8)).result == 8


def test_async_callables_run_on_the_application_s_loop() -> None:
    async def main() -> None:
        rig = Rig(loop=asyncio.get_running_loop())
        seen: list[object] = []

        async def call() -> str:
            seen.append(asyncio.get_running_loop())
            return "done"

        end = await asyncio.to_thread(rig.run, "a", call)
        assert end.result == "done"
        assert seen == [asyncio.get_running_loop()]
        rig.executor.detach()

    asyncio.run(main())


def boom() -> None:
    raise LookupError("nothing there")


def leave(value: object) -> None:
    raise SystemExit(value)


@pytest.mark.parametrize(
    ("what", "args", "expected", "exit_code"),
    [
        (boom, (), "LookupError", None),
        (leave, (3,), "SystemExit", 3),
        ("no_such_module_here:f", (), "callable_not_found", None),
        ("os:no_such_function", (), "callable_not_found", None),
        ("local:nobody", (), "callable_not_found", None),
        ("os:sep", (), "callable_not_found", None),
    ],
)
def test_failures(rig: Rig, what: Any, args: tuple[Json, ...], expected: str, exit_code: int | None) -> None:
    end = rig.run("a", what, *args)
    assert (end.outcome, code(end), end.exit_code) == (Outcome.FAILED, expected, exit_code)


@pytest.mark.parametrize("value", [{1}, float("nan"), "x" * 70_000, 10**5000], ids=lambda value: type(value).__name__)
def test_what_has_returned_has_succeeded(rig: Rig, value: Any) -> None:
    async def give() -> Any:
        return value

    for run, what in (("a", lambda: value), ("b", give)):
        end = rig.run(run, what)
        assert (end.outcome, end.result, code(end)) == (Outcome.SUCCEEDED, None, "bad_result")


def sell() -> None:
    raise TaskFailed("sold_out", "none is left", {"left": 0})


async def sell_later() -> None:
    sell()


@pytest.mark.parametrize("what", [sell, sell_later])
def test_a_failure_with_a_code_keeps_its_result(rig: Rig, tmp_path: Path, what: Callable[..., Any]) -> None:
    end = rig.run("a", what)
    assert end.error is not None
    assert (end.outcome, code(end), end.error.message) == (Outcome.FAILED, "sold_out", "none is left")
    assert end.result == {"left": 0}
    assert Logs(tmp_path).size("a", 1) == 0  # no traceback


def test_a_thread_with_a_timeout_is_refused(rig: Rig) -> None:
    end = rig.run("a", boom, timeout_s=5)
    assert (end.outcome, code(end), end.never_started) == (Outcome.FAILED, "thread_timeout", True)
    assert end.error is not None
    assert "executor='process'" in end.error.message


def test_async_timeout_and_cancel(rig: Rig) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def own_timeout() -> None:
        raise TimeoutError("its own")

    end = rig.run("a", hang, timeout_s=0.05)
    assert (end.outcome, code(end)) == (Outcome.TIMED_OUT, "timed_out")
    assert code(rig.run("b", own_timeout, timeout_s=60)) == "TimeoutError"
    rig.start("c", hang)
    rig.sink.started("c")
    rig.executor.cancel("c", 1)
    assert rig.sink.ended("c").outcome is Outcome.CANCELLED


def test_a_thread_runs_to_its_end_whatever_is_asked(rig: Rig) -> None:
    gate, said = threading.Event(), []

    def wait() -> str:
        gate.wait(30)
        said.append(1)
        return "whole"

    rig.start("a", wait)
    rig.start("b", wait)
    rig.start("c", wait)
    rig.sink.started("a")
    rig.sink.started("b")
    rig.executor.cancel("a", 1)
    rig.executor.cancel("c", 1)
    rig.executor.cancel("nobody", 1)
    gate.set()
    assert [rig.sink.ended(run).result for run in "ab"] == ["whole", "whole"]
    end = rig.sink.ended("c")  # it had not begun
    assert (end.outcome, end.never_started) == (Outcome.CANCELLED, True)
    assert said == [1, 1]


def test_once(rig: Rig) -> None:
    calls: list[int] = []
    for _ in range(3):
        rig.run("a", lambda: calls.append(1))
    assert calls == [1]
    rig.executor.forget("a", 1)
    rig.start("a", lambda: calls.append(1))
    rig.sink.until(lambda: len(rig.sink.ends("a")) == 2)


def test_what_is_adopted_is_lost_unless_it_runs_here(rig: Rig) -> None:
    gate = threading.Event()
    rig.start("a", lambda: gate.wait(30))
    rig.sink.started("a")
    rig.executor.adopt([Adoption(task("a", "x", token=9), None), Adoption(task("b", "x", token=9), None)])
    assert (rig.sink.ended("b").outcome, rig.sink.ended("b").never_started) == (Outcome.LOST, False)
    gate.set()
    assert (rig.sink.ended("a").token, rig.sink.ended("a").result) == (9, True)


def test_why_a_call_failed_is_kept_wherever_the_application_lets_our_log_lead(rig: Rig, tmp_path: Path) -> None:
    ours = logging.getLogger("gnomon")
    before, ours.propagate = ours.propagate, False
    try:
        rig.run("f", boom)
    finally:
        ours.propagate = before
    assert "LookupError: nothing there" in Logs(tmp_path).read("f", 1)[0].decode()
    rig.run("g", boom)
    assert Logs(tmp_path).read("g", 1)[0].decode().count("run g failed") == 1


def test_what_calls_log_is_kept_each_its_own(rig: Rig, tmp_path: Path) -> None:
    logger = logging.getLogger("application")

    async def speak(text: str) -> None:
        await asyncio.sleep(0.005)
        logger.warning("async %s", text)

    for i in range(4):
        rig.start(f"s{i}", lambda i=i: logger.warning("sync %s", i))
        rig.start(f"a{i}", speak, str(i))
    for i in range(4):
        for run, text in ((f"s{i}", f"sync {i}"), (f"a{i}", f"async {i}")):
            end = rig.sink.ended(run)
            log = Logs(tmp_path).read(run, 1)[0].decode()
            assert log.endswith(f"WARNING application: {text}\n")
            assert log.count("\n") == 1
            assert end.log_bytes == len(log)
    rig.run("f", boom)
    assert "LookupError: nothing there" in Logs(tmp_path).read("f", 1)[0].decode()
