"""One attempt in the hands of the supervisor, and where it can be found by a successor."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core.attempts import AttemptSpec, Handle
from gnomon.core.values import Json

from . import processes
from .capping import CappedLog
from .files import Intent
from .killing import Tree
from .loop import Timer
from .processes import Mark, Target

Key = tuple[str, int]


@dataclass(slots=True, eq=False)
class Attempt:
    """A claimed attempt that has not ended.

    Attributes:
        base: path of its files without suffix.
        pid, start, pidfd: its shim; pid 0 when unknown; pidfd -1 when it is watched by looking at its files.
        own: we spawned the shim (and may have been too late to claim).
        reaped: it has been waited for, so its pid may name another process.
        began: monotonic instant of its start; may lie before our own.
        measured: `began` is known.
        elsewhere: it runs in another pid namespace: its files can be seen, its processes can not.
        gone: the shim has ended.
        wait_code: exit status of the shim once waited for, negative for a signal.
    """

    spec: AttemptSpec
    base: str
    log: CappedLog
    mark: Mark
    pid: int
    start: int
    pidfd: int
    own: bool
    began: float
    elsewhere: bool = False
    gone: bool = False
    reaped: bool = False
    measured: bool = True
    wait_code: int | None = None
    deadline: Timer | None = None
    glance: Timer | None = None
    tree: Tree | None = None
    intent: Intent | None = None

    @property
    def key(self) -> Key:
        """Run id and number."""
        return self.spec.run_id, self.spec.number

    def target(self) -> Target:
        """Which processes are its own. A shim that is ours keeps its pid until we wait for it."""
        named = not self.gone or (self.own and not self.reaped)
        return Target(self.pid, self.start, self.mark, session_is_ours=named and self.pid > 0)


def log_limit(spec: AttemptSpec) -> int:
    """Bytes of output kept: the task's own wish, else the job's."""
    own = spec.arguments.get("log_limit")
    return own if isinstance(own, int) and own > 0 else max(1, spec.log_limit)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a stored handle says about the shim; all empty if there is no handle."""

    pid: int = 0
    start: int = 0
    boot: str = ""
    namespace: str = ""


def handle_of(worker: str, pid: int, start: int, boot: str, namespace: str, base: str) -> Handle:
    """The handle that `Started` carries."""
    process: dict[str, Json] = {"pid": pid, "start": start, "boot": boot, "namespace": namespace, "path": base}
    return Handle(worker, process)


def trace_of(handle: Handle | None) -> Trace:
    """Read a handle back; what is missing or of a wrong type is left empty."""
    if handle is None:
        return Trace()
    pid, start = handle.process.get("pid"), handle.process.get("start")
    return Trace(
        pid if isinstance(pid, int) else 0,
        start if isinstance(start, int) else 0,
        str(handle.process.get("boot") or ""),
        str(handle.process.get("namespace") or ""),
    )


def elapsed_since(start: int) -> float:
    """Seconds since a process began, suspend included."""
    return max(0.0, processes.boot_seconds() - start / processes.TICKS)
