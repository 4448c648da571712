"""Python callables in worker processes: how they end, what they see, what they say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.values import Json

from .pool_support import Rig, callables_in, problem, rigs_of


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return callables_in(tmp_path_factory.mktemp("callables"))


@pytest.fixture
def make(home: Path, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with rigs_of(home, tmp_path / "state") as build:
        yield build


@pytest.fixture
def rig(make: Callable[..., Rig]) -> Rig:
    return make()


# ---- how calls end -------------------------------------------------------------------------------


def test_success(rig: Rig) -> None:
    run = rig.start("echo", 1, "ä", kwargs={"x": [None]}, token=7)
    end, start = rig.sink.ended(run), rig.sink.started(run)
    assert (end.outcome, end.token, start.token, end.exit_code) == (Outcome.SUCCEEDED, 7, 7, None)
    assert end.result == {"args": [1, "ä"], "kwargs": {"x": [None]}}
    assert end.started_at is not None
    assert start.at <= end.finished_at
    assert rig.sink.events.index(start) < rig.sink.events.index(end)
    assert not (rig.directory / rig.log(run).decode()).is_file()


def test_a_result_that_nobody_else_can_read_ends_its_attempt(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    end = rig.run("long_number")
    assert (end.outcome, end.result) == (Outcome.SUCCEEDED, None)
    assert rig.run("noop").outcome is Outcome.SUCCEEDED


def test_async_calls_share_a_loop(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    assert rig.run("later", 5).result == 5
    assert rig.run("leaves_a_task").outcome is Outcome.SUCCEEDED
    assert rig.run("loop_id").result == rig.run("loop_id").result


@pytest.mark.parametrize(
    ("name", "args", "code", "exit_code", "words"),
    [
        ("fail", (), "LookupError", None, "no such thing"),
        ("interrupt", (), "KeyboardInterrupt", None, ""),
        ("recurse", (), "RecursionError", None, "recursion"),
        ("bad_message", (), "Bad", None, "can not be had"),
        ("leave", (3,), "SystemExit", 3, "exit code 3"),
        ("leave", ("sorry",), "SystemExit", 1, "sorry"),
        ("hard_exit", (5,), "worker_died", 5, "exit code 5"),
        ("kill_self", (), "worker_died", -9, "SIGKILL"),
        ("crash", (), "worker_died", -11, "SIGSEGV"),
        ("nop", (), "callable_not_found", None, "did you mean 'noop'"),
        ("Thing.methud", (), "callable_not_found", None, "did you mean 'method'"),
        ("stuf:noop", (), "callable_not_found", None, "did you mean 'stuff'"),
        ("broken:noop", (), "callable_not_found", None, "no_such_package"),
        ("raising:noop", (), "ZeroDivisionError", None, "while its module was imported"),
        ("quitting:noop", (), "SystemExit", 1, "while its module was imported"),
        ("os:sep", (), "callable_not_found", None, "of type str"),
        ("local:me", (), "callable_not_found", None, "registered by an application"),
    ],
)
def test_failures(rig: Rig, name: str, args: tuple[Json, ...], code: str, exit_code: int | None, words: str) -> None:
    end = rig.run(name, *args)
    assert (end.outcome, end.exit_code, end.never_started) == (Outcome.FAILED, exit_code, False)
    assert problem(end)[0] == code
    assert words in problem(end)[1]
    assert rig.run("echo", 1).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("give", "set", "of type set"),
        ("give", "nan", "of type float"),
        ("give", "self", "of type type"),
        ("give", "deep", "deep"),
        ("give", "half", "surrogate"),
        ("large", 65_535, "65537 bytes"),
    ],
)
def test_what_has_returned_has_succeeded(rig: Rig, name: str, what: Json, words: str) -> None:
    end = rig.run(name, what)
    assert (end.outcome, end.result, problem(end)[0]) == (Outcome.SUCCEEDED, None, "bad_result")
    assert words in problem(end)[1]


def test_sys_exit_0_is_success_and_a_large_result_comes_back(rig: Rig) -> None:
    end = rig.run("leave", 0)
    assert (end.outcome, end.exit_code) == (Outcome.SUCCEEDED, 0)
    assert rig.run("large", 65_534).result == "x" * 65_534


def test_large_arguments(rig: Rig) -> None:
    assert problem(rig.run("stuff:echo", "x" * 300_000))[0] == "bad_result"  # it is too large
    assert rig.run("noop", ["ü" * 500_000]).outcome is Outcome.SUCCEEDED


def test_names_with_dots_only_may_reach_into_a_class(rig: Rig) -> None:
    assert rig.run("stuff.Thing:method").result == "method"
    assert rig.run("Thing.method").result == "method"


def test_modules_of_different_paths_do_not_meet(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "stuff.py").write_text("def noop(): return 'other'\n")
    assert rig.run("noop").result is None
    assert rig.run("noop", path=[str(tmp_path)]).result == "other"
    assert rig.run("noop", path=[str(tmp_path / "a"), str(tmp_path)]).result == "other"
    assert rig.run("noop").result is None


# ---- what a call sees and says -------------------------------------------------------------------


def test_environment_and_directory(rig: Rig) -> None:
    run = rig.start("who")
    result = rig.sink.ended(run).result
    assert isinstance(result, list)
    assert result[1:] == [run, "job", os.getcwd()]
    assert result[0] == rig.sink.started(run).handle.process["pid"] != os.getpid()


def test_the_scheduler_imports_nothing_and_the_worker_little(rig: Rig) -> None:
    import sys

    assert rig.run("import_count").result == 0
    assert "stuff" not in sys.modules


def test_every_way_to_print_is_kept(rig: Rig) -> None:
    run = rig.start("all_streams")
    end = rig.sink.ended(run)
    log = rig.log(run).decode()
    assert end.log_bytes == len(log)
    assert [line for line in log.splitlines() if "logged" not in line] == ["python", "stderr", "from C", "child"]
    assert "INFO mine: logged" in log


def test_each_its_own_log_and_none_where_nothing_is_said(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    runs = [rig.start("hello", f"text {i}") if i % 3 == 0 else rig.start("noop") for i in range(30)]
    for i, run in enumerate(runs):
        assert rig.sink.ended(run).log_bytes == len(rig.log(run))
        assert rig.log(run).decode() == (f"text {i}\n" if i % 3 == 0 else "")
    logs = list(rig.directory.rglob("*.log"))
    assert len(logs) == 10


def test_a_traceback_is_in_the_log(rig: Rig) -> None:
    run = rig.start("fail")
    rig.sink.ended(run)
    text = rig.log(run).decode()
    assert text.startswith("Traceback (most recent call last):\n")
    assert "LookupError: no such thing" in text
    named = re.findall(r'File "(.*?)", line', text)
    assert {Path(name).name for name in named} == {"stuff.py"}, "nothing of gnomon's own"


def test_a_log_can_be_read_while_the_call_runs(rig: Rig, tmp_path: Path) -> None:
    run = rig.start("up_and_hang", "/dev/stdout", grace_s=0.0)
    rig.sink.until(lambda: rig.log(run) == b"up\n")
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).log_bytes == 3


def test_output_is_bounded(rig: Rig) -> None:
    run = rig.start("prints_much", 1024, log_limit=10_000)
    assert rig.sink.ended(run).outcome is Outcome.SUCCEEDED
    rig.sink.until(lambda: len(rig.log(run)) <= 10_100)
    assert rig.log(run).startswith(b"first\nxxx")
    assert rig.log(run).endswith(b"xxlast\n")
