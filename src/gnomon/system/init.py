"""Being the first process of a container: who is that gets every orphan, and must see to their end.

The kernel gives process 1 the processes whose parents are gone, keeps them as zombies until it asks for them, and lets
no signal through that it does not handle. A scheduler cannot simply ask for every child that ends: the exit codes of
its commands belong to those who started them. So process 1 only does this, and the scheduler is its child.
"""

from __future__ import annotations

import os
import signal

_FORWARDED = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH}
)


def stand_aside(*, needed: bool | None = None) -> int | None:
    """Go on in a child, if this is the first process; call it before there are threads, locks and open databases.

    Args:
        needed: default: whether this is process 1.

    Returns:
        None: this is the process that does the work. A number: the work is over; exit with it.
    """
    if not (os.getpid() == 1 if needed is None else needed):
        return None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *_FORWARDED})
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # Ctrl-C of a terminal comes to process 1 alone, and from there: once
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    return _attend(child)


def _attend(child: int) -> int:
    """Bury what ends, pass signals on, until `child` has ended; its exit code, or 128 and the signal that ended it."""
    while True:
        status = _reap(child)
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        number = signal.sigwait({signal.SIGCHLD, *_FORWARDED})
        if number != signal.SIGCHLD:
            os.kill(child, number)


def _reap(child: int) -> int | None:
    """Take leave of everybody who has ended; the status of `child` if it was among them."""
    ended: int | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid == child:
            ended = status
