"""One worker process, seen from its scheduler, and one attempt on its way through the pool."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gnomon.core.attempts import AttemptSpec
from gnomon.executors import processes
from gnomon.executors.attempt import Key
from gnomon.executors.capping import CappedLog
from gnomon.executors.files import Intent
from gnomon.system.plainfiles import open_plain, read_plain

from .wire import PACKET_LIMIT, Over, opened, packet

_RECEIVE = 1 << 18

# The rooms' `__init__` import what only a scheduler needs (0.1 s and more): the worker gets empty stand-ins for them
# while it starts. Afterwards they are gone, and a callable that imports gnomon gets the real one. The working directory
# is not on its path (-P): a file `queue.py` there would be taken for the library's.
_START = """\
import sys, types
for name in ("gnomon", "gnomon.system", "gnomon.executors", "gnomon.executors.pool", "gnomon.executors.shared"):
    room = sys.modules[name] = types.ModuleType(name)
    room.__path__ = [sys.argv[1] + "/" + name.replace(".", "/")]
main = __import__(sys.argv[2], fromlist=["main"]).main
for name in [name for name in sys.modules if name.partition(".")[0] == "gnomon"]:
    del sys.modules[name]
del sys.argv[1:3]
main()
"""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What can be set.

    Attributes:
        size: most workers at once, which is the most callables at once.
        depth: most attempts handed to a worker beyond the one it works on; 0: none.
        max_calls: calls after which a worker is replaced; 0: never.
        max_growth: bytes its memory may grow before it is replaced.
        memory_limit: bytes of address space (RLIMIT_AS) of each worker; None: no limit.
        idle_s: seconds without work after which a worker goes.
        python: the interpreter.
        path: directories in front of `sys.path`, for tasks that do not name their own.
        packages: the same for gnomon's own callables, which perform task types: where packages are, and nothing that
            happens to lie in the working directory.
    """

    size: int = 10
    depth: int = 16
    max_calls: int = 100_000
    max_growth: int = 256 * 1024 * 1024
    memory_limit: int | None = None
    idle_s: float = 300.0
    python: str = sys.executable
    path: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Errand:
    """One attempt in the pool.

    Attributes:
        base: path of its files without suffix.
        body: the packet for a worker; None for an adopted one.
        order: its place in the line; `tries`: workers that died before they began it.
        began: seconds since 1970 of its start, 0.0 before; `deadline`: monotonic instant of its timeout.
        stop_wanted: it is to be cancelled as soon as that is possible.
        over: its `X` record once there is one; `log`: set when its output is being looked after.
    """

    spec: AttemptSpec
    base: str
    body: bytes | None = None
    path: tuple[str, ...] = ()
    order: int = 0
    tries: int = 0
    began: float = 0.0
    deadline: float | None = None
    intent: Intent | None = None
    stop_wanted: bool = False
    over: Over | None = None
    log: CappedLog | None = None

    @property
    def key(self) -> Key:
        """Run id and number."""
        return self.spec.run_id, self.spec.number


_OURS: weakref.WeakSet[Worker]


