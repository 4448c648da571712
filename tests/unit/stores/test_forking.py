"""A process that forks while its other threads are busy in the database: neither it nor the child is hurt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORKS = 40

PROGRAM = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from gnomon.core.errors import Unavailable
from gnomon.stores import open_store
from gnomon.system.clock import SystemClock

where, forks = sys.argv[1], int(sys.argv[2])
store, over, failed = open_store(where, SystemClock()), threading.Event(), []
count = {"writes": 0, "reads": 0, "looks": 0}

def busy(name, work):
    try:
        while not over.is_set():
            work()
            count[name] += 1
    except BaseException as error:
        failed.append(error)

def put(name):
    return lambda t: t.put_setting(name, str(os.getpid()))

works = {
    "writes": lambda: store.write(put("parent")),
    "reads": lambda: store.read(lambda r: r.setting("parent")),
    "looks": store.data_version,
}
threads = [threading.Thread(target=busy, args=item, daemon=True) for item in works.items()]
for thread in threads:
    thread.start()
for _ in range(forks):
    pid = os.fork()
    if pid == 0:
        try:
            store.read(lambda r: None)
        except Unavailable:
            own = open_store(where, SystemClock())
            own.write(put("child"))
            os._exit(0 if own.read(lambda r: r.setting("child")) == str(os.getpid()) else 3)
        os._exit(4)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, code
    if where != ":memory:":
        assert store.read(lambda r: r.setting("child")) == str(pid)
before = dict(count)
while not failed and any(count[name] == before[name] for name in count):
    threading.Event().wait(0.01)
over.set()
for thread in threads:
    thread.join(10)
assert not failed, failed
store.close()
print("fine", count)
"""


@pytest.mark.parametrize("where", [":memory:", "jobs.db"])
def test_forking_in_the_middle_of_it(tmp_path: Path, where: str) -> None:
    command = [sys.executable, "-c", PROGRAM, where, str(FORKS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fine")
