"""Processes that calls have left: our children, and orphans of theirs (we are their subreaper). Runs in a worker."""

from __future__ import annotations

import contextlib
import gc
import os
import sys


def reap() -> bool:
    """Whether any live on. The dead are waited for, but not those for which somebody here still holds the handle."""
    if not _dead():
        return _any()
    known = _known()
    for pid in _children():
        if pid not in known:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
    return _any()


def _any() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except OSError:
        return True
    return True


def _dead() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except OSError:
        return False


def _children() -> list[int]:
    """All our children (proc_pid_stat(5))."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{int(name)}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


def _known() -> set[int]:
    """Whom objects in this process wait for themselves: they want to know how it ended."""
    found: set[int] = set()
    subprocess, multiprocessing = sys.modules.get("subprocess"), sys.modules.get("multiprocessing.process")
    if subprocess is not None:
        left = {id(one) for one in subprocess._active or ()}
        classes = [subprocess.Popen, *subprocess.Popen.__subclasses__()]
        for one in gc.get_referrers(*classes):
            if isinstance(one, subprocess.Popen) and id(one) not in left:
                found.add(one.pid)
    if multiprocessing is not None:
        found |= {child.pid for child in multiprocessing._children}
    return found
