"""Python callables in worker processes: how they end, what they see, what they can not break."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import AttemptSpec, Ended, Outcome
from gnomon.core.values import Json
from gnomon.executors.logs import Logs
from gnomon.executors.pool import PoolExecutor
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder

MODULE = """
import asyncio, builtins, ctypes, json, logging, os, signal, subprocess, sys, threading, time

class Thing:
    @staticmethod
    def method(): return "method"

def noop(*args, **kwargs): return None
def echo(*args, **kwargs): return {"args": args, "kwargs": kwargs}
def who(): return [os.getpid(), os.environ.get("GNOMON_RUN_ID"), os.environ.get("GNOMON_JOB_ID"), os.getcwd()]
def hello(text="hello"): print(text)
def all_streams():
    print("python"); sys.stderr.write("stderr\\n"); sys.stdout.flush()
    logging.getLogger("mine").info("logged")
    ctypes.CDLL(None).write(1, b"from C\\n", 7)
    subprocess.run(["echo", "child"])
async def later(value):
    await asyncio.sleep(0.01)
    return value
async def loop_id(): return id(asyncio.get_running_loop())
async def leaves_a_task():
    asyncio.get_running_loop().create_task(asyncio.sleep(1000))
async def never(): await asyncio.Event().wait()
def fail(): raise LookupError("no such thing")
def interrupt(): raise KeyboardInterrupt
def leave(code): sys.exit(code)
def recurse(): recurse()
def bad_message():
    class Bad(Exception):
        def __str__(self): raise RuntimeError
    raise Bad
def note(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, text.encode()); os.close(fd)
def up_and_hang(path):
    note(path, "up\\n")
    while True: time.sleep(100)
def tidy(path):
    try: up_and_hang(path)
    finally: note(path, "cleaned\\n")
def deaf(path):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try: up_and_hang(path)
        except BaseException: pass
def with_children(path):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note(path, f"{os.getpid()}\\n"); signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True: time.sleep(100)
        os._exit(0)
    script = f"trap '' TERM; echo $$ >>{path}; while :; do sleep 100; done"
    subprocess.Popen(["sh", "-c", script], start_new_session=True)
    while True: time.sleep(100)
def hard_exit(code): os._exit(code)
def crash(): ctypes.string_at(0)
def kill_self(): os.kill(os.getpid(), signal.SIGKILL)
def forks():
    if os.fork() == 0: return "child"
    return "parent"
def forks_and_raises():
    if os.fork() == 0: raise ValueError
    os.wait()
    return "parent"
def closes_everything(): os.closerange(0, 4096)
def steals_descriptors():
    os.closerange(3, 4096)
    for _ in range(300): os.open("/dev/null", os.O_RDWR)
def changes_everything():
    os.chdir("/"); os.environ["LEFT"] = "x"; os.environ.pop("PATH", None); os.environ["GNOMON_RUN_ID"] = "fake"
    for n in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1): signal.signal(n, signal.SIG_IGN)
    signal.alarm(1); signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); os.umask(0)
    builtins.print = builtins.len = builtins.open = None; sys.stdout = None; sys.stderr.close()
    sys.setrecursionlimit(100000)
def state():
    return [os.getcwd(), os.environ.get("LEFT"), "PATH" in os.environ, os.environ["GNOMON_RUN_ID"], len("abc"),
            signal.getsignal(signal.SIGINT) is signal.default_int_handler, sys.getrecursionlimit(), os.umask(0o22)]
def threads():
    for daemon in (True, False): threading.Thread(target=time.sleep, args=(1000,), daemon=daemon).start()
def prints_much(count):
    block = b"x" * 1048576
    os.write(1, b"first\\n")
    for _ in range(count): os.write(1, block)
    os.write(1, b"last\\n")
def give(kind):
    deep = []
    for _ in range(500): deep = [deep]
    return {"set": {1}, "nan": float("nan"), "self": Thing, "deep": deep, "half": "\\ud800", "bytes": b"x"}[kind]
def large(size): return "x" * size
def long_number():
    sys.set_int_max_str_digits(0)
    return 10**5000
