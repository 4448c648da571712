"""Stopping whole trees: TERM to everyone, a grace, then freeze and KILL until nothing is left.

Freezing first (STOP) keeps a tree from growing while it is being killed. The shim is spared: it is the
witness that writes the exit down. All trees in work share one look at /proc per round.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gnomon.core.ports import Clock

from .loop import Loop, Timer
from .processes import Process, Snapshot, Target, find

_ROUND_S = 0.005  # between rounds of killing
_LOG = logging.getLogger(__name__)
_GLANCE_S = 0.1  # between looks for stragglers during the grace
_WITNESS_S = 2.0  # for the shim to write the exit down once it is alone
_STUBBORN_S = 5.0  # after that, what we have no right to signal is left, and named


@dataclass(slots=True, eq=False)
class Tree:
    """One tree that is being stopped. `done` is called once, in the loop, when nothing of it is alive.

    Attributes:
        target: gives who belongs to it, asked anew every round.
        kill_at: monotonic instant at which the grace is over.
        witness_gone: set when the shim has ended.
    """

    target: Callable[[], Target]
    kill_at: float
    done: Callable[[str], None]
    witness_gone: Callable[[], bool]
    warned: bool = False
    frozen: set[tuple[int, int]] = field(default_factory=set)
    forbidden: dict[int, Process] = field(default_factory=dict)
    alone_since: float | None = None
    next_at: float = 0.0


class Killer:
    """All trees in work, in the loop's thread."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        self._loop, self._clock = loop, clock
        self._trees: list[Tree] = []
        self._timer: Timer | None = None
        self._cost_s = 0.0

    def add(self, tree: Tree) -> None:
        """Stop this tree."""
        self._trees.append(tree)
        self.hurry(tree)

    def hurry(self, tree: Tree) -> None:
        """Something happened to it: look now."""
        tree.next_at = self._clock.monotonic()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._trees:
            wait_s = min(tree.next_at for tree in self._trees) - self._clock.monotonic()
            self._timer = self._loop.after(max(wait_s, 4 * self._cost_s, 0.0), self._round)

    def _round(self) -> None:
        began = self._clock.monotonic()
        due = [tree for tree in self._trees if tree.next_at <= began + _ROUND_S]
        for tree in due:  # should this round fail, there is another
            tree.next_at = began + _GLANCE_S
        self._timer = self._loop.after(_GLANCE_S, self._round)
        snapshot = Snapshot() if due else None
        finished = []
        for tree in due:
            assert snapshot is not None
            try:
                step_s = self._step(tree, snapshot.members(tree.target()))
            except Exception:  # its processes cannot be looked at now; those of others can
                _LOG.exception("stopping the processes of an attempt failed, trying again")
                continue
            if step_s is None:
                finished.append(tree)
            else:
                tree.next_at = self._clock.monotonic() + step_s
        self._trees = [tree for tree in self._trees if tree not in finished]
        self._cost_s = min(0.25, self._clock.monotonic() - began)
        for tree in finished:
            tree.done(_left(tree.forbidden.values()))
        self._arm()

    def _step(self, tree: Tree, members: Sequence[Process]) -> float | None:
        """One round for one tree: seconds until the next, or None when it is over."""
        now = self._clock.monotonic()
        gone = tree.witness_gone()
        if not tree.warned:
            tree.warned = True
            if now < tree.kill_at:
                _signal_all(members, tree, signal.SIGTERM)
                _signal_all(members, tree, signal.SIGCONT)  # a stopped process would not see TERM
                return min(_GLANCE_S, tree.kill_at - now) if members or not gone else None
        if not members:
            return None if gone else self._await_witness(tree, now)
        tree.alone_since = None
        if now < tree.kill_at:
            return min(_GLANCE_S, tree.kill_at - now)
        if now > tree.kill_at + _STUBBORN_S and all(member.pid in tree.forbidden for member in members):
            return None if gone else self._await_witness(tree, now)
        seen = {(member.pid, member.start) for member in members}
        fresh = [member for member in members if (member.pid, member.start) not in tree.frozen]
        if fresh:
            _signal_all(fresh, tree, signal.SIGSTOP)
        else:
            _signal_all(members, tree, signal.SIGKILL)
        tree.frozen = seen
        return _ROUND_S

    def _await_witness(self, tree: Tree, now: float) -> float:
        """Only the shim is left: it is writing the exit down, unless somebody stopped it."""
        if tree.alone_since is None:
            tree.alone_since = now
        elif now - tree.alone_since > _WITNESS_S:
            target = tree.target()
            shim = find(target.leader)
            if shim is not None and shim.start == target.since:
                _signal_all([shim], tree, signal.SIGCONT)
                if now - tree.alone_since > 2 * _WITNESS_S:
                    _signal_all([shim], tree, signal.SIGKILL)
        return 0.02


def _signal_all(members: Sequence[Process], tree: Tree, number: signal.Signals) -> None:
    for member in members:
        try:
            _signal(member, number)
        except PermissionError:
            tree.forbidden[member.pid] = member
        except OSError:
            continue


def _signal(member: Process, number: signal.Signals) -> None:
    """Through a pidfd: the pid may have a new owner since we looked."""
    try:
        fd = os.pidfd_open(member.pid)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE) and _same(member):
            os.kill(member.pid, number)
        return
    try:
        if _same(member):
            signal.pidfd_send_signal(fd, number)
    finally:
        os.close(fd)


def _same(member: Process) -> bool:
    now = find(member.pid)
    return now is not None and now.start == member.start


def _left(processes: Iterable[Process]) -> str:
    pids = [str(process.pid) for process in processes if _same(process)]
    return f"not allowed to stop process {', '.join(pids)}" if pids else ""
