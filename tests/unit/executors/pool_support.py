"""A pool of worker processes with callables that do all sorts of things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gnomon.core.attempts import AttemptSpec, Ended
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


def callables_in(directory: Path) -> Path:
    """Writes the callables there."""
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


@contextmanager
def rigs_of(home: Path, state: Path) -> Iterator[Callable[..., Rig]]:
    """Makes rigs, and takes them down with the block."""
    rigs: list[Rig] = []

    def build(**settings: object) -> Rig:
        rigs.append(Rig(home, state, **settings))
        return rigs[-1]

    try:
        yield build
    finally:
        for rig in rigs:
            rig.pool.detach()


def problem(end: Ended) -> tuple[str, str]:
    assert end.error is not None
    return end.error.code, end.error.message