def eats_memory(): return len(bytearray(2 << 30))
def import_count(): return sum(1 for name in sys.modules if name.split(".")[0] == "gnomon")
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the callables are."""
    directory = tmp_path_factory.mktemp("callables")
    (directory / "stuff.py").write_text(MODULE)
    (directory / "broken.py").write_text("import no_such_package\n")
    (directory / "raising.py").write_text("1 / 0\n")
    (directory / "quitting.py").write_text("raise SystemExit(3)\n")
    return directory


def task(run_id: str, name: str, *args: Json, number: int = 1, token: int = 1, **more: Json) -> AttemptSpec:
    """An attempt of a callable of `stuff`, or of another module."""
    timeout, grace, limit = more.pop("timeout_s", None), more.pop("grace_s", 10.0), more.pop("log_limit", 100_000)
    assert isinstance(timeout, int | float | None)
    assert isinstance(grace, int | float)
    assert isinstance(limit, int)
    reference = name if ":" in name else f"stuff:{name}"
    arguments: dict[str, Json] = {"callable": reference, "args": args, **more}
    environment = {"GNOMON_RUN_ID": run_id, "GNOMON_JOB_ID": "job"}
    return AttemptSpec(run_id, number, token, "job", "python", arguments, environment, timeout, grace, limit)


class Rig:
    """A pool and what it tells."""

    def __init__(self, home: Path, directory: Path, **settings: object) -> None:
        self.directory, self.sink, self.count = directory, Recorder(), 0
        options: dict[str, object] = {"size": 2, "path": (str(home),), **settings}
        self.pool = PoolExecutor(directory, "node", clock=SystemClock(), **options)
        self.pool.open(self.sink)

    def start(self, name: str, *args: Json, **more: Json) -> str:
        self.count += 1
        self.pool.start([task(f"r{self.count}", name, *args, **more)])
        return f"r{self.count}"

    def run(self, name: str, *args: Json, **more: Json) -> Ended:
        return self.sink.ended(self.start(name, *args, **more))

    def log(self, run_id: str) -> bytes:
        logs, parts, offset = Logs(self.directory), [], 0
        while (part := logs.read(run_id, 1, offset))[0]:
            parts.append(part[0])
            offset = part[1]
        return b"".join(parts)


@pytest.fixture
def make(home: Path, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def build(**settings: object) -> Rig:
        rigs.append(Rig(home, tmp_path / "state", **settings))
        return rigs[-1]

    yield build
    for rig in rigs:
        rig.pool.detach()


@pytest.fixture
def rig(make: Callable[..., Rig]) -> Rig:
    return make()


def problem(end: Ended) -> tuple[str, str]:
    assert end.error is not None
    return end.error.code, end.error.message


# ---- how calls end ---------------------------------------------------------------------------------


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


# ---- what a call sees and says ---------------------------------------------------------------------


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


# ---- stopping --------------------------------------------------------------------------------------


def test_timeout_leaves_others_alone(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=2)
    marks = tmp_path / "marks"
    hanging = rig.start("up_and_hang", str(marks), timeout_s=0.4)
    others = [rig.start("later", i) for i in range(20)]
    end = rig.sink.ended(hanging)
    assert (end.outcome, problem(end)[0]) == (Outcome.TIMED_OUT, "timed_out")
    assert end.duration_s is not None
    assert 0.38 <= end.duration_s < 3
    assert [rig.sink.ended(run).result for run in others] == list(range(20))
    assert marks.read_text() == "up\n"


def test_term_lets_it_clean_up(rig: Rig, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    run = rig.start("tidy", str(marks))
    rig.sink.until(marks.exists)
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).outcome is Outcome.CANCELLED
    assert marks.read_text() == "up\ncleaned\n"


def test_an_async_call_is_cancelled(rig: Rig) -> None:
    run = rig.start("never")
    rig.sink.started(run)
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).outcome is Outcome.CANCELLED


def test_the_deaf_are_killed(rig: Rig, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    run = rig.start("deaf", str(marks), grace_s=0.2, timeout_s=0.3)
    assert rig.sink.ended(run).outcome is Outcome.TIMED_OUT
    assert rig.run("echo", 1).outcome is Outcome.SUCCEEDED


def test_nothing_survives(rig: Rig, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    run = rig.start("with_children", str(pids), grace_s=0.1)
    rig.sink.until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    rig.pool.cancel(run, 1)
    assert rig.sink.ended(run).outcome is Outcome.CANCELLED
    assert [pid for pid in pids.read_text().split() if alive(int(pid))] == []


def test_what_has_not_begun_is_cancelled_at_once(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=1)
    marks = tmp_path / "marks"
    busy = rig.start("up_and_hang", str(marks), grace_s=0.0)
    waiting = [rig.start("noop") for _ in range(3)]
    rig.sink.until(marks.exists)
    rig.pool.cancel(waiting[1], 1)
    end = rig.sink.ended(waiting[1])
    assert (end.outcome, end.never_started) == (Outcome.CANCELLED, True)
    rig.pool.cancel(busy, 1)
    rig.pool.cancel("nobody", 1)
    assert [rig.sink.ended(run).outcome for run in (busy, waiting[0], waiting[2])] == ["cancelled", *["succeeded"] * 2]


# ---- what calls can not break ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["forks", "forks_and_raises"])
def test_a_fork_does_not_confuse(make: Callable[..., Rig], name: str) -> None:
    rig = make(size=1)
    for _ in range(3):
        assert rig.run(name).result == "parent"
    assert rig.run("echo", 1).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("name", ["closes_everything", "steals_descriptors"])
def test_descriptors_may_be_closed(make: Callable[..., Rig], name: str) -> None:
    rig = make(size=1)
    runs = [rig.start(name), rig.start("hello"), rig.start(name), rig.start("hello")]
    assert [rig.sink.ended(run).outcome for run in runs] == ["succeeded"] * 4
    assert [rig.log(run) for run in runs[1::2]] == [b"hello\n"] * 2


def test_what_a_call_changes_is_put_back(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    first = rig.run("who").result
    assert rig.run("changes_everything").outcome is Outcome.SUCCEEDED
    run = rig.start("state")
    result = rig.sink.ended(run).result
    assert isinstance(result, list)
    assert result[:-1] == [os.getcwd(), None, True, run, 3, True, 1000]
    assert result[-1] != 0
    shown = rig.start("hello", "still")
    rig.sink.ended(shown)
    assert rig.log(shown) == b"still\n"
    last = rig.run("who").result
    assert isinstance(first, list)
    assert isinstance(last, list)
    assert first[0] == last[0]  # one worker did it all


def test_threads_left_over_are_noted(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    run = rig.start("threads")
    assert rig.sink.ended(run).outcome is Outcome.SUCCEEDED
    assert b"2 thread(s)" in rig.log(run)
    quiet = rig.start("noop")
    assert rig.sink.ended(quiet).log_bytes == 0


def test_memory_limit(make: Callable[..., Rig]) -> None:
    rig = make(memory_limit=1 << 30)
    assert problem(rig.run("eats_memory"))[0] == "MemoryError"


def test_a_worker_is_replaced_after_so_many_calls(make: Callable[..., Rig]) -> None:
    rig = make(size=1, max_calls=5)
    runs = [rig.start("who") for _ in range(20)]
    found = [rig.sink.ended(run).result for run in runs]
    assert len({result[0] for result in found if isinstance(result, list)}) == 4


def test_a_worker_that_can_not_start_is_an_end(make: Callable[..., Rig]) -> None:
    rig = make(python="/bin/false")
    assert problem(rig.run("noop"))[0] == "worker_failed"
    rig = make(python="/no/such/python")
    assert problem(rig.run("noop"))[0] == "worker_failed"


def test_term_from_elsewhere_lets_the_call_end(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=1)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "waiting.py").write_text("def wait(path):\n    with open(path) as f: return f.read()\n")
    run = rig.start("waiting:wait", str(gate), path=[str(tmp_path)])
    pid = rig.sink.started(run).handle.process["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGTERM)
    gate.write_text("done")
    assert rig.sink.ended(run).result == "done"


# ---- once, at once ---------------------------------------------------------------------------------


def test_long_calls_really_run_at_once(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=6)
    marks = tmp_path / "marks"
    runs = [rig.start("up_and_hang", str(marks), grace_s=0.0) for _ in range(6)]
    rig.sink.until(lambda: marks.exists() and len(marks.read_text().split()) == 6)
    for run in runs:
        rig.pool.cancel(run, 1)
    assert {rig.sink.ended(run).outcome for run in runs} == {Outcome.CANCELLED}


def test_a_long_call_holds_nothing_back(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=3)
    long = [rig.start("up_and_hang", str(tmp_path / "m"), grace_s=0.0) for _ in range(2)]
    short = [rig.start("echo", i) for i in range(50)]
    assert {rig.sink.ended(run).outcome for run in short} == {Outcome.SUCCEEDED}
    assert [rig.sink.ends(run) for run in long] == [[], []]
    for run in long:
        rig.pool.cancel(run, 1)
        rig.sink.ended(run)


def test_many_each_exactly_once(rig: Rig, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    specs = [task(f"m{i}", "note", str(ledger), f"{i}\n") for i in range(2000)]
    rig.pool.start(specs)
    rig.pool.start(specs)
    rig.sink.until(lambda: sum(isinstance(e, Ended) for e in list(rig.sink.events)) >= 2000)
    rig.pool.start(specs)  # known until they are forgotten
    assert rig.run("noop").outcome is Outcome.SUCCEEDED
    assert sorted(map(int, ledger.read_text().split())) == list(range(2000))
    assert sum(isinstance(e, Ended) for e in rig.sink.events) == 2001


def test_files_are_gone_when_all_is_told(make: Callable[..., Rig]) -> None:
    rig = make()
    for i in range(50):
        rig.pool.start([task(f"f{i}", "noop")])
    for i in range(50):
        rig.sink.ended(f"f{i}")
        rig.pool.forget(f"f{i}", 1)
        rig.pool.forget(f"f{i}", 1)
    rig.pool.detach()
    rig.pool.detach()
    assert [p for p in rig.directory.rglob("*") if p.is_file()] == []


def test_journals_stay_small(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    text = "x" * 5000
    largest = 0
    for batch in range(10):
        runs = [f"j{batch}-{i}" for i in range(50)]
        rig.pool.start([task(run, "large", 5000) for run in runs])
        for run in runs:
            assert rig.sink.ended(run).result == text
            rig.pool.forget(run, 1)
        largest = max(largest, sum(p.stat().st_size for p in rig.directory.rglob("*.journal*")))
    assert 100_000 < largest < 1_200_000


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
