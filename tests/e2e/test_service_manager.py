"""`gnomon serve` as a service manager sees it: readiness, signs of life, and being the first process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.app.pulse import Pulse
from gnomon.system.notify import Notifier
from tests.support.service import Site, site, until

WATCHDOG_S = 1.2


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as one:
        yield one


class Manager:
    """The listening end of sd_notify(3)."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.heard: list[str] = []

    def next(self, within_s: float = 20.0) -> str | None:
        """The next datagram; None: silence for so long."""
        self.socket.settimeout(within_s)
        try:
            self.heard.append(self.socket.recv(4096).decode())
        except TimeoutError:
            return None
        return self.heard[-1]

    def silence(self) -> bool:
        """What was sent is heard, and then there is nothing for a whole watchdog interval."""
        with contextlib.suppress(BlockingIOError):
            while self.next(0.0):
                pass
        return self.next(WATCHDOG_S) is None


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(str(tmp_path / "notify"))
    yield one
    one.socket.close()


def serve(place: Site, *options: str, prefix: tuple[str, ...] = (), **more: str) -> subprocess.Popen[bytes]:
    """`Site.serve` with another environment and perhaps below another program."""
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "gnomon", "serve", *options],
            cwd=place.root,
            env=place.environment() | more,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    place.alive.append(process)
    return process


