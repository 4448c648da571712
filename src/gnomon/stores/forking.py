"""SQLite over a fork: no connection may be open in the process while it forks.

SQLite notes in the memory of the process which locks it holds on a file, and a child inherits the notes without the
locks: it would wait for ever for a transaction that its parent was in, or believe itself safe when it is not
(https://www.sqlite.org/howtocorrupt.html, section 2.6). So every store closes its connections before the fork; the
parent's are opened again at next use, the child opens the file anew.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Protocol


class Forkable(Protocol):
    """What has connections open."""

    def before_fork(self) -> None:
        """Wait for what is under way, close every connection, let nobody open one."""

    def after_fork(self) -> None:
        """In the parent: go on."""

    def forked(self) -> None:
        """In the child: of no use here any more. Other threads' locks may be held for ever: take none."""


_STORES: weakref.WeakSet[Forkable] = weakref.WeakSet()
_FORKING = threading.RLock()
_held: list[Forkable] = []


def watch(store: Forkable) -> None:
    """Ask it to step aside at every fork."""
    _STORES.add(store)


def stores() -> list[Forkable]:
    """All that are watched."""
    return list(_STORES)


@contextlib.contextmanager
def no_fork() -> Iterator[None]:
    """For the body, which opens connections of its own."""
    with _FORKING:
        yield


def _before() -> None:
    _FORKING.acquire()
    for store in stores():
        store.before_fork()
        _held.append(store)


def _after_in_parent() -> None:
    while _held:
        _held.pop().after_fork()
    _FORKING.release()


def _after_in_child() -> None:
    while _held:
        _held.pop().forked()
    _FORKING.release()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
