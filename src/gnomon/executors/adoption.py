"""Finding out what became of an attempt that somebody else began.

Looks at files and /proc; changes one thing: it may revoke.

no claim               revoke it: it has not begun and never will          (never began)
claim `revoked`        an earlier adopter did that                          (never began)
claim, shim alive      same boot, same pid namespace, its command line has our path, start time as in the handle;
                       whatever its command may have written to the exit file    (alive)
claim, exit            it ended while nobody watched                        (ended)
claim, other namespace exit file or lock on the log tell                    (elsewhere)
claim, neither         the shim was killed, or the machine restarted        (gone)
half a claim           the shim is at it, or died of it, or its command has spoilt it (unclear: ask again, `settle`)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from . import processes
from .attempt import Trace
from .files import Claim, read_claim, read_exit, revoke
from .processes import Process


class Fate(Enum):
    """What became of it; see the module's table."""

    NEVER_BEGAN = auto()
    ENDED = auto()
    ALIVE = auto()
    ELSEWHERE = auto()
    GONE = auto()
    REBOOTED = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """A fate, the claim it rests on, and the shim where it lives."""

    fate: Fate
    claim: Claim | None = None
    shim: Process | None = None


def look(base: str, trace: Trace, boot: str, namespace: str) -> Finding:
    """The fate of the attempt at `base`. Raises OSError if the directory can not be written."""
    claim = read_claim(base)
    if claim is None:
        return _unclaimed(base, trace, boot, namespace)
    if claim.revoked:
        return _revoked(base, trace, boot, claim)
    if claim.whole and claim.boot == boot and claim.namespace == namespace:
        start = trace.start if trace.pid == claim.pid else 0
        if _is_shim(base, Trace(claim.pid, start)) and (shim := processes.find(claim.pid)) is not None:
            return Finding(Fate.ALIVE, claim, shim)
    found = read_exit(base)
    if found is not None and (found.code is not None or found.bad_cwd):
        return Finding(Fate.ENDED, claim)
    if not claim.whole:
        return Finding(Fate.UNCLEAR, claim)
    if claim.boot != boot:
        return Finding(Fate.REBOOTED, claim)
    return Finding(Fate.ELSEWHERE if claim.namespace != namespace else Fate.GONE, claim)


def settle(base: str, finding: Finding) -> Finding:
    """What to believe of an unclear one after seconds, when no shim can be half way through its claim any more."""
    pid = finding.shim.pid if finding.shim is not None else processes.Snapshot().with_argument(base)
    shim = processes.find(pid) if pid is not None else None
    if shim is not None:
        return replace(finding, fate=Fate.ALIVE, shim=shim)
    return replace(finding, fate=Fate.NEVER_BEGAN if read_exit(base) is None else Fate.GONE)


def _unclaimed(base: str, trace: Trace, boot: str, namespace: str) -> Finding:
    """A handle proves that a shim was spawned: without a claim it is on its way, or its files were removed."""
    if trace.boot and trace.boot != boot:
        return Finding(Fate.REBOOTED)
    known = trace.pid > 0 and trace.namespace in ("", namespace)
    on_its_way = known and _is_shim(base, trace)
    if not revoke(base):
        if read_claim(base) is None:
            raise OSError(f"{base}.claim can not be read")
        return look(base, trace, boot, namespace)
    if known and not on_its_way:
        return Finding(Fate.GONE)
    return _revoked(base, trace, boot, read_claim(base))


def _revoked(base: str, trace: Trace, boot: str, claim: Claim | None) -> Finding:
    """A shim we know of may still be about to find out; one that lives on regardless runs without its files."""
    if trace.pid and trace.boot == boot and _is_shim(base, trace):
        return Finding(Fate.UNCLEAR, claim, processes.find(trace.pid))
    return Finding(Fate.NEVER_BEGAN, claim)


def _is_shim(base: str, trace: Trace) -> bool:
    """Our path in its command line; one that is just being executed has none yet, and is known by its start."""
    shim = processes.find(trace.pid)
    if shim is None or shim.state in "ZX" or trace.start not in (0, shim.start):
        return False
    return processes.has_argument(trace.pid, base) or (trace.start > 0 and processes.is_nameless(trace.pid))
