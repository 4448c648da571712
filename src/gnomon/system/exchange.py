"""Two names of a file system, exchanged in one step (renameat2(2))."""

from __future__ import annotations

import ctypes
import os

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Let each name have what the other had, at once; False: this system cannot, and nothing was done.

    Raises:
        FileNotFoundError: one of them does not exist.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    for path in (one, other):
        os.lstat(path)
    return False