class Worker:
    """A process that calls callables, its socket, and what it was given.

    Attributes:
        ahead: given to it, not known to have begun, in order.
        ready: it has been heard of. `retired`: it gets no more.
        chased: what is being stopped in it. `killed`: for what it was killed.
        current: what it works on.
        since: monotonic instant at which it was last known to turn to something; `pace`: seconds a call takes of late.
        unacknowledged: ends it told that are not durable yet, with their number.
    """

    program = "gnomon.executors.pool.child"

    def __init__(self, prefix: str, settings: PoolSettings, path: tuple[str, ...], environment: Mapping[str, str]):
        self.prefix, self.path = prefix, path
        self.ahead: dict[Key, Errand] = {}
        self.current: Errand | None = None
        self.since = self.pace = 0.0
        self.ready = self.retired = self.dead = False
        self.chased: Errand | None = None
        self.killed: Errand | None = None
        self.survivors = ""
        self.ends = 0
        self.unacknowledged: dict[Key, int] = {}
        self.socket, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        try:
            self.process = self._spawn(settings, environment)
        except BaseException:
            self.close()
            raise
        self.pid = self.process.pid
        found = processes.find(self.pid)
        self.start = found.start if found is not None else 0
        self.pidfd = os.pidfd_open(self.pid)
        _OURS.add(self)

    def _spawn(self, settings: PoolSettings, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        options = {"fd": self.theirs.fileno(), "prefix": self.prefix} | asdict(settings) | {"path": list(self.path)}
        source = str(Path(__file__).resolve().parents[3])
        argv = [settings.python, "-P", "-c", _START, source, self.program, json.dumps(options)]
        out = open_plain(self.prefix + ".out.0", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                pass_fds=(self.theirs.fileno(),),
                start_new_session=True,
            )
        finally:
            os.close(out)

    # ---- packets --------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do and may be given something."""
        return self.current is None and not self.ahead and self.open

    @property
    def busy(self) -> bool:
        """Whether anything of it is to be waited for."""
        return self.current is not None or bool(self.ahead)

    @property
    def open(self) -> bool:
        """Whether it takes more."""
        return not (self.retired or self.dead)

    def give(self, errand: Errand) -> bool:
        """Hand an attempt over. False: not now."""
        try:
            self.socket.send(packet(self.acknowledged, *errand.key, self._enclosed(errand)))
        except OSError:
            return False
        self.ahead[errand.key] = errand
        return True

    @property
    def acknowledged(self) -> int:
        """How many of its ends, from the first on, are durable."""
        return next(iter(self.unacknowledged.values())) - 1 if self.unacknowledged else self.ends

    def _enclosed(self, errand: Errand) -> bytes:
        """The order, or where it lies. Raises OSError when it can not be put there."""
        assert errand.body is not None
        if len(errand.body) <= PACKET_LIMIT:
            return errand.body
        path = errand.base + ".args"
        fd = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with open(fd, "wb") as file:
            file.write(errand.body)
        return b"@" + os.fsencode(path)

    def take_back(self) -> list[Errand]:
        """What it was given and has not taken. A packet has one receiver: what we get here, it never will.

        It may take any of them meanwhile, so only what is in a packet says which one we have got; what it has taken
        stays in `ahead` until its journal tells of it.
        """
        back = []
        with contextlib.suppress(OSError):
            while data := self.theirs.recv(_RECEIVE, socket.MSG_DONTWAIT):
                _, run, number, _ = opened(data)
                back.append(self.ahead.pop((run, number)))
        return back

    def receive(self) -> Iterable[bytes]:
        """The packets that have come."""
        while True:
            try:
                packet = self.socket.recv(_RECEIVE)
            except OSError:
                return
            if not packet:
                return
            yield packet

    # ---- life -----------------------------------------------------------------------------------

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal. It is not waited for yet, so its pid is its own."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, number)

    def state(self) -> str:
        """Its state as in proc_pid_stat(5); "X" when it is gone."""
        found = processes.find(self.pid)
        return found.state if found is not None else "X"

    def retire(self) -> None:
        """No more for it: it ends what it works on and goes. What it has not begun must have been taken back."""
        self.retired = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reap(self) -> int | None:
        """Its exit code once it is gone; negative for a signal."""
        return self.process.poll()

    def last_words(self) -> str:
        """Why it could not even start, as far as it has said."""
        try:
            said = read_plain(self.prefix + ".out.0", 4000).decode("utf-8", "replace").strip()
        except OSError:
            said = ""
        code = self.reap()
        return f"worker processes end before they begin anything (exit {code}): {said or 'without a word'}"

    def close(self) -> None:
        """Free the descriptors: it notices, ends what it works on and goes. Idempotent."""
        self.socket.close()
        self.theirs.close()
        pidfd, self.pidfd = getattr(self, "pidfd", -1), -1
        if pidfd >= 0:
            os.close(pidfd)


_OURS = weakref.WeakSet()


def _close_in_child() -> None:
    """A forked copy of the application must not keep the sockets open: workers would never see us go."""
    for worker in list(_OURS):
        worker.close()


os.register_at_fork(after_in_child=_close_in_child)
