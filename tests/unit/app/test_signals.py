"""Signals: noted whatever the main thread does; the second one ends the process in time."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, threading
from gnomon.app import signals as module
from gnomon.app.signals import signals
import gnomon.app.signals
sys.modules["gnomon.app.signals"].INSISTENCE_S = 0.2
if "ignored" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
with signals() as asked:
    print("ready", flush=True)
    while not asked.wait(60):
        pass
    print("noted", flush=True)
    if "stuck" in sys.argv:
        import ctypes
        ctypes.CDLL(None).pause()
        while True:
            ctypes.CDLL(None).sleep(60)
print("over", flush=True)
"""


def program(*words: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_asks(number: signal.Signals) -> None:
    process = program()
    process.send_signal(number)
    assert process.communicate(timeout=60) == (b"noted\nover\n", None)
    assert process.returncode == 0


def test_the_second_ends_it_whatever_the_main_thread_does() -> None:
    process = program("stuck")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == b"noted\n"
    process.send_signal(signal.SIGHUP)  # of a terminal that goes away: no second one
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT


def test_what_is_ignored_stays_so() -> None:
    process = program("ignored")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
