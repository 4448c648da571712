"""Locks that live and die with an open file. They belong to `system`, but the store is what they are for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gnomon.system.filelock import FileLock, HeldLock, LockTimeoutError, is_held, noted, told

HOLD = """
import sys
from gnomon.system.filelock import FileLock, HeldLock
kind, path = sys.argv[1:]
lock = HeldLock(path) if kind == "held" else FileLock(path)
if kind == "file":
    lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def holder(kind: str, path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    mine, process = FileLock(path, timeout_s=0.0), holder("file", path)
    with pytest.raises(LockTimeoutError):
        mine.acquire()
    end(process)
    with mine.hold():
        pass
    mine.close()
    mine.close()


def test_who_gave_up_stands_in_nobodys_way(tmp_path: Path) -> None:
    first, second, third = (FileLock(tmp_path / "x", timeout_s=0.0) for _ in range(3))
    first.acquire()
    with pytest.raises(LockTimeoutError):
        second.acquire()
    first.release()
    with third.hold():
        pass
    for lock in (first, second, third):
        lock.close()


def test_threads_exclude_each_other_and_nobody_starves(tmp_path: Path) -> None:
    """A thread that comes back at once lets one that waits go first: at most a few turns between two of anyone's."""
    turns: list[int] = []
    inside = threading.Lock()
    begin = threading.Barrier(2)

    def work(number: int) -> None:
        lock = FileLock(tmp_path / "x")
        begin.wait(30)
        for _ in range(150):
            with lock.hold():
                assert inside.acquire(blocking=False)
                turns.append(number)
                inside.release()
                os.stat(tmp_path)
        lock.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(turns) == [0] * 150 + [1] * 150


def test_held_while_the_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "node"
    assert not is_held(path)
    process = holder("held", path)
    assert is_held(path)
    assert is_held(path)
    with pytest.raises(LockTimeoutError):
        HeldLock(path)
    end(process)
    assert path.exists()
    assert not is_held(path)
    mine = HeldLock(path)
    assert is_held(path)
    mine.release()
    mine.release()
    assert not path.exists()


def test_a_stopped_process_still_holds(tmp_path: Path) -> None:
    process = holder("held", tmp_path / "node")
    os.kill(process.pid, signal.SIGSTOP)
    assert is_held(tmp_path / "node")
    end(process)


def test_asking_and_closing_does_not_drop_it(tmp_path: Path) -> None:
    lock = HeldLock(tmp_path / "node")
    with open(tmp_path / "node") as file:
        file.read()
    assert is_held(tmp_path / "node")
    lock.release()


def test_a_forked_child_does_not_keep_it_alive(tmp_path: Path) -> None:
    """multiprocessing forks: the child has the same open file, and must not pass for its dead parent."""
    script = """
import os, sys, warnings
from gnomon.system.filelock import HeldLock
lock = HeldLock(sys.argv[1])
warnings.simplefilter("ignore")
if os.fork() == 0:
    print("child", flush=True)
    sys.stdin.read()
    os._exit(0)
os._exit(0)
"""
    path = tmp_path / "node"
    process = subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "child\n"
    assert process.wait(30) == 0
    assert not is_held(path)
    process.communicate("")


def test_lock_files_are_private(tmp_path: Path) -> None:
    lock, held = FileLock(tmp_path / "x"), HeldLock(tmp_path / "node")
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}
    lock.close()
    held.release()


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none" / "node")
    with pytest.raises(OSError, match="none"):
        HeldLock(tmp_path / "none" / "node")


def test_what_a_held_lock_says_stays_when_somebody_has_emptied_its_directory(tmp_path: Path) -> None:
    lock = HeldLock(tmp_path / "n.lock", "1:2")
    (tmp_path / "n.lock").unlink()
    lock.tell(b"well")
    assert (told(lock.path), noted(lock.path), is_held(lock.path)) == (b"well", "1:2", True)
    lock.release()


def test_where_all_was_moved_away_nothing_is_made(tmp_path: Path) -> None:
    """Whoever brings a directory back must find its place free."""
    home, away = tmp_path / "home", tmp_path / "away"
    nodes = home / "gnomon.db.d" / "nodes"
    nodes.mkdir(parents=True)
    lock = HeldLock(nodes / "n.lock", "1:2")
    home.rename(away)
    lock.tell(b"well")
    assert not home.exists()
    assert told(away / "gnomon.db.d" / "nodes" / "n.lock").startswith(b"well")
    away.rename(home)
    lock.tell(b"well again")
    assert is_held(nodes / "n.lock")
    (nodes / "n.lock").unlink()
    nodes.rmdir()
    nodes.parent.rmdir()
    lock.tell(b"well")
    assert is_held(nodes / "n.lock"), "but what is missing in its place is made anew"
    lock.release()
