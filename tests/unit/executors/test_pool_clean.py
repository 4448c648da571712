"""What one call does to its process the next does not find; what a module does while it is imported, it does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import AttemptSpec, Ended, Outcome
from gnomon.core.values import Json
from gnomon.executors.logs import Logs
from gnomon.executors.pool import PoolExecutor
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder

MESSY = """
import builtins, decimal, faulthandler, gc, locale, logging, os, resource, signal, socket, subprocess, sys, threading
import time, warnings

HELD = []

def zone(): os.environ["TZ"] = "Asia/Kathmandu"; time.tzset()
def zone_behind(): zone(); os.environ.pop("TZ")
def nice(): os.nice(3)
def soft_limit(): resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
def hard_limit(): resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
def processors(): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
def policy(): os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
def umask(): os.umask(0)
def directory(): os.chdir("/")
def sockets(): socket.setdefaulttimeout(0.001)
def collector(): gc.disable(); gc.set_threshold(1, 1, 1); gc.callbacks.append(print)
def filters(): warnings.simplefilter("error"); warnings.showwarning = None
def words(): locale.setlocale(locale.LC_ALL, "C")
def digits(): sys.set_int_max_str_digits(0); sys.setrecursionlimit(300); sys.setswitchinterval(1.0)
def tracing(): sys.setprofile(lambda *a: None); sys.settrace(lambda *a: None)
def paths(): sys.path.insert(0, "/nowhere"); sys.argv[:] = ["x"]; sys.meta_path.append(None); sys.path_hooks.clear()
def hooks(): sys.excepthook = sys.displayhook = sys.unraisablehook = sys.stdin = None
def handlers():
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGRTMIN): signal.signal(number, lambda *a: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); signal.setitimer(signal.ITIMER_PROF, 0.01)
def alarms(): faulthandler.dump_traceback_later(1.0, exit=True)
def logs(): logging.basicConfig(level=1, force=True); logging.disable(50); logging.root.addFilter(print)
def numbers(): decimal.getcontext().prec = 3
def built(): builtins._ = print; builtins.len = builtins.all = builtins.range = builtins.bool = None
def who(): os.setresuid(65534, 65534, 65534)

def look():
    return [time.tzname, time.timezone, os.environ.get("TZ"), os.nice(0), resource.getrlimit(resource.RLIMIT_NOFILE),
            resource.getrlimit(resource.RLIMIT_CORE), sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0),
            os.umask(0o22), os.getcwd(), socket.getdefaulttimeout(), gc.isenabled(), gc.get_threshold(),
            gc.callbacks == [],
            repr(warnings.filters), repr(warnings.showwarning)[:20], locale.setlocale(locale.LC_ALL),
            sys.get_int_max_str_digits(), sys.getrecursionlimit(), sys.getswitchinterval(), sys.getprofile() is None,
            sys.gettrace() is None, sys.path, sys.argv, len(sys.meta_path), len(sys.path_hooks), repr(sys.excepthook),
            sys.stdin is None, [repr(signal.getsignal(n))[:30] for n in sorted(signal.valid_signals())],
            sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), signal.getitimer(signal.ITIMER_PROF),
            [repr(h) for h in logging.root.handlers], logging.root.level, logging.root.manager.disable,
            len(logging.root.filters), decimal.getcontext().prec, hasattr(builtins, "_"), os.getresuid(),
            os.environ["GNOMON_RUN_ID"] != ""]

def pid(): return os.getpid()
def children():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try: fields = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()
        except OSError: continue
        if fields[1] == str(os.getpid()): found.append(fields[0])
    return found
def orphans(count):
    for _ in range(count): subprocess.run(["sh", "-c", "sleep 0.05 & exit 0"])
    HELD.append(subprocess.Popen(["sh", "-c", "exit 7"]))
    if os.fork() == 0: os._exit(0)
def until_all_are_dead():
    while set(children()) != {"Z"}: time.sleep(0.005)
def held(): return HELD[0].wait()
def lazily(name):
    module = __import__(name)
    return module.look()
"""
CONFIGURED = """
import os, socket, sys, time, warnings
os.environ["SETTINGS"] = "mine"
os.environ.pop("REMOVED", None)
os.environ["TZ"] = "Asia/Kathmandu"
time.tzset()
sys.path.append("/of/this/module")
socket.setdefaulttimeout(17)
warnings.filterwarnings("ignore", message="of this module")
def look():
    return [os.environ.get("SETTINGS"), os.environ.get("REMOVED"), time.tzname[0], "/of/this/module" in sys.path,
            socket.getdefaulttimeout(), any(f[1] and f[1].pattern == "of this module" for f in warnings.filters)]
def change():
    os.environ["SETTINGS"] = "changed"
    return os.environ["GNOMON_RUN_ID"]
"""
AS_IMPORTED: list[Json] = ["mine", None, "+0545", True, 17.0, True]

BREAKING = """
import json, os, posixpath, socket, sys, time

NAMES = "write getpid open close fstat access unlink lseek read rename dup2 waitid stat fsencode kill listdir".split()

class Trap:
    def __getattr__(self, name): raise SystemExit(9)

def refuse(*args): raise RuntimeError("refused")
def nothing(): pass
def system():
    for name in NAMES: setattr(os, name, None)
    posixpath.exists = None