@pytest.mark.slow
def test_ready_then_signs_of_life_while_the_loop_turns_then_stopping(place: Site, manager: Manager) -> None:
    place.write(
        "env.yaml",
        "job_id: env\nschedule: '@startup'\ntask: {type: command, command: 'env | grep -c -e NOTIFY_ -e WATCHDOG_'}\n",
    )
    place.write("tick.yaml", "job_id: tick\nschedule: every 1s\ntask: {type: command, command: 'true'}\n")
    address = str(place.root / "notify")
    process = serve(place, NOTIFY_SOCKET=address, WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)))
    ready = manager.next() or ""
    assert ready.splitlines()[0] == "READY=1"
    (node,) = place.rows("select node_id, lease_until from nodes")
    assert node["node_id"] in ready
    assert place.rows("select node_id from leader")[0]["node_id"] == node["node_id"]
    assert [manager.next(), manager.next(), manager.next()] == ["WATCHDOG=1"] * 3

    with (place.root / "gnomon.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # no step can commit: the loop stands still
        until(manager.silence, "no sign of life without a turning loop")
        assert process.poll() is None
    assert manager.next() == "WATCHDOG=1"

    until(lambda: place.states().get("failed"), "a command does not inherit the socket: grep counts 0")
    process.send_signal(signal.SIGTERM)
    until(lambda: (manager.next() or "").startswith("STOPPING=1\n"), "it says that it stops")
    assert place.kill(process, signal.SIGCONT) == 0


def test_a_watchdog_meant_for_another_process_is_none_of_ours() -> None:
    said = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7", "HOME": "/"}
    assert Notifier.taken_from(dict(said), 8) == Notifier("/run/x", None)
    assert Notifier.taken_from(said, 7) == Notifier("/run/x", 3.0)
    assert said == {"HOME": "/"}


@pytest.mark.parametrize("address", ["relative", "", "@", "vsock:2:1"])
def test_addresses_that_are_no_local_socket_are_ignored(address: str) -> None:
    notifier = Notifier.taken_from({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"}, 1)
    assert notifier == Notifier()
    notifier.ready("…")


def test_abstract_sockets_and_managers_that_are_gone(tmp_path: Path) -> None:
    name = f"gnomon-test-{os.getpid()}"
    listening = Manager("\0" + name)
    Notifier("@" + name).ready("two\nlines")
    assert listening.next() == "READY=1\nSTATUS=two lines"
    listening.socket.close()
    Notifier("@" + name).alive()
    Notifier(str(tmp_path / "nobody")).alive()


class Standing:
    """A loop as `Pulse` sees it, and a clock."""

    def __init__(self) -> None:
        self.steps, self.quiet, self.now = 0, None, 100.0  # type: int, float | None, float

    def quiet_s(self) -> float | None:
        return self.quiet

    def monotonic(self) -> float:
        return self.now


def test_a_loop_that_turns_but_never_got_a_step_done_is_not_ready(tmp_path: Path) -> None:
    manager, loop = Manager(str(tmp_path / "n")), Standing()
    pulse = Pulse(Notifier(str(tmp_path / "n"), 8.0), loop, loop, "node n")  # type: ignore[arg-type]
    pulse.beat()
    loop.quiet = 0.0
    pulse.beat()
    assert manager.next(0.05) is None
    loop.steps = 1
    pulse.beat()
    pulse.beat()
    assert [manager.next(0.05) for _ in range(3)] == ["READY=1\nSTATUS=node n", "WATCHDOG=1", None]
    loop.now += 2.0
    loop.quiet = 3.9
    pulse.beat()
    loop.now += 2.0
    loop.quiet = 4.0
    pulse.beat()
    assert [manager.next(0.05) for _ in range(2)] == ["WATCHDOG=1", None]
    manager.socket.close()


def children(pid: int) -> dict[int, str]:
    """Children of a process → their state (Z: a zombie)."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
                if int(parent) == pid:
                    found[int(entry)] = state
    return found


def only_child(pid: int) -> int:
    """Waits for it."""
    return next(iter(until(lambda: children(pid), f"a child of {pid}")))


NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def may_unshare() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not may_unshare(), reason="no process namespaces for this user: needs root")
def test_as_process_1_the_scheduler_buries_orphans_passes_signals_on_and_ends_with_the_code(place: Site) -> None:
    place.write(
        "orphan.yaml",
        "job_id: orphan\nschedule: '@startup'\ntask: {type: command, command: '(sleep 1; exit 3) & exit 0'}\n",
    )
    outer = serve(place, prefix=NAMESPACE)
    first = only_child(outer.pid)
    scheduler = only_child(first)
    orphans = until(lambda: children(first).keys() - {scheduler}, "process 1 gets the orphan")
    until(lambda: not children(first).keys() & orphans, "it is buried, not kept as a zombie")
    assert list(children(first)) == [scheduler]
    assert place.states() == {"succeeded": 1}
    os.kill(first, signal.SIGTERM)
    assert outer.wait(20) == 0
    assert "stopped" in place.log.read_text()
    place.alive.remove(outer)

    outer = serve(place, prefix=NAMESPACE)
    first = only_child(outer.pid)
    os.kill(only_child(first), signal.SIGKILL)
    assert outer.wait(20) == 137
    place.alive.remove(outer)


@pytest.mark.slow
@pytest.mark.skipif(not may_unshare(), reason="no process namespaces for this user: needs root")
def test_what_runs_ends_with_a_container_and_the_next_one_knows_it_at_once(place: Site) -> None:
    """Two process namespaces one after the other, as a container that is restarted."""
    place.write(
        "long.yaml", f"job_id: long\ntask: {{type: command, command: 'echo x >> {place.ledger}; sleep 1000'}}\n"
    )
    for number in (1, 2):
        outer = serve(place, prefix=NAMESPACE)
        if number == 1:
            until(lambda: place.rows("select 1 from jobs"), "the job")
            place.cli("run", "long", "--no-wait")
        until(lambda n=number: len(place.ledger_lines()) == n, "it runs, again")
        os.kill(only_child(outer.pid), signal.SIGKILL)
        assert outer.wait(20) != 0
        place.alive.remove(outer)
    first, second = place.rows("select outcome from attempts order by number")
    assert (first["outcome"], second["outcome"]) == ("lost", None)


PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: gets orphans as process 1 does
from gnomon.system.init import stand_aside
over = stand_aside(needed=True)
if over is not None:
    sys.exit(over)
signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(5)
    os._exit(4)
os.wait()
print("ready", os.getpgrp() == os.getpid(), flush=True)
while True:
    signal.pause()
"""


def test_standing_aside_leaves_the_codes_of_others_alone_and_gives_its_own() -> None:
    """Of two generations below the child it waits for one itself; the other comes to the one that stands aside."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready True\n"
        child = until(lambda: len(children(process.pid)) == 1 and only_child(process.pid), "no zombies")
        assert children(child) == {}
        process.send_signal(signal.SIGUSR1)
        assert process.wait(20) == 7


def test_elsewhere_nobody_stands_aside() -> None:
    from gnomon.system.init import stand_aside

    before = os.getpid()
    assert stand_aside() is None
    assert os.getpid() == before