def number(): os.getpid = lambda: 1
def raising(): os.fstat = os.lstat = refuse
def clocks(): time.time = time.monotonic = time.clock_gettime = lambda *args: "noon"
def streams(): sys.stdout = sys.stderr = Trap()
def texts(): json.loads = json.dumps = json.JSONEncoder = None
def sockets(): socket.socket = None
def modules(): sys.modules.clear()
def nothings(): sys.modules.update(dict.fromkeys(sys.modules))
def other_modules(): sys.modules = {}
def hooked(): sys.addaudithook(refuse)
def run_id(): return __import__("os").environ["GNOMON_RUN_ID"]
"""
BROKEN = [
    *("nothing", "system", "number", "raising", "clocks", "streams", "texts", "sockets", "modules", "nothings"),
    *("other_modules", "hooked"),
]
PATCHED = """
import os, socket, sys
os.getlogin = socket.create_connection = print
del sys.modules["posixpath"]
def look(): return [os.getpid(), os.getlogin is print, socket.create_connection is print, "posixpath" in sys.modules]
"""
MODULES = {"messy": MESSY, "configured": CONFIGURED, "bad": "1 / 0\n", "breaking": BREAKING, "patched": PATCHED}


class Rig:
    """A pool of one worker."""

    def __init__(self, root: Path) -> None:
        self.root, self.sink, self.count = root, Recorder(), 0
        for name, text in MODULES.items():
            (root / f"{name}.py").write_text(text)
        environment = {**os.environ, "REMOVED": "no", "PYTHONDONTWRITEBYTECODE": "1"}
        self.pool = PoolExecutor(
            root / "state", "node", clock=SystemClock(), size=1, path=(str(root),), environment=environment
        )
        self.pool.open(self.sink)

    def end(self, reference: str, *args: Json) -> Ended:
        self.count += 1
        run = f"r{self.count}"
        arguments: dict[str, Json] = {"callable": reference, "args": list(args)}
        environment = {"GNOMON_RUN_ID": run, "GNOMON_JOB_ID": "job"}
        self.pool.start([AttemptSpec(run, 1, 1, "job", "python", arguments, environment)])
        return self.sink.ended(run)

    def call(self, reference: str, *args: Json) -> Json:
        end = self.end(reference, *args)
        assert end.outcome is Outcome.SUCCEEDED, end.error
        return end.result


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.pool.detach()


KINDS = [
    *("zone", "zone_behind", "nice", "soft_limit", "hard_limit", "processors", "policy", "umask", "directory"),
    *("sockets", "collector", "filters", "words", "digits", "tracing", "paths", "hooks", "handlers", "logs", "numbers"),
    "built",
]


def test_the_next_call_finds_a_worker_as_it_was(rig: Rig) -> None:
    """All in one rig: a worker takes long to start. What can not be put back makes a new one."""
    before = rig.call("messy:look")
    assert isinstance(before, list)
    for kind in KINDS:
        assert rig.end(f"messy:{kind}").outcome is Outcome.SUCCEEDED, kind
        after = rig.call("messy:look")
        assert isinstance(after, list)
        assert [(kind, *pair) for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == []


def test_most_is_put_back_and_needs_no_new_worker(rig: Rig) -> None:
    first = rig.call("messy:pid")
    for kind in KINDS:
        if kind in {"nice", "hard_limit"}:  # only root may take these back
            continue
        rig.call(f"messy:{kind}")
        assert rig.call("messy:pid") == first, kind


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be another")
def test_who_has_become_another_does_no_more(rig: Rig) -> None:
    before = rig.call("messy:look")
    rig.call("messy:who")
    assert rig.call("messy:look") == before


@pytest.mark.parametrize("how", BROKEN)
def test_who_breaks_the_library_has_succeeded_all_the_same(rig: Rig, how: str) -> None:
    """What it did must not be done again, and the next call finds nothing of it."""
    before = rig.call("messy:pid")
    rig.call(f"breaking:{how}")
    assert (rig.call("messy:pid") == before) == (how in ("nothing", "streams"))
    assert rig.call("breaking:run_id") == f"r{rig.count}"


def test_what_a_module_does_to_the_library_while_it_is_imported_stays(rig: Rig) -> None:
    first = rig.call("patched:look")
    assert isinstance(first, list)
    assert first[1:] == [True, True, False]
    assert rig.call("patched:look") == first


def test_an_alarm_does_not_ring_in_the_next_call(rig: Rig) -> None:
    first = rig.call("messy:pid")
    rig.call("messy:alarms")
    rig.call("messy:orphans", 0)
    rig.call("messy:until_all_are_dead")
    assert rig.call("time:sleep", 1.2) is None
    assert rig.call("messy:pid") == first


@pytest.mark.parametrize("how", [("configured:look",), ("messy:lazily", "configured")])
def test_what_a_module_sets_while_it_is_imported_stays(rig: Rig, how: tuple[str, ...]) -> None:
    first = rig.call("messy:pid")
    assert rig.call(*how) == AS_IMPORTED
    assert rig.call("configured:change") == "r3"
    assert rig.call("configured:change") == "r4"
    assert rig.call("messy:sockets") is None
    assert rig.call(*how) == AS_IMPORTED
    assert rig.call("messy:pid") == first


def test_an_import_that_fails_shows_the_frames_of_its_author_only(rig: Rig) -> None:
    end = rig.end("messy:lazily", "bad")
    assert end.error is not None
    assert end.error.code == "ZeroDivisionError"
    log = Logs(rig.root / "state").read("r1", 1)[0].decode()
    assert [line.split('"')[1] for line in log.splitlines() if line.startswith("  File")] == [
        str(rig.root / "messy.py"),
        str(rig.root / "bad.py"),
    ]


def test_the_dead_are_waited_for(rig: Rig) -> None:
    """Orphans that the worker has adopted, and a child nobody waits for; not one whose handle somebody keeps."""
    first = rig.call("messy:pid")
    rig.call("messy:orphans", 3)
    rig.call("messy:until_all_are_dead")
    assert rig.call("messy:children") == ["Z"]
    assert rig.call("messy:held") == 7
    assert rig.call("messy:children") == []
    assert rig.call("messy:pid") == first
